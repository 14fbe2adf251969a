//! Events in words that an auditor reads.

use super::naming::{Naming, blocked_names, listed, place};
use crate::history::who::Who;
use events::skill::Definition;
use events::{Event, EventId, Recorded, Seq, SkillId};
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
    pub actor: Who,
    pub request_id: events::RequestId,
    /// The event that it follows from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<EventId>,
    /// Such as `key k7Qd "telephony" set what is blocked on postgres to patients.ssn`.
    pub words: String,
}

impl Told {
    pub fn of(recorded: &Recorded, naming: &Naming<'_>) -> Self {
        Self {
            seq: recorded.seq,
            recorded_at: recorded.recorded_at,
            r#type: recorded.event.name().to_owned(),
            actor: Who::of(&recorded.actor, naming.keys),
            request_id: recorded.request_id.clone(),
            cause: recorded.cause.clone(),
            words: format!("{} {}", naming.who(&recorded.actor), what(recorded, naming)),
        }
    }

    /// For a person at a terminal.
    pub fn line(&self) -> String {
        format!("  {} {} {}\n", self.seq, self.recorded_at, self.words)
    }
}

fn what(recorded: &Recorded, naming: &Naming<'_>) -> String {
    let id = &recorded.subject.id;
    let agent = || naming.agent(&id.as_str().into());
    let skill = || naming.skill(&SkillId::from(id.as_str()));
    let key = || naming.key(&id.as_str().into());
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
        Event::ScopingChanged(it) => {
            format!("set what is blocked on {} to {}", it.kind, listed(&blocked_names(&it.blocked)))
        }
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
            let tools: Vec<String> = it.skills.iter().map(|skill| skill.tool.clone()).collect();
            let note = it.note.as_ref().map(|note| format!(", saying {note:?}")).unwrap_or_default();
            format!("published version {} of {} with {}{note}", it.version, agent(), listed(&tools))
        }
        Event::RolledBack(it) => {
            format!("rolled {} back from version {} to {}", agent(), it.from_version, it.to_version)
        }
        Event::BindingDrafted(it) => {
            let definition = &it.definition;
            let (operation, agent) = (&definition.binding.operation, naming.agent(&it.agent_id));
            format!(
                "drafted the skill {} ({id}), {operation}, for {agent}{}",
                definition.tool,
                verified(definition)
            )
        }
        Event::BindingRevised(it) => {
            format!("revised the skill {} ({id}){}", it.definition.tool, verified(&it.definition))
        }
        Event::SkillEnabled(_) => format!("enabled {}", skill()),
        Event::SkillDisabled(_) => format!("disabled {}", skill()),
        Event::SkillRemoved(_) => format!("removed {}", skill()),
        Event::KeyMinted(it) => {
            format!("minted the {} for {}", key(), it.scopes.join(", "))
        }
        Event::KeyRotated(it) => {
            let successor = naming.key(&it.successor);
            format!("replaced the {} by the {successor}; it is taken until {}", key(), it.valid_until)
        }
        Event::KeyRevoked(_) => format!("revoked the {}", key()),
        Event::KeyRenamed(it) if it.erased => format!("erased the name of the {}", key()),
        Event::KeyRenamed(_) => format!("changed the name of the {}", key()),
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

/// How well a skill's callers must be known, where that is better than at all.
fn verified(definition: &Definition) -> String {
    let level = definition.required_identity_level;
    level.map(|level| format!(", for callers verified at level {level}")).unwrap_or_default()
}
