//! An organization's state as an auditor reads it: maps by id, so that a difference is named by a path.

use crate::agents::compiled;
use crate::history::who::Who;
use crate::skills::wire::CompiledSkill;
use domain::Organization;
use domain::agent::{Agent, Version};
use domain::integration::{Connection, Discovery};
use domain::key::Key;
use domain::skill::{Quarantine, Skill};
use domain::subscription::Subscription;
use events::agent::PublishedIntegration;
use events::integration::{QuarantineCause, SslMode};
use events::scoping::Blocked;
use events::{AgentId, IntegrationKind, KeyId, Seq, SubscriptionId, VersionId};
use infra::storage::directory::KeyNames;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// Where the databases were, by kind. Never a secret.
    connections: BTreeMap<IntegrationKind, ConnectionView>,
    schemas: BTreeMap<IntegrationKind, SchemaView>,
    scoping: BTreeMap<IntegrationKind, ScopingView>,
    agents: BTreeMap<AgentId, AgentView>,
    keys: BTreeMap<KeyId, KeyView>,
    /// Where events were delivered to, by id.
    subscriptions: BTreeMap<SubscriptionId, SubscriptionView>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SubscriptionView {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    types: Option<BTreeSet<String>>,
    secret_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    parked_reason: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ConnectionView {
    host: String,
    port: u16,
    database: String,
    user: String,
    sslmode: SslMode,
    /// SHA-256 of the CA that was given, in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_sha256: Option<String>,
    credential_version: u32,
    #[schemars(with = "String")]
    connected_at: Timestamp,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SchemaView {
    schema_root: String,
    schema_hash: String,
    object_count: u64,
    field_count: u64,
    edge_count: u64,
    operation_count: u64,
    /// The connection led elsewhere by then, or nowhere.
    outdated: bool,
    #[schemars(with = "String")]
    discovered_at: Timestamp,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ScopingView {
    #[serde(flatten)]
    blocked: Blocked,
    /// The event that changed it last.
    changed_at: Seq,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct AgentView {
    name: String,
    /// What served calls; absent before the first publish.
    #[serde(skip_serializing_if = "Option::is_none")]
    published: Option<PublishedView>,
    /// By tool name: could be tried by operators, never served calls.
    drafts: BTreeMap<String, SkillView>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct PublishedView {
    version_id: VersionId,
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[schemars(with = "String")]
    published_at: Timestamp,
    published_by: Who,
    /// The ground it stands on.
    integrations: Vec<PublishedIntegration>,
    /// By tool name.
    skills: BTreeMap<String, SkillView>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SkillView {
    /// The statement with its parameters, and what a caller had to bring.
    #[serde(flatten)]
    compiled: CompiledSkill,
    /// Whether a call would have run it.
    runnable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine: Option<QuarantineView>,
}

#[derive(Serialize, JsonSchema)]
struct QuarantineView {
    cause: QuarantineCause,
    reason: String,
    #[schemars(with = "String")]
    since: Timestamp,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct KeyView {
    /// What it is called today; null when it has no name, or none any more.
    name: Option<String>,
    scopes: Vec<String>,
    /// Whether it was taken at that instant.
    in_force: bool,
    #[schemars(with = "String")]
    created_at: Timestamp,
    created_by: Who,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    revoked_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    successor: Option<KeyId>,
}

impl View {
    /// `at` is what the keys' time limits are judged by. Names are those of today, whatever `at` is.
    pub fn of(state: &Organization, at: Timestamp, names: &KeyNames) -> Self {
        let connected =
            |(kind, integration): (&IntegrationKind, &std::sync::Arc<domain::integration::Integration>)| {
                Some((*kind, connection(integration.connection.as_ref()?)))
            };
        let discovered = |kind: &IntegrationKind| Some((*kind, schema(state.last_discovery(*kind)?)));
        let scoped = state.scopings.iter().map(|(kind, scoping)| {
            let view = ScopingView { blocked: scoping.blocked.clone(), changed_at: scoping.changed_at };
            (*kind, view)
        });
        Self {
            connections: state.integrations.iter().filter_map(connected).collect(),
            schemas: state.integrations.keys().filter_map(discovered).collect(),
            scoping: scoped.collect(),
            agents: state
                .agents
                .iter()
                .map(|(id, agent)| (id.clone(), agent_view(state, id, agent, names)))
                .collect(),
            subscriptions: state.subscriptions().map(|(id, it)| (id.clone(), subscription(it))).collect(),
            keys: state.keys.iter().map(|(id, it)| (id.clone(), key(id, it, at, names))).collect(),
        }
    }
}

fn subscription(subscription: &Subscription) -> SubscriptionView {
    SubscriptionView {
        url: subscription.url.clone(),
        types: subscription.types.clone(),
        secret_version: subscription.secret_version,
        parked_reason: subscription.parked.as_ref().map(|parked| parked.reason.clone()),
    }
}

fn connection(connection: &Connection) -> ConnectionView {
    let endpoint = connection.endpoint.clone();
    ConnectionView {
        host: endpoint.host,
        port: endpoint.port,
        database: endpoint.database,
        user: endpoint.user,
        sslmode: endpoint.sslmode,
        ca_sha256: endpoint.ca_sha256,
        credential_version: connection.credential_version,
        connected_at: connection.connected_at,
    }
}

fn schema(discovery: &Discovery) -> SchemaView {
    SchemaView {
        schema_root: discovery.schema_root.clone(),
        schema_hash: discovery.schema_hash.clone(),
        object_count: discovery.object_count,
        field_count: discovery.field_count,
        edge_count: discovery.edge_count,
        operation_count: discovery.operation_count,
        outdated: discovery.outdated,
        discovered_at: discovery.discovered_at,
    }
}

fn agent_view(state: &Organization, id: &AgentId, agent: &Agent, names: &KeyNames) -> AgentView {
    let live = agent.live.as_ref().and_then(|id| Some((id, state.versions.get(id)?)));
    let drafts = state.skills_of(id).map(|(id, skill)| {
        let definition = skill.draft();
        (definition.tool.clone(), skill_view(skill, CompiledSkill::of(id, definition), skill.is_enabled))
    });
    AgentView {
        name: agent.name.clone(),
        published: live.map(|(id, version)| published(state, id, version, names)),
        drafts: drafts.collect(),
    }
}

fn published(state: &Organization, id: &VersionId, version: &Version, names: &KeyNames) -> PublishedView {
    let skills = compiled(state, version).skills.into_iter().filter_map(|compiled| {
        let skill = state.skills.get(&compiled.id)?;
        Some((compiled.tool.clone(), skill_view(skill, compiled, true)))
    });
    PublishedView {
        version_id: id.clone(),
        version: version.version,
        note: version.note.clone(),
        published_at: version.published_at,
        published_by: Who::of(&version.published_by, names),
        integrations: version.integrations.clone(),
        skills: skills.collect(),
    }
}

fn skill_view(skill: &Skill, compiled: CompiledSkill, enabled: bool) -> SkillView {
    let quarantine = skill.quarantined.get(&compiled.execution_config.statement_hash);
    let view =
        |it: &Quarantine| QuarantineView { cause: it.cause, reason: it.reason.clone(), since: it.since };
    SkillView { compiled, runnable: enabled && quarantine.is_none(), quarantine: quarantine.map(view) }
}

fn key(id: &KeyId, key: &Key, at: Timestamp, names: &KeyNames) -> KeyView {
    KeyView {
        name: names.get(id).cloned(),
        scopes: key.scopes.clone(),
        in_force: key.is_valid(at),
        created_at: key.created_at,
        created_by: Who::of(&key.created_by, names),
        expires_at: key.expires_at,
        revoked_at: key.revoked_at,
        successor: key.successor.clone(),
    }
}
