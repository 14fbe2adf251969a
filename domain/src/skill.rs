//! Skills: drafts, their revisions, and what stops them.

use crate::catalog::{Catalog, drift};
use crate::limits::SKILLS_MAX;
use crate::organization::{Decision, Organization};
use crate::refusal::Refusal;
use crate::statement::{SLUG_MAX, slug};
use events::integration::{QuarantineCause, QuarantinedSkill, SkillsQuarantined};
use events::skill::{
    BindingDrafted, BindingRevised, Definition, SkillDisabled, SkillEnabled, SkillRemoved, Statement,
};
use events::{AgentId, IntegrationKind, Recorded, Seq, SkillId, Subject, SubjectKind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

// Stream

pub fn subject(id: &SkillId) -> Subject {
    Subject::new(SubjectKind::Skill, id)
}

// Fold

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Skill {
    pub version: Seq,
    /// The last event that changed anything here, another stream's too: what an `ETag` tells.
    pub revision: Seq,
    pub agent_id: AgentId,
    /// The draft, and every definition that a published version holds, by the event that drafted it.
    pub definitions: BTreeMap<Seq, Arc<Definition>>,
    pub draft_at: Seq,
    /// Definitions that a version holds.
    pub published: BTreeSet<Seq>,
    pub is_enabled: bool,
    pub removed: bool,
    /// Statement hashes that may not run.
    pub quarantined: BTreeMap<String, Quarantine>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quarantine {
    pub cause: QuarantineCause,
    pub reason: String,
    pub since: Timestamp,
}

impl Skill {
    pub(crate) fn drafted(recorded: &Recorded, data: &BindingDrafted) -> Self {
        Self {
            version: recorded.seq,
            revision: recorded.seq,
            agent_id: data.agent_id.clone(),
            definitions: BTreeMap::from([(recorded.seq, Arc::new(data.definition.clone()))]),
            draft_at: recorded.seq,
            published: BTreeSet::new(),
            is_enabled: data.enabled,
            removed: false,
            quarantined: BTreeMap::new(),
            created_at: recorded.recorded_at,
            updated_at: recorded.recorded_at,
        }
    }

    pub(crate) fn revised(&mut self, recorded: &Recorded, data: &BindingRevised) {
        self.touched(recorded);
        if !self.published.contains(&self.draft_at) {
            self.definitions.remove(&self.draft_at);
        }
        self.draft_at = recorded.seq;
        self.definitions.insert(recorded.seq, Arc::new(data.definition.clone()));
    }

    pub(crate) fn enabled(&mut self, recorded: &Recorded, data: &SkillEnabled) {
        self.touched(recorded);
        self.is_enabled = true;
        self.quarantined.retain(|hash, _| !data.released.contains(hash));
    }

    pub(crate) fn disabled(&mut self, recorded: &Recorded) {
        self.touched(recorded);
        self.is_enabled = false;
    }

    pub(crate) fn removed(&mut self, recorded: &Recorded) {
        self.touched(recorded);
        self.removed = true;
        self.is_enabled = false;
    }

    pub(crate) fn quarantined(&mut self, recorded: &Recorded, data: &QuarantinedSkill) {
        self.revision = recorded.seq;
        for hash in &data.statement_hashes {
            let quarantine =
                Quarantine { cause: data.cause, reason: data.reason.clone(), since: recorded.recorded_at };
            self.quarantined.insert(hash.clone(), quarantine);
        }
    }

    pub(crate) fn released_by_discovery(&mut self, recorded: &Recorded, released: &[String]) {
        self.revision = recorded.seq;
        self.quarantined
            .retain(|hash, quarantine| !(quarantine.cause.ends_with_discovery() && released.contains(hash)));
    }

    pub(crate) fn keep_needed(&self, drafted_at: Seq) -> bool {
        !self.published.contains(&drafted_at)
    }

    pub(crate) fn keep(&mut self, drafted_at: Seq) {
        self.published.insert(drafted_at);
    }

    fn touched(&mut self, recorded: &Recorded) {
        self.version = recorded.seq;
        self.revision = recorded.seq;
        self.updated_at = recorded.recorded_at;
    }

    pub fn may_be_released_by_discovery(&self, hash: &str) -> bool {
        self.quarantined.get(hash).is_some_and(|quarantine| quarantine.cause.ends_with_discovery())
    }

    pub fn draft(&self) -> &Arc<Definition> {
        &self.definitions[&self.draft_at]
    }
}

impl Organization {
    /// The agent's skill with this id, unless it was removed.
    pub fn skill(&self, agent: &AgentId, id: &str) -> Result<(&SkillId, &Arc<Skill>), Refusal> {
        self.skills
            .get_key_value(id)
            .filter(|(_, skill)| skill.agent_id == *agent && !skill.removed)
            .ok_or(Refusal::NotFound { what: "skill" })
    }

    fn tool_is_free(&self, agent: &AgentId, tool: &str, except: Option<&SkillId>) -> Result<(), Refusal> {
        let taken = self.skills_of(agent).any(|(id, skill)| Some(id) != except && skill.draft().tool == tool);
        if taken { Err(Refusal::ToolNameTaken { tool: tool.to_owned() }) } else { Ok(()) }
    }

    /// A tool name that no skill of the agent has: this one, or else with the first number behind it that is free.
    pub fn free_tool_name(&self, agent: &AgentId, wanted: &str) -> String {
        let Some(tool) = slug(wanted).filter(|tool| self.tool_is_free(agent, tool, None).is_err()) else {
            return wanted.to_owned();
        };
        let numbered = |number: usize| {
            let number = format!("_{number}");
            format!("{}{number}", &tool[..tool.len().min(SLUG_MAX - number.len())])
        };
        let mut names = (2..).map(numbered);
        names
            .find(|name| self.tool_is_free(agent, name, None).is_ok())
            .expect("skills are fewer than numbers")
    }
}

// Decisions

/// A new draft. A write lands disabled for review whatever its author asks.
pub fn draft(
    organization: &Organization,
    agent_id: &AgentId,
    id: &SkillId,
    definition: Definition,
    enabled: bool,
) -> Result<Decision, Refusal> {
    organization.agent(agent_id.as_str())?;
    if organization.skills_of(agent_id).count() >= SKILLS_MAX {
        return Err(Refusal::LimitReached { what: "skills of one agent", limit: SKILLS_MAX });
    }
    organization.tool_is_free(agent_id, &definition.tool, None)?;
    let enabled = enabled && !definition.statement.action.is_write();
    let drafted = BindingDrafted { agent_id: agent_id.clone(), enabled, definition };
    Ok(Decision::on_everything(vec![(subject(id), drafted.into())]))
}

/// What a review changes. `definition` is the draft after it, compiled again where the statement depends on it.
pub fn revise(
    organization: &Organization,
    agent_id: &AgentId,
    id: &SkillId,
    definition: Option<Definition>,
    enabled: Option<bool>,
    catalog: Option<&Catalog>,
) -> Result<Decision, Refusal> {
    let (_, skill) = organization.skill(agent_id, id.as_str())?;
    let mut events = Vec::new();
    let revised = definition.filter(|definition| definition != skill.draft().as_ref());
    if let Some(definition) = &revised {
        organization.tool_is_free(agent_id, &definition.tool, Some(id))?;
        let event = BindingRevised { agent_id: agent_id.clone(), definition: definition.clone() };
        events.push((subject(id), event.into()));
    }
    match enabled {
        Some(true) => {
            let released = releasable(organization, skill, catalog);
            if !skill.is_enabled || !released.is_empty() {
                let event = SkillEnabled { agent_id: agent_id.clone(), released };
                events.push((subject(id), event.into()));
            }
        }
        Some(false) if skill.is_enabled => {
            events.push((subject(id), SkillDisabled { agent_id: agent_id.clone() }.into()));
        }
        Some(false) | None => {}
    }
    Ok(Decision::on_everything(events))
}

/// Quarantined statements that are valid today: those a person may let run again.
fn releasable(organization: &Organization, skill: &Skill, catalog: Option<&Catalog>) -> Vec<String> {
    let Some(catalog) = catalog else { return Vec::new() };
    let kind = skill.draft().kind;
    if organization.connection(kind).is_err() {
        return Vec::new();
    }
    let blocked = organization.blocked(kind);
    let valid = |hash: &&String| {
        let mut statements = skill.definitions.values().map(|definition| &definition.statement);
        statements
            .find(|statement| statement.hash == **hash)
            .is_some_and(|statement| drift(statement, catalog, blocked).is_none())
    };
    skill.quarantined.keys().filter(valid).cloned().collect()
}

pub fn remove(organization: &Organization, agent_id: &AgentId, id: &SkillId) -> Result<Decision, Refusal> {
    organization.skill(agent_id, id.as_str())?;
    let removed = SkillRemoved { agent_id: agent_id.clone() };
    Ok(Decision::on([subject(id)], vec![(subject(id), removed.into())]))
}

/// Stops every runnable statement of this kind that `judge` finds unfit and that is not stopped for as strong a
/// reason already. One event, however many skills.
pub fn quarantine(
    organization: &Organization,
    kind: IntegrationKind,
    judge: impl Fn(&Statement) -> Option<(QuarantineCause, String)>,
) -> Option<SkillsQuarantined> {
    let mut skills = Vec::new();
    for (id, skill, statements) in organization.runnable(kind) {
        let mut found: Vec<(QuarantineCause, String, Vec<String>)> = Vec::new();
        for statement in statements {
            let Some((cause, reason)) = judge(statement) else { continue };
            let stopped_as_strongly = skill
                .quarantined
                .get(&statement.hash)
                .is_some_and(|known| !known.cause.ends_with_discovery() || cause.ends_with_discovery());
            if stopped_as_strongly {
                continue;
            }
            match found.iter_mut().find(|(known, text, _)| *known == cause && *text == reason) {
                Some((_, _, hashes)) => hashes.push(statement.hash.clone()),
                None => found.push((cause, reason, vec![statement.hash.clone()])),
            }
        }
        skills.extend(found.into_iter().map(|(cause, reason, statement_hashes)| QuarantinedSkill {
            agent_id: skill.agent_id.clone(),
            skill_id: id.clone(),
            tool_name: skill.draft().tool_name.clone(),
            cause,
            reason,
            statement_hashes,
        }));
    }
    (!skills.is_empty()).then_some(SkillsQuarantined { kind, skills })
}
