//! Doorbells that ring twice, late, out of order or not at all, and projectors that die between any two steps.

use super::proxy::{Fault, Proxy};
use super::*;
use crate::storage::Compared;
use crate::storage::conformance::{acme, append, blocks, commit, fill, key};
use crate::storage::histories::definition;
use events::integration::{QuarantineCause, QuarantinedSkill, SkillsQuarantined};
use events::skill::BindingDrafted;
use events::{AgentId, Event, IntegrationKind, SkillId, Subject, SubjectKind};
use std::time::{Duration, Instant};

/// More than a transaction holds.
const SKILLS: usize = 105;

fn skill(at: usize) -> SkillId {
    SkillId::from(format!("skl_{at}"))
}

fn drafted(at: usize) -> (Subject, Event) {
    let agent_id = AgentId::from("agt_1");
    let drafted = BindingDrafted { agent_id, enabled: true, definition: definition(0, 1.0) };
    (Subject::new(SubjectKind::Skill, skill(at)), drafted.into())
}

/// One event that changes more documents than a transaction holds.
fn all_quarantined() -> (Subject, Event) {
    let quarantined = |at| QuarantinedSkill {
        agent_id: "agt_1".into(),
        skill_id: skill(at),
        tool_name: "a tool".to_owned(),
        cause: QuarantineCause::Blocked,
        reason: "because".to_owned(),
        statement_hashes: vec!["hash0".to_owned()],
    };
    let kind = IntegrationKind::Postgres;
    let data = SkillsQuarantined { kind, skills: (0..SKILLS).map(quarantined).collect() };
    (Subject::new(SubjectKind::Scoping, kind), data.into())
}

/// A log whose last commit cannot be projected in one transaction, projected up to there.
async fn with_many_skills(backend: &Dynamo) {
    let store = backend.open().await;
    let drafts: Vec<_> = (0..SKILLS).map(drafted).collect();
    for (at, drafts) in drafts.chunks(30).enumerate() {
        append(&*store, commit(&acme(), &format!("drafts {at}"), drafts.to_vec())).await;
    }
    store.project(&acme()).await.expect("projects");
    append(&*store, commit(&acme(), "quarantine", vec![all_quarantined(), key("a")])).await;
}

/// The views are those of a rebuild, and a process that starts now reads what the log says.
async fn assert_equal_to_a_rebuild(backend: &Dynamo) -> Compared {
    let store = backend.open().await;
    let compared = store.compare_projections(&acme()).await.expect("compares");
    assert!(compared.equal, "{compared:?}");
    assert_eq!(backend.open().await.state(&acme()).await.expect("a state").head, compared.head);
    compared
}

impl DynamoStore {
    async fn whole_state(&self, organization: &OrganizationId) -> Arc<Organization> {
        let mut state = Organization::empty(organization.clone());
        for event in self.read(organization, Seq(0), usize::MAX).await.expect("reads") {
            state.apply(&event);
        }
        Arc::new(state)
    }
}

#[tokio::test]
async fn a_doorbell_that_rings_again_finds_nothing_to_do() {
    let backend = Dynamo::new();
    let store = backend.open().await;
    assert_eq!(
        store.project(&acme()).await.expect("projects"),
        Projected { from: Seq(0), to: Seq(0), rebuilt: false },
        "of nobody"
    );
    fill(&*store, &acme(), &[2, 3]).await;
    let first = store.project(&acme()).await.expect("projects");
    assert_eq!((first, first.behind()), (Projected { from: Seq(0), to: Seq(5), rebuilt: false }, 5));
    let again = store.project(&acme()).await.expect("projects");
    assert_eq!((again, again.behind()), (Projected { from: Seq(5), to: Seq(5), rebuilt: false }, 0));
    assert_equal_to_a_rebuild(&backend).await;
}

