//! Everything an organization's log says, folded. This is what decisions are made on and what reads are served from.

use crate::agent::{Agent, Version};
use crate::integration::Integration;
use crate::key::Key;
use crate::scoping::Scoping;
use crate::skill::Skill;
use crate::subscription::Subscription;
use events::skill::{Definition, Statement};
use events::{
    AgentId, Event, IntegrationKind, KeyId, OrganizationId, Recorded, Seq, SkillId, Subject, SubjectKind,
    SubscriptionId, VersionId,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Cheap to clone: aggregates are shared until an event changes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Organization {
    pub id: OrganizationId,
    pub head: Seq,
    pub integrations: BTreeMap<IntegrationKind, Arc<Integration>>,
    pub scopings: BTreeMap<IntegrationKind, Arc<Scoping>>,
    pub agents: BTreeMap<AgentId, Arc<Agent>>,
    pub versions: BTreeMap<VersionId, Arc<Version>>,
    pub skills: BTreeMap<SkillId, Arc<Skill>>,
    pub keys: BTreeMap<KeyId, Arc<Key>>,
    pub subscriptions: BTreeMap<SubscriptionId, Arc<Subscription>>,
}

/// One aggregate's state as it is kept beside the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub subject: Subject,
    /// `seq` of the last event of the subject's own stream.
    pub version: Seq,
    pub body: String,
}

/// What a command decided: the events, and what the decision relies on.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub reads: Reads,
    /// None at all when the command is already true.
    pub events: Vec<(Subject, Event)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reads {
    /// These streams must not have moved.
    Streams(Vec<Subject>),
    /// Nothing may have moved: the decision spans aggregates.
    Everything,
}

impl Decision {
    pub fn on_everything(events: Vec<(Subject, Event)>) -> Self {
        Self { reads: Reads::Everything, events }
    }

    pub fn on(streams: impl IntoIterator<Item = Subject>, events: Vec<(Subject, Event)>) -> Self {
        Self { reads: Reads::Streams(streams.into_iter().collect()), events }
    }
}

/// A skill as a live call finds it.
#[derive(Clone, Copy, Debug)]
pub struct Live<'a> {
    pub skill_id: &'a SkillId,
    pub skill: &'a Skill,
    pub definition: &'a Arc<Definition>,
    /// The agent's version number.
    pub version: u32,
}

impl Live<'_> {
    /// Its calls are refused until a person or a discovery lets it run again.
    pub fn is_quarantined(&self) -> bool {
        self.skill.quarantined.contains_key(&self.definition.statement.hash)
    }
}

impl Organization {
    pub fn empty(id: OrganizationId) -> Self {
        Self {
            id,
            head: Seq(0),
            integrations: BTreeMap::new(),
            scopings: BTreeMap::new(),
            agents: BTreeMap::new(),
            versions: BTreeMap::new(),
            skills: BTreeMap::new(),
            keys: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
        }
    }

