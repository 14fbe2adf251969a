//! What an organization of some size does over years: a few big days, and then one small change after the other.

use events::agent::{AgentCreated, Published, PublishedIntegration, PublishedSkill, RolledBack};
use events::integration::*;
use events::key::{KeyMinted, KeyRevoked, KeyRotated};
use events::scoping::{Blocked, ScopingChanged};
use events::skill::{BindingDrafted, BindingRevised, Definition, SkillDisabled, SkillEnabled};
use events::{AgentId, Event, IntegrationKind, KeyId, Seq, SkillId, Subject, SubjectKind, VersionId};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

const AGENTS: usize = 25;
const SKILLS_EACH: usize = 16;
const KEYS: usize = 60;
const KIND: IntegrationKind = IntegrationKind::Postgres;

/// A definition as the compiler makes it; text, name and hash change from one to the next.
const DRAFTED: &str = include_str!("../../../../events/samples/BindingDrafted.v1.json");

struct Skill {
    id: SkillId,
    agent: usize,
    definition: Definition,
    drafted_at: Seq,
}

/// Makes events without end, each as if those before it stood in the log from 1 on.
pub struct History {
    random: u64,
    next: Seq,
    sample: Definition,
    agents: Vec<(AgentId, Vec<VersionId>)>,
    skills: Vec<Skill>,
    keys: Vec<KeyId>,
    ready: Vec<(Subject, Event)>,
}

impl Iterator for History {
    type Item = (Subject, Event);

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() {
            self.something_happens();
            self.ready.reverse();
        }
        self.next = Seq(self.next.0 + 1);
        self.ready.pop()
    }
}

impl History {
    /// The same every time.
    /// Another seed, other ids: a key belongs to one organization.
    pub fn new(seed: u64) -> Self {
        let sample: serde_json::Value = serde_json::from_str(DRAFTED).expect("JSON");
        let drafted: BindingDrafted = serde_json::from_value(sample["data"].clone()).expect("a draft");
        let mut history = Self {
            random: 0x9e37_79b9_7f4a_7c15 ^ seed,
            next: Seq(1),
            sample: drafted.definition,
            agents: Vec::new(),
            skills: Vec::new(),
            keys: Vec::new(),
            ready: Vec::new(),
        };
        history.begin();
        history
    }