#[tokio::test]
async fn one_doorbell_is_enough_for_all_that_were_lost_and_the_late_ones_find_nothing() {
    let backend = Dynamo::new();
    let store = backend.open().await;
    let sizes: Vec<usize> = (0..300).map(|at| 1 + at % 3).collect();
    fill(&*store, &acme(), &sizes).await;
    let projected = store.project(&acme()).await.expect("projects");
    assert_eq!(projected.behind(), sizes.iter().sum::<usize>() as u64);
    for _late in 0..3 {
        assert_eq!(store.project(&acme()).await.expect("projects").behind(), 0);
    }
    assert_equal_to_a_rebuild(&backend).await;
}

#[tokio::test]
async fn more_documents_than_a_transaction_holds_are_written_by_several() {
    let backend = Dynamo::new();
    with_many_skills(&backend).await;
    let store = backend.open().await;
    let projected = store.project(&acme()).await.expect("projects");
    assert!(!projected.rebuilt);
    let compared = assert_equal_to_a_rebuild(&backend).await;
    assert_eq!(compared.documents, SKILLS + 2);
    let state = backend.open().await.state(&acme()).await.expect("a state");
    assert!(state.skills.values().all(|skill| skill.quarantined.contains_key("hash0")));
}

#[tokio::test]
async fn a_document_larger_than_an_item_is_kept_in_parts() {
    let backend = Dynamo::new();
    let store = backend.open().await;
    // What does not compress: 40 names of 20 KB, in one document that is then replaced by a small one.
    let noise = |at: u64| {
        let mut state = at;
        let letters = (0..20_000).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'!' + u8::try_from((state >> 33) % 90).expect("below 90"))
        });
        letters.filter(|letter| !['"', '\\'].contains(letter)).collect::<String>()
    };
    for at in 0..40_u64 {
        let mut definition = definition(0, 1.0);
        let statement = std::sync::Arc::make_mut(&mut definition.statement);
        statement.hash = format!("hash{at}");
        statement.parameters[2].value = Some(noise(at + 1).into());
        let agent_id = AgentId::from("agt_1");
        let subject = Subject::new(SubjectKind::Skill, skill(0));
        let event = match at {
            0 => BindingDrafted { agent_id, enabled: true, definition }.into(),
            _ => events::skill::BindingRevised { agent_id, definition }.into(),
        };
        let head =
            append(&*store, commit(&acme(), &format!("draft {at}"), vec![(subject, event)])).await.state.head;
        let published = events::agent::Published {
            version_id: format!("ver_{at}").into(),
            version: 1,
            note: None,
            skills: vec![events::agent::PublishedSkill {
                skill_id: skill(0),
                tool: "a_tool".to_owned(),
                statement_hash: format!("hash{at}"),
                drafted_at: head,
            }],
            integrations: Vec::new(),
        };
        let subject = Subject::new(SubjectKind::Agent, "agt_1");
        append(&*store, commit(&acme(), &format!("publish {at}"), vec![(subject, published.into())])).await;
    }
    store.project(&acme()).await.expect("projects");
    let stored = store.stored(&acme()).await.expect("reads");
    assert!(stored.names.iter().any(|name| name.ends_with("skl_0#0001")), "{:?}", stored.names);
    assert_equal_to_a_rebuild(&backend).await;
    let fresh = backend.open().await;
    assert_eq!(*fresh.state(&acme()).await.expect("a state"), *fresh.whole_state(&acme()).await);

    append(&*store, commit(&acme(), "small again", vec![drafted(0)])).await;
    store.project(&acme()).await.expect("projects");
    assert_equal_to_a_rebuild(&backend).await;
    assert!(store.rebuild_projections(&acme()).await.expect("rebuilds").equal);
    let stored = store.stored(&acme()).await.expect("reads");
    assert!(!stored.names.iter().any(|name| name.ends_with("#0001")), "a rebuild leaves nothing behind");
}

