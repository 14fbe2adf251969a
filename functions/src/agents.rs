//! Agents and their versions.

pub mod create;
pub mod diff;
pub mod get;
pub mod list;
pub mod publish;
pub mod report;
pub mod rollback;
pub mod tools;
pub mod versions;

use domain::Organization;
use domain::agent::{Agent, Catalogs, Version};
use events::agent::PublishedIntegration;
use events::{AgentId, VersionId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::problem::Problem;
use crate::services::Services;
use crate::skills::wire::CompiledSkill;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentItem {
    pub id: AgentId,
    pub name: String,
    pub description: Option<String>,
    /// The version that serves calls.
    pub published_version: Option<u32>,
    pub published_version_id: Option<VersionId>,
    pub skill_count: usize,
    #[schemars(with = "String")]
    pub created_at: Timestamp,
}

pub fn item(state: &Organization, id: &AgentId, agent: &Agent) -> AgentItem {
    AgentItem {
        id: id.clone(),
        name: agent.name.clone(),
        description: agent.description.clone(),
        published_version: state.live_version(agent).map(|live| live.version),
        published_version_id: agent.live.clone(),
        skill_count: state.skills_of(id).count(),
        created_at: agent.created_at,
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionItem {
    pub id: VersionId,
    pub agent_id: AgentId,
    pub version: u32,
    /// Whether it serves calls now.
    pub live: bool,
    pub compiled_config: CompiledConfig,
    pub note: Option<String>,
    #[schemars(with = "String")]
    pub published_at: Timestamp,
    pub published_by: String,
}

/// All that a version can run, and the ground it stands on.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CompiledConfig {
    pub skills: Vec<CompiledSkill>,
    pub integrations: Vec<PublishedIntegration>,
}

pub fn version_item(state: &Organization, agent: &Agent, id: &VersionId, version: &Version) -> VersionItem {
    VersionItem {
        id: id.clone(),
        agent_id: version.agent_id.clone(),
        version: version.version,
        live: agent.live.as_ref() == Some(id),
        compiled_config: compiled(state, version),
        note: version.note.clone(),
        published_at: version.published_at,
        published_by: version.published_by.id.clone(),
    }
}

pub fn compiled(state: &Organization, version: &Version) -> CompiledConfig {
    let skills = version.skills.iter().filter_map(|published| {
        let definition = state.skills.get(&published.skill_id)?.definitions.get(&published.drafted_at)?;
        Some(CompiledSkill::of(&published.skill_id, definition))
    });
    CompiledConfig { skills: skills.collect(), integrations: version.integrations.clone() }
}

/// What the next publish would freeze.
pub fn compiled_draft(state: &Organization, agent_id: &AgentId) -> CompiledConfig {
    let mut skills: Vec<CompiledSkill> = state
        .skills_of(agent_id)
        .filter(|(_, skill)| skill.is_enabled)
        .map(|(id, skill)| CompiledSkill::of(id, skill.draft()))
        .collect();
    skills.sort_by(|a, b| a.tool.cmp(&b.tool));
    CompiledConfig { skills, integrations: Vec::new() }
}

impl Services {
    /// The discovered schemas of every kind that has one.
    pub async fn catalogs(&self, state: &Organization) -> Result<Catalogs, Problem> {
        let mut catalogs = Catalogs::new();
        for kind in state.integrations.keys() {
            if state.discovery(*kind).is_ok() {
                catalogs.insert(*kind, self.whole_catalog(state, *kind).await?);
            }
        }
        Ok(catalogs)
    }
}
