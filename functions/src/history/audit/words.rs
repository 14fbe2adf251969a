//! Events in words that an auditor reads.

use events::integration::Endpoint;
use events::scoping::Blocked;
use events::{Actor, ActorKind, Event, IntegrationKind, Recorded, Seq};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// One event as a line of a report.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    pub seq: Seq,
    #[schemars(with = "String")]
    pub recorded_at: Timestamp,
    pub r#type: String,
    pub actor: Actor,
    pub request_id: events::RequestId,
    /// Such as `key k7Qd blocked patients.ssn on postgres`.
    pub words: String,
}

impl Told {
    pub fn of(recorded: &Recorded) -> Self {
        Self {
            seq: recorded.seq,
            recorded_at: recorded.recorded_at,
            r#type: recorded.event.name().to_owned(),
            actor: recorded.actor.clone(),
            request_id: recorded.request_id.clone(),
            words: format!("{} {}", who(&recorded.actor), what(recorded)),
        }
    }
}

fn who(actor: &Actor) -> String {
    match actor.kind {
        ActorKind::Key => format!("key {}", actor.id),
        ActorKind::Operator => format!("operator {}", actor.id),
        ActorKind::Service => format!("the service ({})", actor.id),
    }
}

fn what(recorded: &Recorded) -> String {
    let id = &recorded.subject.id;
    match &recorded.event {
        Event::Connected(it) => format!("connected {} {}", it.kind, place(&it.endpoint)),
        Event::CredentialsRotated(it) if it.target_changed => {
            format!("connected {} elsewhere, {}, so its skills were stopped", it.kind, place(&it.endpoint))
        }
        Event::CredentialsRotated(it) => {
            format!(
                "gave new credentials (version {}) for {} {}",
                it.credential_version,
                it.kind,
                place(&it.endpoint)
            )
        }
        Event::Discovered(it) => format!(
            "discovered {}: {} objects, {} fields; {} added, {} removed, {} changed",
            it.kind,
            it.object_count,
            it.field_count,
            it.changes.added_count,
            it.changes.removed_count,
            it.changes.changed_count
        ),
        Event::ScopingChanged(it) => scoping(it.kind, &it.blocked),
        Event::SkillsQuarantined(it) => {
            let skills = it.skills.iter().map(|skill| format!("{} ({})", skill.tool_name, skill.reason));
            format!("stopped {}", skills.collect::<Vec<_>>().join(", "))
        }
        Event::Disconnected(it) => format!("disconnected {}", it.kind),
        Event::CredentialsShredded(it) => {
            let versions: Vec<String> = it.credential_versions.iter().map(u32::to_string).collect();
            format!("destroyed the credentials of {}, versions {}", it.kind, versions.join(", "))
        }
        Event::AgentCreated(it) => format!("created the agent {:?} ({id})", it.name),
        Event::Published(it) => {
            let tools: Vec<&str> = it.skills.iter().map(|skill| skill.tool.as_str()).collect();
            let note = it.note.as_ref().map(|note| format!(", saying {note:?}")).unwrap_or_default();
            format!("published version {} of agent {id} with {}{note}", it.version, listed(&tools))
        }
        Event::RolledBack(it) => {
            format!("rolled agent {id} back from version {} to {}", it.from_version, it.to_version)
        }
        Event::BindingDrafted(it) => {
            format!("drafted the skill {} ({}, {id})", it.definition.tool, it.definition.binding.operation)
        }
        Event::BindingRevised(it) => format!("revised the skill {} ({id})", it.definition.tool),
        Event::SkillEnabled(_) => format!("enabled the skill {id}"),
        Event::SkillDisabled(_) => format!("disabled the skill {id}"),
        Event::SkillRemoved(_) => format!("removed the skill {id}"),
        Event::KeyMinted(it) => {
            format!("minted the key {:?} ({}) for {}", it.name, it.key_id, it.scopes.join(", "))
        }
        Event::KeyRotated(it) => {
            format!("replaced the key {id} by {}; it is taken until {}", it.successor, it.valid_until)
        }
        Event::KeyRevoked(_) => format!("revoked the key {id}"),
        Event::SubscriptionCreated(it) => {
            let types = it.types.as_ref().map_or_else(
                || "every event".to_owned(),
                |types| types.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
            );
            format!("subscribed {} to {types} after {} ({id})", it.url, it.from)
        }
        Event::SubscriptionSecretRotated(it) => {
            format!("rotated the secret of the subscription {id} to version {}", it.secret_version)
        }
        Event::SubscriptionParked(it) => {
            format!("parked the subscription {id} at event {}: {}", it.at, it.reason)
        }
        Event::SubscriptionResumed(_) => format!("resumed the subscription {id}"),
        Event::SubscriptionDeleted(_) => format!("deleted the subscription {id}"),
    }
}

fn place(endpoint: &Endpoint) -> String {
    let Endpoint { host, port, database, user, sslmode, .. } = endpoint;
    format!("at {host}:{port}, database {database}, as {user}, TLS {}", sslmode.as_str())
}

fn scoping(kind: IntegrationKind, blocked: &Blocked) -> String {
    let columns = blocked.blocked_columns.iter();
    let columns = columns.flat_map(|(table, columns)| columns.iter().map(move |it| format!("{table}.{it}")));
    let names: Vec<String> = blocked.blocked_tables.iter().cloned().chain(columns).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    format!("set what is blocked on {kind} to {}", listed(&names))
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
