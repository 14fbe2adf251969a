//! Agents, their versions, and what serves their calls.

use crate::catalog::{Catalog, drift};
use crate::limits::AGENTS_MAX;
use crate::organization::{Decision, Organization};
use crate::refusal::{FieldError, Refusal};
use crate::skill::Skill;
use events::agent::{AgentCreated, Published, PublishedIntegration, PublishedSkill, RolledBack};
use events::{Actor, AgentId, IntegrationKind, Recorded, Seq, SkillId, Subject, SubjectKind, VersionId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

// Stream

pub fn subject(id: &AgentId) -> Subject {
    Subject::new(SubjectKind::Agent, id)
}

// Fold

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Agent {
    pub version: Seq,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub created_at: Timestamp,
    /// In order of their numbers: the first is version 1.
    pub versions: Vec<VersionId>,
    /// The version that serves calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<VersionId>,
}

/// A published version. Its skills' definitions stand in the skills, by the event that drafted them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    pub agent_id: AgentId,
    pub version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    pub published_at: Timestamp,
    pub published_by: Actor,
    pub published_seq: Seq,
    pub skills: Vec<PublishedSkill>,
    pub integrations: Vec<PublishedIntegration>,
}

impl Agent {
    pub(crate) fn created(recorded: &Recorded, data: &AgentCreated) -> Self {
        Self {
            version: recorded.seq,
            name: data.name.clone(),
            description: data.description.clone(),
            created_at: recorded.recorded_at,
            versions: Vec::new(),
            live: None,
        }
    }

    pub(crate) fn published(&mut self, recorded: &Recorded, data: &Published) {
        self.version = recorded.seq;
        self.versions.push(data.version_id.clone());
        self.live = Some(data.version_id.clone());
    }

    pub(crate) fn rolled_back(&mut self, recorded: &Recorded, data: &RolledBack) {
        self.version = recorded.seq;
        self.live = Some(data.version_id.clone());
    }
}

impl Version {
    pub(crate) fn published(agent_id: AgentId, recorded: &Recorded, data: &Published) -> Self {
        Self {
            agent_id,
            version: data.version,
            note: data.note.clone(),
            published_at: recorded.recorded_at,
            published_by: recorded.actor.clone(),
            published_seq: recorded.seq,
            skills: data.skills.clone(),
            integrations: data.integrations.clone(),
        }
    }
}

impl Organization {
    pub fn agent(&self, id: &str) -> Result<(&AgentId, &Arc<Agent>), Refusal> {
        self.agents.get_key_value(id).ok_or(Refusal::NotFound { what: "agent" })
    }

    /// The agent's drafts that were not removed, oldest first.
    pub fn skills_of<'a>(
        &'a self,
        agent: &'a AgentId,
    ) -> impl Iterator<Item = (&'a SkillId, &'a Arc<Skill>)> {
        self.skills.iter().filter(move |(_, skill)| skill.agent_id == *agent && !skill.removed)
    }

    pub fn version_of(&self, agent: &AgentId, id: &str) -> Result<(&VersionId, &Arc<Version>), Refusal> {
        self.versions
            .get_key_value(id)
            .filter(|(_, version)| version.agent_id == *agent)
            .ok_or(Refusal::NotFound { what: "version" })
    }
}

// Decisions

pub fn create(
    organization: &Organization,
    id: &AgentId,
    name: String,
    description: Option<String>,
) -> Result<Decision, Refusal> {
    if organization.agents.len() >= AGENTS_MAX {
        return Err(Refusal::LimitReached { what: "agents", limit: AGENTS_MAX });
    }
    let created = AgentCreated { name, description };
    Ok(Decision::on([subject(id)], vec![(subject(id), created.into())]))
}

/// The discovered schema of each kind, whole.
pub type Catalogs = BTreeMap<IntegrationKind, Arc<Catalog>>;

