//! Records of live calls: kept, listed, and how a person settles a write whose end nobody saw.

pub mod latency;
pub mod list;
pub mod recorder;
pub mod recording;
pub mod settle;

use crate::history::who::Who;
use events::{Actor, ActorKind, AgentId, RequestId, SkillId};
use infra::storage::calls::{CallRecord, Ended, Protocol};
use infra::storage::directory::KeyNames;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallItem {
    pub id: String,
    pub agent_id: AgentId,
    /// When it began.
    #[schemars(with = "String")]
    pub at: Timestamp,
    pub skill_id: SkillId,
    pub tool: String,
    /// The agent's version that served it; null for a draft.
    pub version: Option<u32>,
    /// `http` or `mcp`.
    pub protocol: &'static str,
    /// The call's outcome, or `error` where it was answered with a problem, whose code is in `code`.
    pub outcome: String,
    pub code: Option<String>,
    pub row_count: u32,
    /// A kept answer was given again; nothing ran.
    pub replayed: bool,
    pub timing: CallTiming,
    pub actor: Who,
    pub request_id: RequestId,
    pub call_id: Option<String>,
    pub tool_call_id: Option<String>,
    /// What its row was found by.
    pub lookup: Option<Lookup>,
    /// Keyed hashes of the values, by parameter: equal values of one organization have equal hashes.
    pub arguments: BTreeMap<String, String>,
    /// Of a write in doubt: how it was found to have ended. Null while nobody knows.
    pub resolution: Option<ResolutionItem>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallTiming {
    pub total_ms: f64,
    pub database_ms: f64,
}

#[derive(Serialize, JsonSchema)]
pub struct Lookup {
    pub parameter: String,
    pub hash: String,
}

#[derive(Serialize, JsonSchema)]
pub struct ResolutionItem {
    /// `committed`, `rolled_back`, or `unknowable` where the database cannot say and a person has to.
    pub result: &'static str,
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// The key of the person who said so; null where the database did.
    pub by: Option<String>,
    pub note: Option<String>,
}

impl CallItem {
    pub fn of(record: CallRecord, names: &KeyNames) -> Self {
        let lookup = record.lookup_hash().map(|hash| Lookup {
            parameter: record.lookup.clone().unwrap_or_default(),
            hash: hash.to_owned(),
        });
        Self {
            lookup,
            id: record.id,
            agent_id: record.agent,
            at: record.at,
            skill_id: record.skill,
            tool: record.tool,
            version: record.version,
            protocol: match record.protocol {
                Protocol::Http => "http",
                Protocol::Mcp => "mcp",
            },
            outcome: record.outcome.into_owned(),
            code: record.code.map(|code| code.into_owned()),
            row_count: record.rows,
            replayed: record.replayed,
            timing: CallTiming { total_ms: ms(record.total_us), database_ms: ms(record.database_us) },
            actor: Who::of(&Actor { kind: ActorKind::Key, id: record.key.to_string() }, names),
            request_id: record.request_id,
            call_id: record.call_id,
            tool_call_id: record.tool_call_id,
            arguments: record.arguments.into_iter().collect(),
            resolution: record.resolution.map(|resolution| ResolutionItem {
                result: match resolution.result {
                    Ended::Committed => "committed",
                    Ended::RolledBack => "rolled_back",
                    Ended::Unknowable => "unknowable",
                },
                at: resolution.at,
                by: resolution.by.map(|key| key.to_string()),
                note: resolution.note,
            }),
        }
    }
}

/// Microseconds as milliseconds.
fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}
