use super::*;
use crate::storage::deliveries::{Attempt, Cursor, DeliveryStore, Failing, Lease};
use events::{EventId, SubscriptionId};
use jiff::SignedDuration;

fn hook() -> SubscriptionId {
    SubscriptionId::from("sub_1")
}

fn at(seq: u64) -> Cursor {
    Cursor { after: Seq(seq), ..Cursor::default() }
}

/// With a part of every kind that a cursor can have.
fn failing(seq: u64) -> Cursor {
    let retry_at = noon() + SignedDuration::from_micros(1_500_001);
    Cursor { after: Seq(seq), failures: 7, failing: Some(Failing { since: noon(), retry_at }) }
}

fn delivered(number: u32) -> Attempt {
    Attempt {
        id: format!("dlv_{number:04}"),
        seq: Seq(u64::from(number)),
        event_id: EventId::from(format!("evt_{number}")),
        event_type: "AgentCreated".to_owned(),
        number: 1,
        at: noon() + SignedDuration::from_micros(i64::from(number)),
        duration_ms: 12,
        status: Some(204),
        failure: None,
    }
}

/// The receiver was not reached.
fn failed(number: u32) -> Attempt {
    Attempt { status: None, failure: Some("no answer".to_owned()), ..delivered(number) }
}

async fn cursor(store: &dyn DeliveryStore, organization: &str, subscription: &str) -> Option<Cursor> {
    store.cursor(&organization.into(), &subscription.into()).await.expect("reads")
}

async fn ids(store: &dyn DeliveryStore, before: Option<&str>, limit: usize) -> Vec<String> {
    let attempts = store.attempts(&acme(), &hook(), before, limit).await.expect("reads");
    attempts.into_iter().map(|attempt| attempt.id).collect()
}

pub async fn a_cursor_moves_only_from_where_it_is<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    assert_eq!(cursor(&*store, "acme", "sub_1").await, None);
    let moves = [
        (Some(at(1)), at(2), false),
        (None, at(1), true),
        (None, at(2), false),
        (Some(at(2)), at(3), false),
        (Some(failing(1)), at(2), false),
        (Some(at(1)), failing(1), true),
        (Some(at(1)), at(2), false),
        (Some(Cursor { failures: 6, ..failing(1) }), at(2), false),
        (Some(Cursor { failing: None, ..failing(1) }), at(2), false),
        (Some(failing(1)), at(2), true),
    ];
    let mut expected = None;
    for (was, now, moves) in moves {
        let moved = store.advance(&acme(), &hook(), was.as_ref(), &now, None).await;
        assert_eq!(moved, Ok(moves), "{was:?} to {now:?}");
        if moves {
            expected = Some(now);
        }
        assert_eq!(cursor(&*store, "acme", "sub_1").await, expected);
    }
    assert_eq!(cursor(&*store, "acme", "sub_2").await, None);
    assert_eq!(cursor(&*store, "other", "sub_1").await, None);
}

pub async fn of_many_who_move_a_cursor_at_once_one_does_and_its_attempt_alone_is_kept<
    B: Backend<Store: Store>,
>(
    backend: &B,
) {
    let store = backend.open().await;
    for was in [None, Some(at(1))] {
        let next = was.as_ref().map_or(1, |was| was.after.0 + 1);
        let tasks: Vec<_> = (0..20_u32)
            .map(|number| {
                let (store, was) = (store.clone(), was.clone());
                let attempt = delivered(u32::try_from(next).expect("few") * 100 + number);
                tokio::spawn(async move {
                    store.advance(&acme(), &hook(), was.as_ref(), &at(next), Some(&attempt)).await
                })
            })
            .collect();
        let mut moved = 0;
        for task in tasks {
            moved += u64::from(task.await.expect("ends").expect("is judged"));
        }
        assert_eq!(moved, 1);
        assert_eq!(cursor(&*store, "acme", "sub_1").await, Some(at(next)));
        assert_eq!(ids(&*store, None, 100).await.len() as u64, next);
    }
}

pub async fn attempts_are_read_as_they_were_made_newest_first_and_page_by_page<B: Backend<Store: Store>>(
    backend: &B,
) {
    let store = backend.open().await;
    store.advance(&acme(), &hook(), None, &failing(0), Some(&failed(1))).await.expect("moves");
    for number in [3, 2, 5, 4] {
        store.keep(&acme(), &hook(), &delivered(number)).await.expect("keeps");
    }
    for (organization, subscription) in [("acme", "sub_0"), ("acme", "sub_10"), ("other", "sub_1")] {
        let elsewhere = (organization.into(), subscription.into());
        store.keep(&elsewhere.0, &elsewhere.1, &delivered(9)).await.expect("keeps");
    }
    let all = store.attempts(&acme(), &hook(), None, 100).await.expect("reads");
    assert_eq!(all, [delivered(5), delivered(4), delivered(3), delivered(2), failed(1)]);
    assert_eq!(ids(&*store, None, 2).await, ["dlv_0005", "dlv_0004"]);
    assert_eq!(ids(&*store, Some("dlv_0004"), 2).await, ["dlv_0003", "dlv_0002"]);
    // One that is gone by now.
    assert_eq!(ids(&*store, Some("dlv_0002x"), 2).await, ["dlv_0002", "dlv_0001"]);
    assert_eq!(ids(&*store, Some("dlv_0001"), 2).await, [""; 0]);
}

