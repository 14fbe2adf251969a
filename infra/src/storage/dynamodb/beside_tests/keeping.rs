//! What DynamoDB does beyond the suite that every backend passes.

use super::*;
use crate::emulators::MARGIN;
use crate::emulators::wire::{Line, Wire};
use crate::sealing::Sealed;
use crate::storage::{
    Abandoned, AnswerSlot, AnswerState, AnswerStore, Begun, CredentialStore, StoreError, Voided,
};
use domain::limits::AWS_OPERATION_TIMEOUT;
use events::IntegrationKind::Postgres;
use jiff::Timestamp;
use std::time::Instant;
use tables::TableName;

fn slot(key: &str) -> AnswerSlot {
    AnswerSlot { organization: "acme".into(), key: key.to_owned(), body_hash: "body".to_owned() }
}

fn sealed(text: &str) -> Sealed {
    Sealed { wrapped_key: b"key".to_vec(), body: text.as_bytes().to_vec() }
}

async fn begin(store: &DynamoStore, key: &str, now: Timestamp) -> Begun {
    store.begin(&[slot(key)], now).await.expect("begins")
}

async fn item(store: &DynamoStore, key: &str) -> items::Item {
    let table = store.names.table(TableName::Answers);
    items::get(&store.client, &table, "acme", key).await.expect("reads").expect("there")
}

#[tokio::test]
async fn only_a_finished_answer_has_a_time_to_be_deleted_at() {
    let store = store(&names().await).await;
    let now = Timestamp::now();
    assert!(begin(&store, "a", now).await == Begun::Fresh);
    assert!(!item(&store, "a").await.contains_key("expires"), "running");
    let doubt = [(slot("a"), sealed("doubt"))];
    store.finish(&doubt, AnswerState::InDoubt, None).await.expect("finishes");
    assert!(!item(&store, "a").await.contains_key("expires"), "in doubt");
    store.finish(&[(slot("a"), sealed("answer"))], AnswerState::Done, None).await.expect("settles");
    let expires: i64 = items::get_number(&item(&store, "a").await, "expires").expect("a time");
    assert_eq!(expires, now.as_second() + 7 * 24 * 3600);
}

#[tokio::test]
async fn what_runs_is_abandoned_when_its_process_cannot_live_any_more_and_not_before() {
    let names = names().await;
    let (dead, store) = (store(&names).await, store(&names).await);
    let now = Timestamp::now();
    let lease = jiff::SignedDuration::try_from(store.lease).expect("not long");
    let second = jiff::SignedDuration::from_secs(1);
    assert!(begin(&dead, "long ago", now - lease - second).await == Begun::Fresh);
    assert!(begin(&dead, "just now", now).await == Begun::Fresh);
    assert!(begin(&store, "own", now - lease - second).await == Begun::Fresh);
    let left = Abandoned { slot: slot("long ago"), evidence: None };
    assert_eq!(store.abandoned().await, Ok(vec![left]));
    store.release(&[slot("long ago")]).await.expect("releases");
    assert_eq!(store.abandoned().await, Ok(vec![]));
}

#[tokio::test]
async fn what_is_voided_goes_however_much_it_is() {
    let store = store(&names().await).await;
    let now = Timestamp::now();
    let keys: Vec<String> = (0..230).map(|at| format!("row:{at:03}")).collect();
    for keys in keys.chunks(50) {
        let slots: Vec<_> = keys.iter().map(|key| slot(key)).collect();
        assert!(store.begin(&slots, now).await.expect("begins") == Begun::Fresh);
        let answers: Vec<_> = slots.into_iter().map(|slot| (slot, sealed("old"))).collect();
        store.finish(&answers, AnswerState::Done, None).await.expect("finishes");
    }
    assert!(store.begin(&[slot("row:own"), slot("tool")], now).await.expect("begins") == Begun::Fresh);
    let voided =
        Voided { organization: "acme".into(), prefix: "row:".to_owned(), except: "row:own".to_owned() };
    let answers = [(slot("row:own"), sealed("new")), (slot("tool"), sealed("new"))];
    store.finish(&answers, AnswerState::Done, Some(&voided)).await.expect("finishes and forgets");
    let left = store.client.scan().table_name(store.names.table(TableName::Answers)).send().await;
    let left = left.expect("a scan");
    let mut left: Vec<_> =
        left.items().iter().map(|it| items::get_text(it, "item").expect("a key")).collect();
    left.sort_unstable();
    assert_eq!(left, ["row:own", "tool"]);
}

#[tokio::test]
async fn slots_that_others_hold_at_this_moment_are_tried_for_again_and_not_for_ever() {
    let names = names().await;
    let (config, wire) = Wire::through(&sdk_config(&dynamodb().url).await);
    let store = DynamoStore::with(&config, names, Patience::default());
    let now = Timestamp::now();
    let busy = ["TransactionConflict", "ThrottlingError", "TransactionConflict"].map(Line::Cancels);
    wire.first(busy);
    assert!(begin(&store, "a", now).await == Begun::Fresh);
    assert_eq!(wire.sent("TransactWriteItems"), 4);
    wire.first(busy);
    store.finish(&[(slot("a"), sealed("x"))], AnswerState::Done, None).await.expect("finishes");
    wire.set(Line::Cancels("TransactionConflict"));
    let since = Instant::now();
    let refused = store.begin(&[slot("b")], now).await.map(|_| ());
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(since.elapsed() < AWS_OPERATION_TIMEOUT + MARGIN, "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_record_of_credentials_that_is_put_again_as_it_is_counts_as_put() {
    let store = store(&names().await).await;
    let put = async |text| store.put(&"acme".into(), Postgres, 1, &sealed(text)).await;
    assert_eq!(put("one").await, Ok(true));
    assert_eq!(put("one").await, Ok(true), "an attempt whose answer was lost");
    assert_eq!(put("other").await, Ok(false));
}