    /// Folds the next event and returns every subject whose document it changed.
    ///
    /// Total: an event that no decision of ours would make changes what it can and never panics, because the log
    /// outlives the code that wrote it.
    pub fn apply(&mut self, recorded: &Recorded) -> Vec<Subject> {
        self.head = recorded.seq;
        let mut touched = vec![recorded.subject.clone()];
        match &recorded.event {
            Event::Connected(data) => self.integration_mut(data.kind).connected(recorded, data),
            Event::CredentialsRotated(data) => self.integration_mut(data.kind).rotated(recorded, data),
            Event::Discovered(data) => {
                self.integration_mut(data.kind).discovered(recorded, data);
                for (id, skill) in &mut self.skills {
                    if data.released.iter().any(|hash| skill.may_be_released_by_discovery(hash)) {
                        Arc::make_mut(skill).released_by_discovery(recorded, &data.released);
                        touched.push(Subject::new(SubjectKind::Skill, id));
                    }
                }
            }
            Event::SkillsQuarantined(data) => {
                match recorded.subject.kind {
                    SubjectKind::Scoping => self.scoping_mut(data.kind).version = recorded.seq,
                    SubjectKind::Integration
                    | SubjectKind::Agent
                    | SubjectKind::Skill
                    | SubjectKind::Key
                    | SubjectKind::Subscription
                    | SubjectKind::Version => self.integration_mut(data.kind).version = recorded.seq,
                }
                for quarantined in &data.skills {
                    if let Some(skill) = self.skills.get_mut(&quarantined.skill_id) {
                        Arc::make_mut(skill).quarantined(recorded, quarantined);
                        touched.push(Subject::new(SubjectKind::Skill, &quarantined.skill_id));
                    }
                }
            }
            Event::Disconnected(data) => self.integration_mut(data.kind).disconnected(recorded),
            Event::CredentialsShredded(data) => self.integration_mut(data.kind).version = recorded.seq,
            Event::ScopingChanged(data) => self.scoping_mut(data.kind).changed(recorded, data),
            Event::AgentCreated(data) => {
                let id = AgentId::from(recorded.subject.id.clone());
                self.agents.insert(id, Arc::new(Agent::created(recorded, data)));
            }
            Event::Published(data) => {
                let agent_id = AgentId::from(recorded.subject.id.clone());
                if let Some(agent) = self.agents.get_mut(&agent_id) {
                    Arc::make_mut(agent).published(recorded, data);
                }
                self.versions
                    .insert(data.version_id.clone(), Arc::new(Version::published(agent_id, recorded, data)));
                touched.push(Subject::new(SubjectKind::Version, &data.version_id));
                for published in &data.skills {
                    if let Some(skill) = self.skills.get_mut(&published.skill_id)
                        && skill.keep_needed(published.drafted_at)
                    {
                        Arc::make_mut(skill).keep(published.drafted_at);
                        touched.push(Subject::new(SubjectKind::Skill, &published.skill_id));
                    }
                }
            }
            Event::RolledBack(data) => {
                if let Some(agent) = self.agents.get_mut(recorded.subject.id.as_str()) {
                    Arc::make_mut(agent).rolled_back(recorded, data);
                }
            }
            Event::BindingDrafted(data) => {
                let id = SkillId::from(recorded.subject.id.clone());
                self.skills.insert(id, Arc::new(Skill::drafted(recorded, data)));
            }
            Event::BindingRevised(data) => self.with_skill(recorded, |skill| skill.revised(recorded, data)),
            Event::SkillEnabled(data) => self.with_skill(recorded, |skill| skill.enabled(recorded, data)),
            Event::SkillDisabled(_) => self.with_skill(recorded, |skill| skill.disabled(recorded)),
            Event::SkillRemoved(_) => self.with_skill(recorded, |skill| skill.removed(recorded)),
            Event::KeyMinted(data) => {
                self.keys.insert(data.key_id.clone(), Arc::new(Key::minted(recorded, data)));
            }
            Event::KeyRotated(data) => {
                if let Some(key) = self.keys.get_mut(recorded.subject.id.as_str()) {
                    Arc::make_mut(key).rotated(recorded, data);
                }
            }
            Event::KeyRevoked(_) => {
                if let Some(key) = self.keys.get_mut(recorded.subject.id.as_str()) {
                    Arc::make_mut(key).revoked(recorded);
                }
            }
            Event::KeyRenamed(_) => {
                if let Some(key) = self.keys.get_mut(recorded.subject.id.as_str()) {
                    Arc::make_mut(key).version = recorded.seq;
                }
            }
            Event::SubscriptionCreated(data) => {
                let id = SubscriptionId::from(recorded.subject.id.clone());
                self.subscriptions.insert(id, Arc::new(Subscription::created(recorded, data)));
            }
            Event::SubscriptionSecretRotated(data) => {
                self.with_subscription(recorded, |it| it.secret_rotated(recorded, data));
            }
            Event::SubscriptionParked(data) => {
                self.with_subscription(recorded, |it| it.parked(recorded, data));
            }
            Event::SubscriptionResumed(_) => self.with_subscription(recorded, |it| it.resumed(recorded)),
            Event::SubscriptionDeleted(_) => self.with_subscription(recorded, |it| it.deleted(recorded)),
        }
        touched
    }

    fn integration_mut(&mut self, kind: IntegrationKind) -> &mut Integration {
        Arc::make_mut(self.integrations.entry(kind).or_default())
    }

