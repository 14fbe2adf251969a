//! Several processes that serve the same caller.

use super::tables::TableName;
use super::*;
use crate::emulators::wire::{Line, Wire};
use crate::storage::conformance::{acme, noon};
use crate::storage::misses::{Budget, Misses};
use crate::storage::{AnswerStore, StoreError};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

const WITHIN: SignedDuration = SignedDuration::from_hours(1);

fn budget() -> Budget {
    Budget { organization: acme(), name: 7, most: 4, within: WITHIN }
}

async fn count(store: &DynamoStore, key: u128, now: Timestamp) -> bool {
    store.count(&budget(), key, now).await.expect("counts")
}

#[tokio::test]
async fn a_process_knows_what_others_counted_from_its_own_first_miss_on() {
    let names = names().await;
    let (one, other) = (store(&names).await, store(&names).await);
    for key in 0..4 {
        assert!(count(&one, key, noon()).await);
    }
    assert!(one.is_used_up(&budget(), noon()));
    assert!(!other.is_used_up(&budget(), noon()), "it has not asked, so one lookup more goes through");
    assert!(!count(&other, 9, noon()).await, "and is not told whether it found anything");
    assert!(other.is_used_up(&budget(), noon()) && other.is_any_used_up(noon()));
    let third = store(&names).await;
    assert!(count(&third, 3, noon()).await, "a key counts once, whoever sends it");
    assert!(third.is_used_up(&budget(), noon()));
}

#[tokio::test]
async fn processes_that_count_at_once_share_one_budget_before_and_after_its_time() {
    let names = names().await;
    let stores = join_all((0..8).map(|_| store(&names))).await;
    for (round, now) in [noon(), noon() + WITHIN].into_iter().enumerate() {
        let keys = (0..8).map(|at| at + 100 * round as u128);
        let counted = join_all(stores.iter().zip(keys).map(|(store, key)| count(store, key, now))).await;
        assert_eq!(counted.iter().filter(|fits| **fits).count(), 4, "round {round}: {counted:?}");
    }
}

#[tokio::test]
async fn a_count_expires_by_itself_and_is_no_answer_that_anybody_waits_for() {
    let store = store(&names().await).await;
    assert!(count(&store, 1, noon()).await);
    let table = store.names.table(TableName::Answers);
    let item = items::get(&store.client, &table, "acme", &format!("miss:{:032x}", 7)).await;
    let item = item.expect("reads").expect("it is there");
    let expires: i64 = items::get_number(&item, "expires").expect("a time");
    assert_eq!(expires, (noon() + WITHIN).as_second());
    assert_eq!(store.abandoned().await, Ok(vec![]));
    assert_eq!(store.expire(noon() + WITHIN * 2).await, Ok(0), "DynamoDB deletes it");
}

#[tokio::test]
async fn a_process_that_cannot_tell_the_others_counts_by_itself() {
    let (config, wire) = Wire::through(&sdk_config(&dynamodb().url).await);
    let store = DynamoStore::with(&config, names().await, Patience::default());
    wire.set(Line::Answers("AccessDeniedException"));
    for key in 0..4 {
        let counted = store.count(&budget(), key, noon()).await;
        assert!(matches!(counted, Err(StoreError::Unavailable(_))), "{counted:?}");
    }
    assert!(store.is_used_up(&budget(), noon()));
    let sent = wire.sent("UpdateItem");
    assert_eq!(store.count(&budget(), 9, noon()).await, Ok(false));
    assert_eq!(wire.sent("UpdateItem"), sent, "what is no news is not told");
}
