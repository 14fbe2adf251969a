//! What ids are called in sentences: keys by the directory beside the log, agents and skills by the log itself.

use domain::Organization;
use events::integration::Endpoint;
use events::scoping::Blocked;
use events::{Actor, ActorKind, AgentId, KeyId, SkillId};
use infra::storage::directory::KeyNames;

pub struct Naming<'a> {
    /// Today's.
    pub keys: &'a KeyNames,
    /// Late enough to know every agent and skill that is told of.
    pub state: &'a Organization,
}

impl Naming<'_> {
    pub fn who(&self, actor: &Actor) -> String {
        match actor.kind {
            ActorKind::Key => self.key(&KeyId::from(actor.id.clone())),
            ActorKind::Operator => format!("operator {}", actor.id),
            ActorKind::Service => format!("the service ({})", actor.id),
        }
    }

    pub fn key(&self, id: &KeyId) -> String {
        match self.keys.get(id) {
            Some(name) => format!("key {id} {name:?}"),
            None => format!("key {id}"),
        }
    }

    pub fn agent(&self, id: &AgentId) -> String {
        match self.state.agents.get(id) {
            Some(agent) => format!("the agent {:?} ({id})", agent.name),
            None => format!("the agent {id}"),
        }
    }

    pub fn skill(&self, id: &SkillId) -> String {
        match self.state.skills.get(id) {
            Some(skill) => format!("the skill {} ({id})", skill.draft().tool),
            None => format!("the skill {id}"),
        }
    }
}

pub fn place(endpoint: &Endpoint) -> String {
    let Endpoint { host, port, database, user, sslmode, .. } = endpoint;
    format!("at {host}:{port}, database {database}, as {user}, TLS {}", sslmode.as_str())
}

/// Tables and `table.column`.
pub fn blocked_names(blocked: &Blocked) -> Vec<String> {
    let columns = blocked.blocked_columns.iter();
    let columns = columns.flat_map(|(table, columns)| columns.iter().map(move |it| format!("{table}.{it}")));
    blocked.blocked_tables.iter().cloned().chain(columns).collect()
}

pub fn listed(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