/// Freezes every enabled draft into the next version.
pub fn publish(
    organization: &Organization,
    agent_id: &AgentId,
    version_id: VersionId,
    note: Option<String>,
    catalogs: &Catalogs,
) -> Result<Decision, Refusal> {
    let (_, agent) = organization.agent(agent_id.as_str())?;
    let mut problems = Vec::new();
    let mut skills = Vec::new();
    let mut kinds = Vec::new();
    for (id, skill) in organization.skills_of(agent_id).filter(|(_, skill)| skill.is_enabled) {
        let definition = skill.draft();
        if let Some((code, reason)) = unfit(organization, skill, &definition.statement, catalogs) {
            problems.push(FieldError::new(format!("skills.{}", definition.tool), code, reason));
        }
        skills.push(PublishedSkill {
            skill_id: id.clone(),
            tool: definition.tool.clone(),
            statement_hash: definition.statement.hash.clone(),
            drafted_at: skill.draft_at,
        });
        kinds.push(definition.kind);
    }
    if !problems.is_empty() {
        return Err(Refusal::PublishBlocked(problems));
    }
    // An agent that serves something may be emptied on purpose; one that never did has its drafts still disabled.
    if skills.is_empty() && agent.live.is_none() {
        return Err(Refusal::NothingToPublish);
    }
    kinds.sort();
    kinds.dedup();
    let mut integrations = Vec::new();
    for kind in kinds {
        let discovery = organization.discovery(kind)?;
        integrations.push(PublishedIntegration {
            kind,
            schema_root: discovery.schema_root.clone(),
            schema_hash: discovery.schema_hash.clone(),
            scoping_at: organization.scopings.get(&kind).map_or(Seq(0), |scoping| scoping.changed_at),
        });
    }
    skills.sort_by(|a, b| a.tool.cmp(&b.tool));
    let version = agent.versions.len() as u32 + 1;
    let published = Published { version_id, version, note, skills, integrations };
    Ok(Decision::on_everything(vec![(subject(agent_id), published.into())]))
}

/// Points the agent's calls at an older version, if today's schema and scoping still allow all of it.
pub fn rollback(
    organization: &Organization,
    agent_id: &AgentId,
    version_id: &str,
    catalogs: &Catalogs,
) -> Result<Decision, Refusal> {
    let (_, agent) = organization.agent(agent_id.as_str())?;
    let (version_id, version) = organization.version_of(agent_id, version_id)?;
    if agent.live.as_ref() == Some(version_id) {
        return Ok(Decision::on_everything(Vec::new()));
    }
    let mut problems = Vec::new();
    for published in &version.skills {
        let Some(skill) = organization.skills.get(&published.skill_id) else { continue };
        let Some(definition) = skill.definitions.get(&published.drafted_at) else { continue };
        if let Some((code, reason)) = unfit(organization, skill, &definition.statement, catalogs) {
            problems.push(FieldError::new(format!("skills.{}", published.tool), code, reason));
        }
    }
    if !problems.is_empty() {
        return Err(Refusal::PublishBlocked(problems));
    }
    let from_version = organization.live_version(agent).map_or(0, |live| live.version);
    let rolled = RolledBack { version_id: version_id.clone(), from_version, to_version: version.version };
    Ok(Decision::on_everything(vec![(subject(agent_id), rolled.into())]))
}

/// Why a statement may not serve calls today.
pub fn unfit(
    organization: &Organization,
    skill: &Skill,
    statement: &events::skill::Statement,
    catalogs: &Catalogs,
) -> Option<(&'static str, String)> {
    let kind = statement.dialect;
    if organization.connection(kind).is_err() {
        let reason = format!("the {kind} database is not connected; connect it first");
        return Some(("integration_not_connected", reason));
    }
    if organization.discovery(kind).is_err() {
        let reason =
            format!("the {kind} database was not discovered since it was connected; discover it first");
        return Some(("not_discovered", reason));
    }
    if let Some((cause, reason)) =
        catalogs.get(&kind).and_then(|catalog| drift(statement, catalog, organization.blocked(kind)))
    {
        return Some((code_of(cause), reason));
    }
    skill.quarantined.get(&statement.hash).map(|quarantine| {
        let reason =
            format!("{}; set isEnabled to true after a review to let it run again", quarantine.reason);
        ("skill_quarantined", reason)
    })
}

pub fn code_of(cause: events::integration::QuarantineCause) -> &'static str {
    use events::integration::QuarantineCause::*;
    match cause {
        Blocked => "column_blocked",
        Drifted => "schema_drifted",
        TargetChanged | Disconnected => "skill_quarantined",
    }
}