    fn scoping_mut(&mut self, kind: IntegrationKind) -> &mut Scoping {
        Arc::make_mut(self.scopings.entry(kind).or_default())
    }

    fn with_skill(&mut self, recorded: &Recorded, change: impl FnOnce(&mut Skill)) {
        if let Some(skill) = self.skills.get_mut(recorded.subject.id.as_str()) {
            change(Arc::make_mut(skill));
        }
    }

    fn with_subscription(&mut self, recorded: &Recorded, change: impl FnOnce(&mut Subscription)) {
        if let Some(subscription) = self.subscriptions.get_mut(recorded.subject.id.as_str()) {
            change(Arc::make_mut(subscription));
        }
    }

    /// Last `seq` of the subject's own stream, 0 when it has none.
    pub fn version(&self, subject: &Subject) -> Seq {
        let id = subject.id.as_str();
        let kind = IntegrationKind::parse(id);
        let version = match subject.kind {
            SubjectKind::Integration => {
                kind.and_then(|kind| self.integrations.get(&kind)).map(|it| it.version)
            }
            SubjectKind::Scoping => kind.and_then(|kind| self.scopings.get(&kind)).map(|it| it.version),
            SubjectKind::Agent => self.agents.get(id).map(|it| it.version),
            SubjectKind::Skill => self.skills.get(id).map(|it| it.version),
            SubjectKind::Key => self.keys.get(id).map(|it| it.version),
            SubjectKind::Subscription => self.subscriptions.get(id).map(|it| it.version),
            SubjectKind::Version => self.versions.get(id).map(|it| it.published_seq),
        };
        version.unwrap_or_default()
    }

    pub fn document(&self, subject: &Subject) -> Option<Document> {
        let id = subject.id.as_str();
        let kind = IntegrationKind::parse(id);
        let body = match subject.kind {
            SubjectKind::Integration => kind.and_then(|kind| self.integrations.get(&kind)).map(json),
            SubjectKind::Scoping => kind.and_then(|kind| self.scopings.get(&kind)).map(json),
            SubjectKind::Agent => self.agents.get(id).map(json),
            SubjectKind::Skill => self.skills.get(id).map(json),
            SubjectKind::Key => self.keys.get(id).map(json),
            SubjectKind::Subscription => self.subscriptions.get(id).map(json),
            SubjectKind::Version => self.versions.get(id).map(json),
        }?;
        Some(Document { subject: subject.clone(), version: self.version(subject), body })
    }

    /// How many documents there would be: a measure of the memory that this takes.
    pub fn size(&self) -> usize {
        let of_kinds = self.integrations.len() + self.scopings.len();
        let of_agents = self.agents.len() + self.versions.len() + self.skills.len();
        of_kinds + of_agents + self.keys.len() + self.subscriptions.len()
    }

    /// Every document, kind by kind.
    pub fn documents(&self) -> Vec<Document> {
        let integrations = self.integrations.keys().map(|id| Subject::new(SubjectKind::Integration, id));
        let scopings = self.scopings.keys().map(|id| Subject::new(SubjectKind::Scoping, id));
        let agents = self.agents.keys().map(|id| Subject::new(SubjectKind::Agent, id));
        let skills = self.skills.keys().map(|id| Subject::new(SubjectKind::Skill, id));
        let keys = self.keys.keys().map(|id| Subject::new(SubjectKind::Key, id));
        let versions = self.versions.keys().map(|id| Subject::new(SubjectKind::Version, id));
        let subscriptions = self.subscriptions.keys().map(|id| Subject::new(SubjectKind::Subscription, id));
        let of_agents = agents.chain(skills).chain(versions);
        let subjects = integrations.chain(scopings).chain(of_agents).chain(keys).chain(subscriptions);
        subjects.filter_map(|subject| self.document(&subject)).collect()
    }

