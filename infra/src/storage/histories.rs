//! Made-up histories of one organization, in which events meet each other. Every backend folds them to the same.

use super::chain::{self, Head};
use super::conformance::{acme, commit};
use domain::Organization;
use events::agent::{AgentCreated, Published, PublishedSkill, RolledBack};
use events::integration::*;
use events::key::{KeyMinted, KeyRenamed, KeyRevoked, KeyRotated};
use events::scoping::{Blocked, ScopingChanged};
use events::skill::{BindingDrafted, BindingRevised, Definition, SkillDisabled, SkillEnabled, SkillRemoved};
use events::{Event, IntegrationKind, Recorded, Seq, Subject, SubjectKind};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What happens, with the numbers that choose among few ids, so that events meet.
pub type Step = (u8, u8, u8, f64);

pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let number = prop_oneof![-1e18..1e18_f64, proptest::num::f64::NORMAL];
    proptest::collection::vec((0..19_u8, 0..4_u8, 0..4_u8, number), 1..60)
}

pub fn definition(hash: u8, constant: f64) -> Definition {
    let sample = include_str!("../../../events/samples/BindingDrafted.v1.json");
    let sample: serde_json::Value = serde_json::from_str(sample).expect("JSON");
    let drafted: BindingDrafted = serde_json::from_value(sample["data"].clone()).expect("a draft");
    let mut definition = drafted.definition;
    let statement = std::sync::Arc::make_mut(&mut definition.statement);
    statement.hash = format!("hash{hash}");
    statement.parameters[2].value = Some(constant.into());
    definition
}

fn event(at: usize, (what, a, b, number): Step) -> (Subject, Event) {
    let kind = IntegrationKind::ALL[usize::from(a % 2)];
    let integration = Subject::new(SubjectKind::Integration, kind);
    let scoping = Subject::new(SubjectKind::Scoping, kind);
    let agent = Subject::new(SubjectKind::Agent, format!("agt_{}", a % 2));
    let skill = Subject::new(SubjectKind::Skill, format!("skl_{a}"));
    let key = Subject::new(SubjectKind::Key, format!("k{a}"));
    let agent_id = events::AgentId::from(agent.id.clone());
    let endpoint = Endpoint {
        host: "db.example".to_owned(),
        port: 5432,
        database: format!("d{b}"),
        user: "u".to_owned(),
        sslmode: SslMode::VerifyFull,
        ca_sha256: None,
    };
    let causes = [
        QuarantineCause::Blocked,
        QuarantineCause::Drifted,
        QuarantineCause::TargetChanged,
        QuarantineCause::Disconnected,
    ];
    let hashes = vec![format!("hash{b}"), "hash0".to_owned()];
    let version = u32::try_from(at).expect("small");
    match what {
        0 => (integration, Connected { kind, endpoint, credential_version: version }.into()),
        1 => {
            let target_changed = b == 0;
            let rotated = CredentialsRotated { kind, endpoint, credential_version: version, target_changed };
            (integration, rotated.into())
        }
        2 => {
            let discovered = Discovered {
                kind,
                schema_root: format!("root{b}"),
                schema_hash: format!("schema{b}"),
                object_count: 1,
                field_count: 2,
                edge_count: 3,
                operation_count: 4,
                changes: SchemaChanges::default(),
                released: hashes,
            };
            (integration, discovered.into())
        }
        3 => {
            let blocked = Blocked {
                blocked_tables: (0..b).map(|table| format!("t{table}")).collect(),
                blocked_columns: BTreeMap::from([("t".to_owned(), BTreeSet::from([format!("c{b}")]))]),
            };
            (scoping, ScopingChanged { kind, blocked }.into())
        }
        4 => {
            let quarantined = QuarantinedSkill {
                agent_id,
                skill_id: format!("skl_{b}").into(),
                tool_name: "a tool".to_owned(),
                cause: causes[usize::from(b)],
                reason: "because".to_owned(),
                statement_hashes: hashes,
            };
            let subject = if b % 2 == 0 { scoping } else { integration };
            (subject, SkillsQuarantined { kind, skills: vec![quarantined] }.into())
        }
        5 => (integration, Disconnected { kind }.into()),
        6 => (integration, CredentialsShredded { kind, credential_versions: vec![version] }.into()),
        7 => (agent, AgentCreated { name: format!("agent {at}"), description: None }.into()),
        8 => {
            let published = Published {
                version_id: format!("ver_{at}").into(),
                version,
                note: None,
                skills: vec![PublishedSkill {
                    skill_id: format!("skl_{b}").into(),
                    tool: "a_tool".to_owned(),
                    statement_hash: format!("hash{b}"),
                    drafted_at: Seq(u64::from(version / 2)),
                }],
                integrations: Vec::new(),
            };
            (agent, published.into())
        }
        9 => {
            let version_id = format!("ver_{}", at.saturating_sub(usize::from(b))).into();
            (agent, RolledBack { version_id, from_version: version, to_version: 1 }.into())
        }
        10 => (skill, BindingDrafted { agent_id, enabled: b == 0, definition: definition(b, number) }.into()),
        11 => (skill, BindingRevised { agent_id, definition: definition(b, number) }.into()),
        12 => (skill, SkillEnabled { agent_id, released: hashes }.into()),
        13 => (skill, SkillDisabled { agent_id }.into()),
        14 => (skill, SkillRemoved { agent_id }.into()),
        15 => {
            let minted = KeyMinted {
                key_id: key.id.as_str().into(),
                scopes: vec!["agents:read".to_owned()],
                secret_hash: "00".repeat(32),
                expires_at: (b == 0).then(crate::storage::conformance::noon),
            };
            (key, minted.into())
        }
        16 => {
            let valid_until = crate::storage::conformance::noon();
            (key, KeyRotated { successor: format!("k{b}").as_str().into(), valid_until }.into())
        }
        17 => (key, KeyRenamed { erased: b == 0 }.into()),
        _ => (key, KeyRevoked {}.into()),
    }
}

pub fn events(steps: &[Step]) -> Vec<(Subject, Event)> {
    steps.iter().enumerate().map(|(at, step)| event(at + 1, *step)).collect()
}

/// As the log records them, in one commit.
pub fn recorded(steps: &[Step]) -> Vec<Recorded> {
    let (row, recorded) = chain::stamp(&Head::START, commit(&acme(), "all", events(steps))).expect("fits");
    let read = chain::Chain::after(&acme(), Head::START).decode(&row).expect("decodes");
    assert_eq!(read, recorded, "what is folded live is what is read later");
    recorded
}

pub fn fold(mut state: Organization, events: &[Recorded]) -> Organization {
    for event in events {
        state.apply(event);
    }
    state
}

/// `make prove` sets the variable.
pub fn cases(everyday: u32) -> u32 {
    if std::env::var_os("BINDERY_PROVE").is_some() { everyday * 20 } else { everyday }
}