pub async fn an_attempt_is_found_by_its_id_and_only_where_it_belongs<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    store.keep(&acme(), &hook(), &failed(1)).await.expect("keeps");
    let found = async |organization: &str, subscription: &str, id: &str| {
        store.attempt(&organization.into(), &subscription.into(), id).await.expect("reads")
    };
    assert_eq!(found("acme", "sub_1", "dlv_0001").await, Some(failed(1)));
    assert_eq!(found("acme", "sub_1", "dlv_0002").await, None);
    assert_eq!(found("acme", "sub_2", "dlv_0001").await, None);
    assert_eq!(found("other", "sub_1", "dlv_0001").await, None);
}

pub async fn a_forgotten_subscription_leaves_nothing_behind_and_the_others_as_they_are<
    B: Backend<Store: Store>,
>(
    backend: &B,
) {
    let store = backend.open().await;
    let others = [("acme", "sub_0"), ("acme", "sub_10"), ("other", "sub_1")];
    for (organization, subscription) in others.into_iter().chain([("acme", "sub_1")]) {
        let (organization, subscription) = (organization.into(), subscription.into());
        for number in 1..=60 {
            store.keep(&organization, &subscription, &delivered(number)).await.expect("keeps");
        }
        let moved = store.advance(&organization, &subscription, None, &at(60), None).await;
        assert_eq!(moved, Ok(true));
    }
    for _ in 0..2 {
        store.forget(&acme(), &hook()).await.expect("forgets");
        assert_eq!(cursor(&*store, "acme", "sub_1").await, None);
        assert_eq!(ids(&*store, None, 100).await, [""; 0]);
    }
    for (organization, subscription) in others {
        assert_eq!(cursor(&*store, organization, subscription).await, Some(at(60)));
        let kept = store.attempts(&organization.into(), &subscription.into(), None, 100).await;
        assert_eq!(kept.expect("reads").len(), 60, "{organization} {subscription}");
    }
}

/// For a minute from `seconds` after noon on.
async fn claims(
    store: &dyn DeliveryStore,
    holder: &str,
    subscription: &str,
    seconds: i64,
) -> Option<Timestamp> {
    let now = noon() + SignedDuration::from_secs(seconds);
    let lease = Lease { holder: holder.to_owned(), until: now + SignedDuration::from_secs(60) };
    store.claim(&acme(), &subscription.into(), &lease, now).await.expect("is judged")
}

pub async fn a_turn_is_one_holders_until_it_is_given_back_or_ends<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    let ends = |seconds: i64| Some(noon() + SignedDuration::from_secs(seconds));
    assert_eq!(claims(&*store, "a", "sub_1", 0).await, None);
    assert_eq!(claims(&*store, "b", "sub_1", 30).await, ends(60));
    assert_eq!(claims(&*store, "b", "sub_2", 30).await, None, "another receiver");
    assert_eq!(claims(&*store, "a", "sub_1", 40).await, None, "kept for longer");
    assert_eq!(claims(&*store, "b", "sub_1", 99).await, ends(100));
    assert_eq!(claims(&*store, "b", "sub_1", 100).await, None, "taken over at its end");
    // Who was overtaken gives nothing back that is not theirs.
    let now = noon() + SignedDuration::from_secs(101);
    store.give_back(&acme(), &hook(), "a", now).await.expect("is judged");
    assert_eq!(claims(&*store, "a", "sub_1", 101).await, ends(160));
    store.give_back(&acme(), &hook(), "b", now).await.expect("is judged");
    assert_eq!(claims(&*store, "a", "sub_1", 101).await, None, "given back");
    assert_eq!(cursor(&*store, "acme", "sub_1").await, None, "a turn moves nothing");
}

pub async fn of_many_who_claim_a_turn_at_once_one_has_it<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    let tasks: Vec<_> = (0..20)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { claims(&*store, &format!("holder {number}"), "sub_1", 0).await })
        })
        .collect();
    let mut taken = 0;
    for task in tasks {
        taken += u32::from(task.await.expect("ends").is_none());
    }
    assert_eq!(taken, 1);
}
