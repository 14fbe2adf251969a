//! What is otherwise at one point of a history than at another, in sentences.

use super::naming::{Naming, blocked_names, listed, place};
use domain::Organization;
use domain::agent::Agent;
use events::skill::Definition;
use events::{AgentId, IntegrationKind};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// A state, and the instant that its keys are judged by.
#[derive(Clone, Copy)]
pub struct At<'a> {
    pub state: &'a Organization,
    pub instant: Timestamp,
}

pub fn differences(before: At<'_>, after: At<'_>, naming: &Naming<'_>) -> Vec<String> {
    let mut told = Vec::new();
    for kind in IntegrationKind::ALL {
        connection(before.state, after.state, kind, &mut told);
        schema(before.state, after.state, kind, &mut told);
        scoping(before.state, after.state, kind, &mut told);
    }
    for (id, agent) in &after.state.agents {
        let name = naming.agent(id);
        if !before.state.agents.contains_key(id) {
            told.push(format!("{name} is new"));
        }
        versions(before.state, after.state, id, agent, &name, &mut told);
        skills(before.state, after.state, id, &name, &mut told);
    }
    keys(before, after, naming, &mut told);
    subscriptions(before.state, after.state, &mut told);
    told
}

fn connection(before: &Organization, after: &Organization, kind: IntegrationKind, told: &mut Vec<String>) {
    match (before.connection(kind), after.connection(kind)) {
        (Err(_), Ok(now)) => told.push(format!("{kind} is connected {}", place(&now.endpoint))),
        (Ok(was), Err(_)) => {
            told.push(format!("{kind} is not connected any more; it was {}", place(&was.endpoint)));
        }
        (Ok(was), Ok(now)) => {
            if was.endpoint != now.endpoint {
                let (now, was) = (place(&now.endpoint), place(&was.endpoint));
                told.push(format!("{kind} is connected {now} instead of {was}"));
            }
            if was.credential_version != now.credential_version {
                let (now, was) = (now.credential_version, was.credential_version);
                told.push(format!("{kind} is used with credentials of version {now} instead of {was}"));
            }
        }
        (Err(_), Err(_)) => {}
    }
}

fn schema(before: &Organization, after: &Organization, kind: IntegrationKind, told: &mut Vec<String>) {
    match (before.last_discovery(kind), after.last_discovery(kind)) {
        (None, Some(now)) => told.push(format!(
            "the schema of {kind} is known: {} objects with {} fields",
            now.object_count, now.field_count
        )),
        (Some(was), Some(now)) if was.schema_hash != now.schema_hash => told.push(format!(
            "the schema of {kind} is another: {} objects with {} fields instead of {} with {}",
            now.object_count, now.field_count, was.object_count, was.field_count
        )),
        (_, _) => {}
    }
}

fn scoping(before: &Organization, after: &Organization, kind: IntegrationKind, told: &mut Vec<String>) {
    let (was, now) = (blocked_names(before.blocked(kind)), blocked_names(after.blocked(kind)));
    let only = |these: &[String], not_those: &[String]| -> Vec<String> {
        these.iter().filter(|name| !not_those.contains(name)).cloned().collect()
    };
    let (blocked, opened) = (only(&now, &was), only(&was, &now));
    if !blocked.is_empty() {
        told.push(format!("blocked on {kind} are now also {}", listed(&blocked)));
    }
    if !opened.is_empty() {
        told.push(format!("no longer blocked on {kind} are {}", listed(&opened)));
    }
}

fn versions(
    before: &Organization,
    after: &Organization,
    id: &AgentId,
    agent: &Agent,
    name: &str,
    told: &mut Vec<String>,
) {
    let version = |state: &Organization, agent: &Agent| state.live_version(agent).map(|it| it.version);
    let was = before.agents.get(id).and_then(|agent| version(before, agent));
    match (was, version(after, agent)) {
        (None, Some(now)) => told.push(format!("{name} serves calls, with version {now}")),
        (Some(was), Some(now)) if was != now => {
            told.push(format!("{name} serves version {now} instead of {was}"));
        }
        (_, _) => {}
    }
}

/// A statement that calls could run, and what stopped it.
struct Served {
    statement: String,
    stopped: Option<String>,
}

/// By tool name.
fn served(state: &Organization, id: &AgentId) -> BTreeMap<String, Served> {
    let version = state.agents.get(id).and_then(|agent| state.live_version(agent));
    let published = version.into_iter().flat_map(|version| &version.skills);
    let skills = published.filter_map(|published| {
        let skill = state.skills.get(&published.skill_id)?;
        let Definition { statement, .. } = skill.definitions.get(&published.drafted_at)?.as_ref();
        let stopped = skill.quarantined.get(&statement.hash).map(|it| it.reason.clone());
        Some((published.tool.clone(), Served { statement: statement.text.clone(), stopped }))
    });
    skills.collect()
}

fn skills(before: &Organization, after: &Organization, id: &AgentId, agent: &str, told: &mut Vec<String>) {
    let (mut was, now) = (served(before, id), served(after, id));
    for (tool, now) in now {
        let Some(was) = was.remove(&tool) else {
            told.push(format!("{tool} of {agent} can be called, and runs: {}", now.statement));
            continue;
        };
        if was.statement != now.statement {
            let (now, was) = (&now.statement, was.statement);
            told.push(format!("{tool} of {agent} runs: {now}; instead of: {was}"));
        }
        match (was.stopped, now.stopped) {
            (None, Some(reason)) => told.push(format!("{tool} of {agent} is stopped: {reason}")),
            (Some(_), None) => told.push(format!("{tool} of {agent} may run again")),
            (None, None) | (Some(_), Some(_)) => {}
        }
    }
    for tool in was.into_keys() {
        told.push(format!("{tool} of {agent} cannot be called any more"));
    }
}

fn keys(before: At<'_>, after: At<'_>, naming: &Naming<'_>, told: &mut Vec<String>) {
    for (id, key) in &after.state.keys {
        let (name, by) = (naming.key(id), naming.who(&key.created_by));
        let was = before.state.keys.get(id).map(|it| it.is_valid(before.instant));
        match (was, key.is_valid(after.instant)) {
            (None, true) => {
                told.push(format!("{name}, minted by {by}, may {}", key.scopes.join(", ")));
            }
            (None, false) => told.push(format!("{name}, minted by {by}, came and is in force no more")),
            (Some(true), false) => {
                let how = if key.revoked_at.is_some() { "revoked" } else { "expired" };
                told.push(format!("{name} is in force no more: it was {how}"));
            }
            (Some(_), _) => {}
        }
    }
}

fn subscriptions(before: &Organization, after: &Organization, told: &mut Vec<String>) {
    for (id, now) in after.subscriptions() {
        let was = before.subscription(id.as_str()).ok().map(|(_, was)| was);
        match was {
            None => told.push(format!("events go to {} ({id})", now.url)),
            Some(was) if was.parked.is_none() && now.parked.is_some() => {
                told.push(format!("no events go to {} ({id}) until somebody resumes it", now.url));
            }
            Some(was) if was.parked.is_some() && now.parked.is_none() => {
                told.push(format!("events go to {} ({id}) again", now.url));
            }
            Some(_) => {}
        }
    }
    for (id, was) in before.subscriptions() {
        if after.subscription(id.as_str()).is_err() {
            told.push(format!("no events go to {} ({id}) any more", was.url));
        }
    }
}