#[tokio::test]
async fn a_projector_that_dies_at_any_step_leaves_nothing_that_the_next_one_does_not_mend() {
    for fault in [Fault::Down, Fault::DownAfter] {
        let mut deaths = 0;
        loop {
            let backend = Dynamo::new();
            with_many_skills(&backend).await;
            let proxy = Proxy::start().await;
            let patience = Patience { backoff: Duration::from_millis(5), ..Patience::default() };
            let store = backend.through(&proxy.url, patience).await;
            proxy.next(std::iter::repeat_n(Fault::Pass, deaths).chain([fault]));
            let died = store.project(&acme()).await.is_err();

            // Whatever stands there, a process that starts reads what the log says.
            let started = backend.open().await;
            let state = started.state(&acme()).await.expect("a state");
            assert_eq!(*state, *started.whole_state(&acme()).await, "{fault:?} at {deaths}");
            if !died {
                assert_equal_to_a_rebuild(&backend).await;
                break;
            }
            deaths += 1;
            // The next commit's doorbell, or the sweeper.
            append(&*started, commit(&acme(), "after", vec![blocks("after"), key("b")])).await;
            started.project(&acme()).await.expect("projects");
            assert_equal_to_a_rebuild(&backend).await;
        }
        assert_eq!(deaths, 3, "{fault:?}: the mark, a first batch, and the last one with the checkpoint");
    }
}

