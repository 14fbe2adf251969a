//! An organization at one moment without what served before that, which would grow with its history: of a version that
//! serves nobody, and of a definition that neither a draft nor a serving version holds, only the place in the log is
//! kept. A rollback brings them back from there.

use crate::agent::Version;
use crate::organization::Organization;
use events::agent::Published;
use events::skill::Definition;
use events::{AgentId, Event, OrganizationId, Recorded, Seq, SkillId, VersionId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Present {
    state: Organization,
    /// By the event that published them.
    versions: BTreeMap<VersionId, Seq>,
    /// By the events that drafted them.
    definitions: BTreeMap<SkillId, BTreeSet<Seq>>,
}

impl Present {
    pub fn empty(id: OrganizationId) -> Self {
        Self { state: Organization::empty(id), versions: BTreeMap::new(), definitions: BTreeMap::new() }
    }

    /// Complete when nothing is [`Present::missing`].
    pub fn state(&self) -> &Organization {
        &self.state
    }

    pub fn head(&self) -> Seq {
        self.state.head
    }

    /// Folds the next event, as [`Organization::apply`] does.
    pub fn apply(&mut self, recorded: &Recorded) {
        // What is made anew under a name takes the place of what had it.
        if let Event::BindingDrafted(_) = &recorded.event {
            self.definitions.remove(recorded.subject.id.as_str());
        }
        if let Event::Published(data) = &recorded.event {
            self.versions.remove(&data.version_id);
        }
        self.state.apply(recorded);
    }

    /// Leaves out what serves nobody.
    pub fn leave_out(&mut self) {
        let live: BTreeSet<&VersionId> =
            self.state.agents.values().filter_map(|agent| agent.live.as_ref()).collect();
        let mut needed: BTreeMap<&SkillId, BTreeSet<Seq>> = BTreeMap::new();
        for published in live.iter().filter_map(|id| self.state.versions.get(*id)).flat_map(|it| &it.skills) {
            needed.entry(&published.skill_id).or_default().insert(published.drafted_at);
        }
        for (id, skill) in &mut self.state.skills {
            let needed = needed.get(id);
            let is_needed = |at: &Seq| *at == skill.draft_at || needed.is_some_and(|it| it.contains(at));
            let left_out: Vec<Seq> = skill.definitions.keys().filter(|at| !is_needed(at)).copied().collect();
            if !left_out.is_empty() {
                let skill = Arc::make_mut(skill);
                left_out.iter().for_each(|at| drop(skill.definitions.remove(at)));
                self.definitions.entry(id.clone()).or_default().extend(left_out);
            }
        }
        let versions = &mut self.versions;
        self.state.versions.retain(|id, version| {
            let serves = live.contains(id);
            if !serves {
                versions.insert(id.clone(), version.published_seq);
            }
            serves
        });
    }

    /// Where in the log stands what serves now and was left out before. When all that was brought back, there may be
    /// more: a version has definitions.
    pub fn missing(&self) -> BTreeSet<Seq> {
        let mut missing = BTreeSet::new();
        for id in self.state.agents.values().filter_map(|agent| agent.live.as_ref()) {
            missing.extend(self.versions.get(id));
            let skills = self.state.versions.get(id).map(|version| version.skills.as_slice());
            missing.extend(skills.unwrap_or_default().iter().filter_map(|published| {
                self.definitions.get(&published.skill_id)?.get(&published.drafted_at)
            }));
        }
        missing
    }

    /// Puts back what this event made. False when it made nothing that was left out.
    pub fn bring_back(&mut self, recorded: &Recorded) -> bool {
        if let Event::Published(data) = &recorded.event {
            self.bring_back_version(recorded, data)
        } else if let Event::BindingDrafted(data) = &recorded.event {
            self.bring_back_definition(recorded, &data.definition)
        } else if let Event::BindingRevised(data) = &recorded.event {
            self.bring_back_definition(recorded, &data.definition)
        } else {
            false
        }
    }

    fn bring_back_version(&mut self, recorded: &Recorded, data: &Published) -> bool {
        if self.versions.get(&data.version_id) != Some(&recorded.seq) {
            return false;
        }
        self.versions.remove(&data.version_id);
        let agent_id = AgentId::from(recorded.subject.id.clone());
        let version = Arc::new(Version::published(agent_id, recorded, data));
        self.state.versions.insert(data.version_id.clone(), version);
        true
    }

    fn bring_back_definition(&mut self, recorded: &Recorded, definition: &Definition) -> bool {
        let id = recorded.subject.id.as_str();
        let Some(left_out) = self.definitions.get_mut(id) else { return false };
        let was_left_out = left_out.remove(&recorded.seq);
        if left_out.is_empty() {
            self.definitions.remove(id);
        }
        if let Some(skill) = self.state.skills.get_mut(id).filter(|_| was_left_out) {
            Arc::make_mut(skill).definitions.insert(recorded.seq, Arc::new(definition.clone()));
        }
        was_left_out
    }
}