    /// The state that these documents describe.
    ///
    /// # Errors
    /// A document that is not of today's shape: the caller folds the log again instead.
    pub fn from_documents(
        id: OrganizationId,
        head: Seq,
        documents: impl IntoIterator<Item = Document>,
    ) -> Result<Arc<Self>, String> {
        let mut organization = Self::empty(id);
        organization.head = head;
        for document in documents {
            let (subject, body) = (&document.subject, document.body.as_str());
            let kind = || {
                IntegrationKind::parse(&subject.id)
                    .ok_or_else(|| format!("{subject} names no kind of database"))
            };
            match subject.kind {
                SubjectKind::Integration => {
                    organization.integrations.insert(kind()?, parse(subject, body)?);
                }
                SubjectKind::Scoping => {
                    organization.scopings.insert(kind()?, parse(subject, body)?);
                }
                SubjectKind::Agent => {
                    organization.agents.insert(AgentId::from(subject.id.clone()), parse(subject, body)?);
                }
                SubjectKind::Skill => {
                    organization.skills.insert(SkillId::from(subject.id.clone()), parse(subject, body)?);
                }
                SubjectKind::Subscription => {
                    let id = SubscriptionId::from(subject.id.clone());
                    organization.subscriptions.insert(id, parse(subject, body)?);
                }
                SubjectKind::Key => {
                    organization.keys.insert(KeyId::from(subject.id.clone()), parse(subject, body)?);
                }
                SubjectKind::Version => {
                    organization.versions.insert(VersionId::from(subject.id.clone()), parse(subject, body)?);
                }
            }
        }
        Ok(Arc::new(organization))
    }

    /// The version that serves an agent's calls.
    pub fn live_version(&self, agent: &Agent) -> Option<&Arc<Version>> {
        agent.live.as_ref().and_then(|id| self.versions.get(id))
    }

    /// The published skill with this id or tool name.
    pub fn live_skill(&self, agent: &Agent, skill: &str) -> Option<Live<'_>> {
        let version = self.live_version(agent)?;
        // The id first: a tool may be named like another skill's id.
        let by_id = version.skills.iter().find(|it| it.skill_id.as_str() == skill);
        let published = by_id.or_else(|| version.skills.iter().find(|it| it.tool == skill))?;
        self.live(version, published)
    }

    /// What the agent's calls are served from, by the names of the tools.
    pub fn live_skills(&self, agent: &Agent) -> impl Iterator<Item = Live<'_>> {
        let version = self.live_version(agent);
        version
            .into_iter()
            .flat_map(|version| version.skills.iter().filter_map(|published| self.live(version, published)))
    }

    fn live<'a>(
        &'a self,
        version: &'a Version,
        published: &events::agent::PublishedSkill,
    ) -> Option<Live<'a>> {
        let (skill_id, skill) = self.skills.get_key_value(&published.skill_id)?;
        let definition = skill.definitions.get(&published.drafted_at)?;
        Some(Live { skill_id, skill, definition, version: version.version })
    }

    /// Every statement of this kind that may run today: drafts, and skills of the versions that serve calls.
    /// A statement that is both is listed once.
    pub fn runnable(&self, kind: IntegrationKind) -> Vec<(&SkillId, &Skill, Vec<&Statement>)> {
        let mut runnable: BTreeMap<&SkillId, (&Skill, Vec<&Statement>)> = BTreeMap::new();
        for (id, skill) in self.skills.iter().filter(|(_, skill)| !skill.removed) {
            runnable.insert(id, (skill, vec![&skill.draft().statement]));
        }
        for agent in self.agents.values() {
            let Some(version) = self.live_version(agent) else { continue };
            for live in version.skills.iter().filter_map(|published| self.live(version, published)) {
                let (_, statements) = runnable.entry(live.skill_id).or_insert((live.skill, Vec::new()));
                if statements.iter().all(|statement| statement.hash != live.definition.statement.hash) {
                    statements.push(&live.definition.statement);
                }
            }
        }
        runnable
            .into_iter()
            .filter(|(_, (skill, _))| skill.draft().kind == kind)
            .map(|(id, (skill, statements))| (id, skill, statements))
            .collect()
    }
}

fn json<T: serde::Serialize>(state: &Arc<T>) -> String {
    serde_json::to_string(state).expect("aggregates are JSON: their map keys are strings and numbers")
}

fn parse<T: DeserializeOwned>(subject: &Subject, body: &str) -> Result<Arc<T>, String> {
    serde_json::from_str(body).map(Arc::new).map_err(|error| format!("document {subject}: {error}"))
}