    /// Where the next event that is put into `ready` will stand.
    fn at(&self) -> Seq {
        Seq(self.next.0 + self.ready.len() as u64)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random % bound as u64).expect("below a usize")
    }

    fn id(&mut self, prefix: &str) -> String {
        let (high, low) = (self.below(usize::MAX), self.below(usize::MAX));
        format!("{prefix}_{high:016x}{low:016x}")
    }

    fn push(&mut self, kind: SubjectKind, id: impl std::fmt::Display, event: impl Into<Event>) {
        self.ready.push((Subject::new(kind, id), event.into()));
    }

    fn begin(&mut self) {
        let endpoint = Endpoint {
            host: "db.clinic.example".to_owned(),
            port: 5432,
            database: "clinic".to_owned(),
            user: "flowyte_ro".to_owned(),
            sslmode: SslMode::VerifyFull,
            ca_sha256: None,
        };
        let connected = Connected { kind: KIND, endpoint, credential_version: 1 };
        self.push(SubjectKind::Integration, KIND, connected);
        self.discovered();
        for _ in 0..KEYS {
            self.minted();
        }
        for number in 0..AGENTS {
            let id = AgentId::from(self.id("agt"));
            let created = AgentCreated { name: format!("Front desk {number}"), description: None };
            self.push(SubjectKind::Agent, &id, created);
            self.agents.push((id, Vec::new()));
            for _ in 0..SKILLS_EACH {
                self.drafted(number);
            }
            self.published(number);
        }
        self.ready.reverse();
    }

    fn something_happens(&mut self) {
        let skill = self.below(self.skills.len());
        let agent = self.below(AGENTS);
        match self.below(100) {
            0..35 => self.revised(skill),
            35..45 => {
                let agent_id = self.agent_of(skill);
                let id = self.skills[skill].id.clone();
                self.push(SubjectKind::Skill, &id, SkillDisabled { agent_id: agent_id.clone() });
                self.push(SubjectKind::Skill, &id, SkillEnabled { agent_id, released: Vec::new() });
            }
            45..57 => self.published(agent),
            57..59 => self.rolled_back(agent),
            59..69 => self.discovered(),
            69..79 => self.blocked(),
            79..95 => self.rotated(),
            _ => {
                if let Some(at) = (self.keys.len() > KEYS).then(|| self.below(self.keys.len())) {
                    let key = self.keys.swap_remove(at);
                    self.push(SubjectKind::Key, key, KeyRevoked {});
                } else {
                    self.minted();
                }
            }
        }
    }

    fn agent_of(&self, skill: usize) -> AgentId {
        self.agents[self.skills[skill].agent].0.clone()
    }

    fn definition(&mut self, number: usize) -> Definition {
        let mut definition = self.sample.clone();
        let limit = 1 + self.below(100);
        definition.tool = format!("change_phone_{number}");
        definition.tool_name = format!("Change phone {number}");
        definition.description = format!("Changes a patient's phone number, in the words of draft {limit}");
        let table = format!("patients_{}", number % 40);
        let statement = std::sync::Arc::make_mut(&mut definition.statement);
        statement.text = statement.text.replace("patients", &table);
        statement.text.push_str(&format!(" /* {limit} */"));
        statement.object.clone_from(&table);
        statement.touches.iter_mut().for_each(|touched| touched.object.clone_from(&table));
        statement.hash = hex::encode(Sha256::digest(&statement.text));
        definition
    }

    fn drafted(&mut self, agent: usize) {
        let (id, at) = (SkillId::from(self.id("skl")), self.at());
        let definition = self.definition(self.skills.len());
        let agent_id = self.agents[agent].0.clone();
        let drafted = BindingDrafted { agent_id, enabled: true, definition: definition.clone() };
        self.push(SubjectKind::Skill, &id, drafted);
        self.skills.push(Skill { id, agent, definition, drafted_at: at });
    }

    fn revised(&mut self, skill: usize) {
        let (definition, at) = (self.definition(skill), self.at());
        let revised = BindingRevised { agent_id: self.agent_of(skill), definition: definition.clone() };
        let it = &mut self.skills[skill];
        (it.definition, it.drafted_at) = (definition, at);
        let id = it.id.clone();
        self.push(SubjectKind::Skill, id, revised);
    }

    fn published(&mut self, agent: usize) {
        let version_id = VersionId::from(self.id("ver"));
        let skills = self.skills.iter().filter(|skill| skill.agent == agent).map(|skill| PublishedSkill {
            skill_id: skill.id.clone(),
            tool: skill.definition.tool.clone(),
            statement_hash: skill.definition.statement.hash.clone(),
            drafted_at: skill.drafted_at,
        });
        let skills = skills.collect();
        let (id, versions) = &mut self.agents[agent];
        versions.push(version_id.clone());
        let version = u32::try_from(versions.len()).expect("few");
        let integrations = vec![PublishedIntegration {
            kind: KIND,
            schema_root: hex::encode([7; 32]),
            schema_hash: hex::encode([8; 32]),
            scoping_at: Seq(0),
        }];
        let published =
            Published { version_id, version, note: Some("As agreed".to_owned()), skills, integrations };
        let id = id.clone();
        self.push(SubjectKind::Agent, id, published);
    }

    /// To the version before, or to any earlier one.
    fn rolled_back(&mut self, agent: usize) {
        let from = self.agents[agent].1.len();
        let back = self.below(from);
        let (id, versions) = &self.agents[agent];
        let version = |number: usize| u32::try_from(number).expect("few");
        let rolled_back = RolledBack {
            version_id: versions[back].clone(),
            from_version: version(from),
            to_version: version(back + 1),
        };
        let id = id.clone();
        self.push(SubjectKind::Agent, id, rolled_back);
    }

    fn discovered(&mut self) {
        let discovered = Discovered {
            kind: KIND,
            schema_root: self.id("root"),
            schema_hash: hex::encode([8; 32]),
            object_count: 212,
            field_count: 2_840,
            edge_count: 190,
            operation_count: 620,
            changes: SchemaChanges::default(),
            released: Vec::new(),
        };
        self.push(SubjectKind::Integration, KIND, discovered);
    }

    /// A table is blocked, which stops up to five skills.
    fn blocked(&mut self) {
        let tables = (0..3).map(|_| format!("patients_{}", self.below(40)));
        let blocked = Blocked { blocked_tables: tables.collect::<BTreeSet<_>>(), ..Blocked::default() };
        self.push(SubjectKind::Scoping, KIND, ScopingChanged { kind: KIND, blocked });
        let stopped = (0..1 + self.below(5)).map(|_| {
            let skill = self.below(self.skills.len());
            let agent_id = self.agent_of(skill);
            let Skill { id, definition, .. } = &self.skills[skill];
            QuarantinedSkill {
                agent_id,
                skill_id: id.clone(),
                tool_name: definition.tool_name.clone(),
                cause: QuarantineCause::Blocked,
                reason: format!("{} is blocked", definition.statement.object),
                statement_hashes: vec![definition.statement.hash.clone()],
            }
        });
        let skills = stopped.collect();
        self.push(SubjectKind::Scoping, KIND, SkillsQuarantined { kind: KIND, skills });
    }

    fn minted(&mut self) {
        let key_id = KeyId::from(self.id("k"));
        let minted = KeyMinted {
            key_id: key_id.clone(),
            scopes: vec!["skills:call".to_owned(), "agents:read".to_owned()],
            secret_hash: hex::encode([9; 32]),
            expires_at: None,
        };
        self.push(SubjectKind::Key, &key_id, minted);
        self.keys.push(key_id);
    }

    fn rotated(&mut self) {
        self.minted();
        let successor = self.keys.last().cloned().expect("just minted");
        let at = self.below(self.keys.len() - 1);
        let key = self.keys.swap_remove(at);
        let valid_until = jiff::Timestamp::UNIX_EPOCH;
        self.push(SubjectKind::Key, key, KeyRotated { successor, valid_until });
    }
}
