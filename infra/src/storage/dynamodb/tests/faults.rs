//! Answers that are lost, requests that are late, a service that is busy, and one that is not there.

use super::proxy::{Fault, Proxy};
use super::*;
use crate::storage::conformance::{acme, append, commit, fill, key, seqs};
use jiff::Timestamp;
use std::time::Instant;

pub const SHORT: Patience = Patience {
    operation: Duration::from_millis(700),
    backoff: Duration::from_millis(10),
    fresh: Duration::from_millis(100),
    trusted: Duration::from_secs(4),
    discovery: Duration::from_secs(2),
    queue: Duration::from_secs(2),
};

/// For what has to succeed in the end: a machine that stands still for a while must not make it a failure.
pub const LONG: Patience = Patience { operation: Duration::from_secs(60), ..SHORT };

async fn faulty(patience: Patience) -> (Dynamo, Proxy, Arc<DynamoStore>) {
    let backend = Dynamo::new();
    let proxy = Proxy::start().await;
    let store = backend.through(&proxy.url, patience).await;
    append(&*store, commit(&acme(), "before", vec![key("before")])).await;
    (backend, proxy, store)
}

/// The log as another process finds it.
async fn assert_holds(backend: &Dynamo, events: u64) {
    let store = backend.open().await;
    let verified = store.verify(&acme()).await.expect("verifies");
    assert_eq!((verified.events, verified.first_bad), (events, None));
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_found_and_not_made_again() {
    let (backend, proxy, store) = faulty(LONG).await;
    for (at, faults) in
        [vec![Fault::LoseAnswer], vec![Fault::Drop, Fault::LoseAnswer]].into_iter().enumerate()
    {
        proxy.next(faults);
        let id = format!("lost {at}");
        let committed = append(&*store, commit(&acme(), &id, vec![key(&id)])).await;
        assert!(!committed.replayed, "it is this call that appended it");
        assert_eq!(seqs(&committed.events), [2 + at as u64]);
        assert_eq!(committed.state.head.0, 2 + at as u64);
        assert!(append(&*store, commit(&acme(), &id, vec![key("other")])).await.replayed);
    }
    assert_holds(&backend, 3).await;
}

#[tokio::test]
async fn a_first_attempt_that_lands_late_cannot_double_the_second() {
    let (backend, proxy, store) = faulty(LONG).await;
    for (at, millis) in [0, 5, 20, 100, 300].into_iter().enumerate() {
        proxy.next([Fault::ArriveLate(Duration::from_millis(millis))]);
        let id = format!("late {millis}");
        let committed = append(&*store, commit(&acme(), &id, vec![key(&id)])).await;
        assert!(!committed.replayed);
        assert_eq!(seqs(&committed.events), [2 + at as u64], "late by {millis} ms");
    }
    // Even the last one has arrived by now, if the emulator lets it.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_holds(&backend, 6).await;
}

#[tokio::test]
async fn a_commit_that_lands_after_the_caller_was_told_to_try_again_is_found_by_trying_again() {
    let (backend, proxy, store) = faulty(SHORT).await;
    let late = Fault::ArriveLate(Duration::from_millis(1500));
    proxy.next(std::iter::once(late).chain([Fault::Drop; 100]));
    let command = commit(&acme(), "late", vec![key("late")]);
    let unknown = store.append(command.clone()).await.err();
    assert!(matches!(unknown, Some(AppendError::Store(StoreError::Unavailable(_)))), "{unknown:?}");
    proxy.next([]);
    let deadline = Instant::now() + Duration::from_secs(60);
    while store.committed(&acme(), &"late".into()).await.expect("asks").is_none() {
        assert!(Instant::now() < deadline, "it never landed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(append(&*store, command).await.replayed);
    assert_holds(&backend, 2).await;
}

#[tokio::test]
async fn a_busy_service_is_asked_again_until_it_takes_the_commit() {
    let (backend, proxy, store) = faulty(LONG).await;
    proxy.next([
        Fault::Refuse("ProvisionedThroughputExceededException"),
        Fault::Refuse("ThrottlingException"),
        Fault::Cancel(&["None", "TransactionConflict", "None"]),
        Fault::Cancel(&["ThrottlingError", "None", "None"]),
        Fault::Refuse("InternalServerError"),
    ]);
    let committed = append(&*store, commit(&acme(), "busy", vec![key("busy")])).await;
    assert!(!committed.replayed);
    assert_eq!(seqs(&committed.events), [2]);
    assert_holds(&backend, 2).await;
}

#[tokio::test]
async fn a_commit_that_is_being_applied_by_another_is_waited_for_and_no_damage() {
    let (backend, proxy, store) = faulty(LONG).await;
    proxy.next([
        Fault::Cancel(&["ConditionalCheckFailed", "TransactionConflict", "None"]),
        Fault::Cancel(&["ConditionalCheckFailed", "TransactionConflict", "TransactionConflict"]),
        Fault::Cancel(&["ConditionalCheckFailed", "ConditionalCheckFailed", "None"]),
    ]);
    let committed = append(&*store, commit(&acme(), "next", vec![key("next")])).await;
    assert!(!committed.replayed);
    assert_eq!(seqs(&committed.events), [2]);
    assert_holds(&backend, 2).await;
}

#[tokio::test]
async fn a_new_commit_that_is_seen_in_part_is_looked_for_again_and_no_damage() {
    let patience = Patience { operation: Duration::from_secs(2), ..SHORT };
    let (backend, proxy, store) = faulty(patience).await;
    let (other, patient) = (backend.patient(patience).await, backend.through(&proxy.url, LONG).await);
    // As by a clock that is ahead, so that it stays young for five seconds until the waits begin, not for three.
    let now = Timestamp::now() + patience.operation;
    let command = Commit { now, ..commit(&acme(), "young", vec![key("young")]) };
    append(&*other, command.clone()).await;
    let (client, commits) = (backend.client().await, backend.table(TableName::Commits));
    let name = reader::commit_item(Seq(2));
    let row = items::get(&client, &commits, "acme", &name).await.expect("reads").expect("there");
    let delete = client.delete_item().table_name(&commits).set_key(Some(items::key("acme", &name)));
    delete.send().await.expect("deletes");

    let (acme, id) = (acme(), command.command_id);
    let (state, committed) = tokio::join!(store.state(&acme), other.committed(&acme, &id));
    let (state, committed) = (state.err(), committed.err());
    assert!(matches!(state, Some(StoreError::Unavailable(_))), "{state:?}");
    assert!(matches!(committed, Some(StoreError::Unavailable(_))), "{committed:?}");
    assert!(other.warm_state(&acme).is_some() || other.memory.get(&acme).is_some(), "memory stays");

    let before = proxy.requests();
    let shown = async {
        while proxy.requests() < before + 10 {
            tokio::time::sleep(LONG.backoff).await;
        }
        client.put_item().table_name(&commits).set_item(Some(row)).send().await.expect("puts");
    };
    let (found, ()) = tokio::join!(patient.committed(&acme, &id), shown);
    let found = found.expect("asks").expect("was committed");
    assert_eq!((seqs(&found.events), found.state.head), (vec![2], Seq(2)));
}

#[tokio::test]
async fn a_service_that_stays_busy_makes_the_log_unavailable_in_time() {
    let (backend, proxy, store) = faulty(SHORT).await;
    proxy.next([Fault::Refuse("ThrottlingException"); 1000]);
    let start = Instant::now();
    let refused = store.append(commit(&acme(), "busy", vec![key("busy")])).await.err();
    assert!(
        matches!(&refused, Some(AppendError::Store(StoreError::Unavailable(why))) if why == "ThrottlingException"),
        "{refused:?}"
    );
    assert!(start.elapsed() < SHORT.operation * 3, "{:?}", start.elapsed());
    proxy.next([]);
    assert!(!append(&*store, commit(&acme(), "busy", vec![key("busy")])).await.replayed);
    assert_holds(&backend, 2).await;
}

#[tokio::test]
async fn what_the_service_will_never_take_is_not_sent_again() {
    let (_backend, proxy, store) = faulty(LONG).await;
    for fault in [Fault::Refuse("AccessDeniedException"), Fault::Cancel(&["ValidationError", "None", "None"])]
    {
        proxy.next([fault]);
        let before = proxy.requests();
        let refused = store.append(commit(&acme(), "never", vec![key("never")])).await.err();
        assert!(matches!(refused, Some(AppendError::Store(StoreError::Unavailable(_)))), "{refused:?}");
        assert_eq!(proxy.requests(), before + 1);
    }
}

#[tokio::test]
async fn memory_is_served_for_a_while_when_the_log_is_silent_and_then_no_more() {
    let (_backend, proxy, store) = faulty(SHORT).await;
    let confirmed = Instant::now();
    proxy.down(true);
    while confirmed.elapsed() < SHORT.trusted / 2 {
        assert_eq!(store.state_or_trusted(&acme()).await.expect("still trusted").head, Seq(1));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let refused = store.state(&acme()).await.err();
    assert!(matches!(refused, Some(StoreError::Unavailable(_))), "nothing is decided on memory: {refused:?}");
    let refused = store.append(commit(&acme(), "down", vec![key("down")])).await.err();
    assert!(matches!(refused, Some(AppendError::Store(StoreError::Unavailable(_)))), "{refused:?}");
    tokio::time::sleep(SHORT.trusted.saturating_sub(confirmed.elapsed())).await;
    let refused = store.state_or_trusted(&acme()).await.err();
    assert!(matches!(refused, Some(StoreError::Unavailable(_))), "{refused:?}");
    assert!(store.warm_state(&acme()).is_none());

    proxy.down(false);
    assert_eq!(store.state_or_trusted(&acme()).await.expect("is back").head, Seq(1));
    assert_eq!(append(&*store, commit(&acme(), "down", vec![key("down")])).await.events[0].seq, Seq(2));
}

#[tokio::test]
async fn while_the_log_is_silent_not_every_caller_waits_for_it() {
    let patience = Patience { fresh: Duration::from_secs(1), trusted: Duration::from_secs(60), ..SHORT };
    let (_backend, proxy, store) = faulty(patience).await;
    proxy.down(true);
    store.state_or_trusted(&acme()).await.expect("trusted");
    let before = proxy.requests();
    for _ in 0..50 {
        store.state_or_trusted(&acme()).await.expect("trusted");
    }
    assert_eq!(proxy.requests(), before, "the first one has waited for all");
}

#[tokio::test]
async fn a_log_that_became_shorter_or_another_is_neither_served_nor_written_to() {
    for head in [2, 4] {
        let backend = Dynamo::new();
        let store = backend.open().await;
        fill(&*store, &acme(), &[2, 2]).await;
        let cut = items::item(
            "acme",
            reader::HEAD,
            [
                ("seq", items::number(head)),
                ("hash", items::bytes([7; 32])),
                ("recorded_at", items::number(1)),
            ],
        );
        let put = backend.client().await.put_item().table_name(backend.table(TableName::Heads));
        put.set_item(Some(cut)).send().await.expect("puts");
        let refused = store.append(commit(&acme(), "next", vec![key("a")])).await.err();
        assert!(matches!(refused, Some(AppendError::Store(StoreError::Corrupt { .. }))), "{refused:?}");
        assert!(matches!(store.state(&acme()).await, Err(StoreError::Corrupt { .. })));
        assert!(store.warm_state(&acme()).is_none());
    }
}

#[tokio::test]
async fn a_commit_that_stands_behind_the_head_is_not_written_over() {
    let backend = Dynamo::new();
    let store = backend.open().await;
    fill(&*store, &acme(), &[1, 1]).await;
    backend.tamper(&acme(), Tamper::Append(Seq(1))).await;
    let head = store.head(&acme()).await.expect("a head");
    let refused = store.append(commit(&acme(), "next", vec![key("a")])).await.err();
    assert!(
        matches!(refused, Some(AppendError::Store(StoreError::Corrupt { seq: Seq(3), .. }))),
        "{refused:?}"
    );
    assert_eq!(store.head(&acme()).await, Ok(head));
}

#[tokio::test]
async fn more_keys_than_a_transaction_holds_are_refused_whole() {
    let backend = Dynamo::new();
    let store = backend.open().await;
    let keys = |count: usize| (0..count).map(|at| key(&format!("k{at}"))).collect::<Vec<_>>();
    let refused = store.append(commit(&acme(), "97", keys(97))).await.err();
    assert!(matches!(refused, Some(AppendError::BadSize { events: 97, .. })), "{refused:?}");
    append(&*store, commit(&acme(), "96", keys(96))).await;
    assert_eq!(store.organization_of_key(&"k95".into()).await, Ok(Some(acme())));
}