#[tokio::test]
async fn a_projector_asks_a_busy_service_again_and_an_answer_that_is_lost_is_no_second_write() {
    let backend = Dynamo::new();
    with_many_skills(&backend).await;
    let proxy = Proxy::start().await;
    let store = backend.through(&proxy.url, Patience::default()).await;
    proxy.next([
        Fault::Cancel(&["TransactionConflict"]),
        Fault::Refuse("ThrottlingException"),
        Fault::LoseAnswer,
        Fault::Pass,
        Fault::LoseAnswer,
        Fault::Cancel(&["None", "ThrottlingError"]),
    ]);
    let to = store.project(&acme()).await.expect("projects").to;
    assert_eq!(assert_equal_to_a_rebuild(&backend).await.head, to);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn projectors_that_run_at_the_same_time_do_not_spoil_each_others_work() {
    let backend = Dynamo::new();
    with_many_skills(&backend).await;
    let writer = backend.open().await;
    let mut projectors = Vec::new();
    for _ in 0..3 {
        let store = backend.open().await;
        projectors.push(tokio::spawn(async move {
            for _ in 0..3 {
                // Somebody else may be faster every time; then the doorbell rings again.
                match store.project(&acme()).await {
                    Ok(_) | Err(StoreError::Unavailable(_)) => {}
                    Err(other) => panic!("{other}"),
                }
                store.rebuild_projections(&acme()).await.ok();
            }
        }));
    }
    for at in 0..10 {
        append(&*writer, commit(&acme(), &format!("more {at}"), vec![drafted(at), blocks(&format!("{at}"))]))
            .await;
    }
    for projector in projectors {
        projector.await.expect("ends");
    }
    writer.project(&acme()).await.expect("projects");
    assert_equal_to_a_rebuild(&backend).await;
}

#[tokio::test]
async fn a_sweep_brings_every_organization_up_and_says_how_far_behind_each_was() {
    let backend = Dynamo::new();
    let store = backend.open().await;
    let others: Vec<OrganizationId> = ["a", "b", "broken"].map(OrganizationId::from).into();
    for organization in &others {
        fill(&*store, organization, &[1, 2]).await;
    }
    store.project(&"a".into()).await.expect("projects");
    backend.tamper(&"broken".into(), Tamper::Remove(Seq(1))).await;
    let in_a_minute = Instant::now() + Duration::from_secs(60);
    let nobody = store.sweep(Instant::now()).await.expect("sweeps");
    assert!(nobody.len() == 3 && nobody.iter().all(|it| it.projected.is_err()), "there is no time for any");
    let swept = store.sweep(in_a_minute).await.expect("sweeps");
    let found: Vec<_> = swept
        .iter()
        .map(|it| (it.organization.as_str(), it.projected.as_ref().ok().map(Projected::behind)))
        .collect();
    assert_eq!(found, [("a", Some(0)), ("b", Some(3)), ("broken", None)]);
    let again = store.sweep(in_a_minute).await.expect("sweeps");
    assert_eq!(again[1].projected.as_ref().map(Projected::behind), Ok(0));
}

/// Changes one item of the views behind the projector's back.
async fn spoil(
    backend: &Dynamo,
    item: &str,
    attribute: &str,
    value: aws_sdk_dynamodb::types::AttributeValue,
) {
    let client = backend.client().await;
    let table = backend.table(TableName::Views);
    let mut found = items::get(&client, &table, "acme", item).await.expect("reads").expect("is there");
    found.insert(attribute.to_owned(), value).expect("was there");
    client.put_item().table_name(table).set_item(Some(found)).send().await.expect("puts");
}

#[tokio::test]
async fn views_that_other_code_folded_are_ignored_by_readers_and_written_anew_by_the_projector() {
    let backend = Dynamo::new();
    let store = backend.open().await;
    append(&*store, commit(&acme(), "one", vec![key("a"), key("b")])).await;
    store.project(&acme()).await.expect("projects");
    spoil(&backend, views::CHECKPOINT, "fingerprint", items::text("other code")).await;
    let fresh = backend.open().await;
    assert!(fresh.viewed(&acme()).await.expect("reads").is_none());
    assert_eq!(fresh.state(&acme()).await.expect("a state").head, Seq(2));
    let projected = fresh.project(&acme()).await.expect("projects");
    assert_eq!(projected, Projected { from: Seq(0), to: Seq(2), rebuilt: true });
    assert_equal_to_a_rebuild(&backend).await;
}

#[tokio::test]
async fn a_document_that_was_changed_or_cannot_be_read_is_not_believed_and_mended_by_rebuilding() {
    let name = views::name(&key("a").0, 0);
    for forged in [true, false] {
        let backend = Dynamo::new();
        let store = backend.open().await;
        append(&*store, commit(&acme(), "one", vec![key("a"), key("b")])).await;
        store.project(&acme()).await.expect("projects");
        let body = if forged {
            // Of today's shape, and of another moment: only the digest tells.
            let body =
                store.state(&acme()).await.expect("a state").document(&key("a").0).expect("a document").body;
            let body = body.replace("agents:read", "agents:write");
            zstd::bulk::compress(body.as_bytes(), 3).expect("compresses")
        } else {
            b"not compressed".to_vec()
        };
        spoil(&backend, &name, "body", items::bytes(body)).await;
        let fresh = backend.open().await;
        assert_eq!(*fresh.state(&acme()).await.expect("a state"), *fresh.whole_state(&acme()).await);
        let compared = fresh.compare_projections(&acme()).await.expect("compares");
        assert_eq!(compared, Compared { equal: false, documents: 2, head: Seq(2) });
        append(&*store, commit(&acme(), "two", vec![key("c")])).await;
        assert!(fresh.project(&acme()).await.expect("projects").rebuilt);
        assert_equal_to_a_rebuild(&backend).await;
    }
}

#[tokio::test]
async fn a_checkpoint_that_does_not_lead_to_the_log_is_not_believed() {
    let backend = Dynamo::new();
    let store = backend.open().await;
    fill(&*store, &acme(), &[2]).await;
    store.project(&acme()).await.expect("projects");
    fill(&*store, &"other".into(), &[2]).await;
    append(&*store, commit(&acme(), "more", vec![key("a")])).await;
    for (attribute, value) in
        [("hash", items::bytes([7; 32])), ("seq", items::number(9)), ("digest", items::text("?"))]
    {
        spoil(&backend, views::CHECKPOINT, attribute, value).await;
        let fresh = backend.open().await;
        assert_eq!(
            *fresh.state(&acme()).await.expect("a state"),
            *fresh.whole_state(&acme()).await,
            "{attribute}"
        );
        assert!(fresh.project(&acme()).await.expect("projects").rebuilt, "{attribute}");
        assert_equal_to_a_rebuild(&backend).await;
    }
}
