//! What surrounds every event: where it stands, whose it is, who caused it and when.

use crate::{Event, EventId, OrganizationId, RequestId, Seq};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The aggregate an event belongs to; its events in order are the aggregate's stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Subject {
    pub kind: SubjectKind,
    /// Unique among the subjects of its kind in one organization.
    pub id: String,
}

impl Subject {
    pub fn new(kind: SubjectKind, id: impl fmt::Display) -> Self {
        Self { kind, id: id.to_string() }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.as_str(), self.id)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SubjectKind {
    Integration,
    Scoping,
    Agent,
    Skill,
    Key,
    Subscription,
    /// A published version: it has a document of its own and no events but its agent's.
    Version,
}

impl SubjectKind {
    pub fn as_str(self) -> &'static str {
        match self {
            SubjectKind::Integration => "integration",
            SubjectKind::Scoping => "scoping",
            SubjectKind::Agent => "agent",
            SubjectKind::Skill => "skill",
            SubjectKind::Key => "key",
            SubjectKind::Subscription => "subscription",
            SubjectKind::Version => "version",
        }
    }
}

/// Who caused an event. Ids are opaque, so that a log that is kept for ever names no person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Actor {
    pub kind: ActorKind,
    pub id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ActorKind {
    /// An API key; the id is its key id.
    Key,
    /// Somebody at the server's own command line.
    Operator,
    /// The service itself; the id is the part of it that acted.
    Service,
}

/// One event as it stands in the log.
///
/// `hash` = SHA-256(`bindery.event.v1` ‖ organization ‖ seq ‖ prevHash ‖ the event's bytes as stored), see
/// [`crate::json::chain`].
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    pub organization: OrganizationId,
    pub seq: Seq,
    pub id: EventId,
    pub subject: Subject,
    pub actor: Actor,
    pub request_id: RequestId,
    /// The event that this one follows from; None when it is what the request itself asked for.
    pub cause: Option<EventId>,
    /// Strictly increasing with `seq`, to the microsecond.
    pub recorded_at: Timestamp,
    pub event: Event,
    pub prev_hash: [u8; 32],
    pub hash: [u8; 32],
}

/// An event as clients and subscribers see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WireEvent {
    /// Gapless within an organization.
    pub seq: Seq,
    pub id: EventId,
    #[serde(rename = "type")]
    pub name: String,
    pub version: u32,
    pub subject: Subject,
    pub actor: Actor,
    pub request_id: RequestId,
    /// The event that this one follows from; absent when it is what the request itself asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<EventId>,
    #[schemars(with = "String")]
    pub recorded_at: Timestamp,
    /// What its type and version promise; each has a schema of its own.
    pub data: serde_json::Value,
    /// Of the event before, in hex.
    pub prev_hash: String,
    pub hash: String,
}

impl WireEvent {
    /// With every type there is. What `data` holds has a schema for each type and version.
    pub fn schema() -> schemars::Schema {
        let mut schema = schemars::schema_for!(WireEvent);
        let names: Vec<&str> = Event::ALL.iter().map(|(name, _)| *name).collect();
        if let Some(name) = schema.pointer_mut("/properties/type") {
            name["enum"] = names.into();
        }
        schema
    }
}
