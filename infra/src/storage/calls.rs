//! Records of live calls: who called which skill when, and what came of it. A log of its own beside the event log,
//! for it grows with traffic and ends with its retention. No value of an argument or a row is in it: arguments are
//! keyed hashes.

mod batch;

pub use batch::{Batch, PART_RECORDS, Part, key_of_call, key_of_lookup};

use super::StoreError;
use async_trait::async_trait;
use events::{AgentId, KeyId, OrganizationId, RequestId, SkillId};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// One call, as it ended for its caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// [`id_from`] of the microsecond it began at, and letters that make it unique: ids sort by time.
    pub id: String,
    pub organization: OrganizationId,
    pub agent: AgentId,
    /// When it began.
    pub at: Timestamp,
    pub skill: SkillId,
    pub tool: String,
    /// None for a draft.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    pub protocol: Protocol,
    /// The live call's, or `error` for what is no outcome of a call.
    pub outcome: Cow<'static, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Cow<'static, str>>,
    pub rows: u32,
    /// A kept answer, given again.
    #[serde(default)]
    pub replayed: bool,
    /// Microseconds from the request to its answer, and of them those of the customer's database.
    pub total_us: u64,
    pub database_us: u64,
    pub key: KeyId,
    pub request_id: RequestId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// The argument that the row was found by: the filter of a read, the key of an update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookup: Option<String>,
    /// Keyed hashes of the values, by parameter.
    pub arguments: Vec<(String, String)>,
    /// Of a write in doubt: what its kept answers are found by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<DoubtSlots>,
    /// How a write in doubt was found to have ended. Kept apart, and put here when it is read.
    #[serde(skip)]
    pub resolution: Option<Resolution>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Http,
    Mcp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoubtSlots {
    pub keys: Vec<String>,
    pub body_hash: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    pub result: Ended,
    pub at: Timestamp,
    /// The key of the person who says so; none where the database was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<KeyId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    Committed,
    RolledBack,
    /// The database cannot say: a person has to.
    Unknowable,
}

impl CallRecord {
    /// The keyed hash of the value that the row was found by.
    pub fn lookup_hash(&self) -> Option<&str> {
        let lookup = self.lookup.as_deref()?;
        self.arguments.iter().find(|(name, _)| name == lookup).map(|(_, hash)| hash.as_str())
    }

    /// Nobody knows yet how it ended.
    pub fn is_open(&self) -> bool {
        self.outcome == IN_DOUBT
            && self.resolution.as_ref().is_none_or(|resolution| resolution.result == Ended::Unknowable)
    }
}

pub const IN_DOUBT: &str = "in_doubt";

/// What the ids of all calls begin with that began then; each is above it.
pub fn id_from(at: Timestamp) -> String {
    format!("cal_{:014x}", at.as_microsecond())
}

/// Which records are looked at: each way leads to its own without reading others.
#[derive(Clone, Copy, Debug)]
pub enum Path<'p> {
    All,
    /// Found a row by a value with this hash.
    Lookup(&'p str),
    /// Belong to one call of the platform.
    Call(&'p str),
    /// Were answered with `in_doubt`.
    InDoubt,
}

/// From this id on, and before that one, in time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span<'s> {
    pub from: Option<&'s str>,
    pub before: Option<&'s str>,
}

#[async_trait]
pub trait CallStore: Send + Sync {
    /// Keeps all of these, which have ids of their own, for this long. A batch whose end was not heard of can be kept
    /// again.
    async fn keep_calls(&self, batch: &Arc<Batch>, kept: Duration) -> Result<(), StoreError>;

    /// One agent's records, newest first.
    async fn calls(
        &self,
        organization: &OrganizationId,
        agent: &AgentId,
        path: Path<'_>,
        span: Span<'_>,
        limit: usize,
    ) -> Result<Vec<CallRecord>, StoreError>;

    async fn call(
        &self,
        organization: &OrganizationId,
        agent: &AgentId,
        id: &str,
    ) -> Result<Option<CallRecord>, StoreError>;

    /// Says how a write in doubt ended. Its record may come later.
    async fn resolve_call(
        &self,
        organization: &OrganizationId,
        agent: &AgentId,
        id: &str,
        resolution: &Resolution,
        kept: Duration,
    ) -> Result<(), StoreError>;
}

/// A record as a backend keeps it, or how one ended.
pub(super) fn read<T: DeserializeOwned>(kept: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(kept).map_err(|_| damaged())
}

pub(super) fn damaged() -> StoreError {
    StoreError::Corrupt { seq: events::Seq(0), reason: "a call's record is damaged".to_owned() }
}

/// A record for tests.
#[cfg(test)]
pub(crate) fn sample(agent: &str, at: Timestamp) -> CallRecord {
    CallRecord {
        id: format!("{}_x", id_from(at)),
        organization: "acme".into(),
        agent: agent.into(),
        at,
        skill: "skl_1".into(),
        tool: "find".to_owned(),
        version: Some(1),
        protocol: Protocol::Http,
        outcome: "ok".into(),
        code: None,
        rows: 1,
        replayed: false,
        total_us: 1,
        database_us: 1,
        key: "k1".into(),
        request_id: "req_1".into(),
        call_id: None,
        tool_call_id: None,
        lookup: None,
        arguments: Vec::new(),
        doubt: None,
        resolution: None,
    }
}
