//! Slots whose taking is not heard of, or heard of wrongly.

use super::faults::{LONG, SHORT};
use super::proxy::{Fault, Proxy};
use super::*;
use crate::sealing::Sealed;
use crate::storage::{AnswerSlot, AnswerState, AnswerStore, Begun};
use jiff::Timestamp;
use std::time::Instant;

fn slots() -> [AnswerSlot; 2] {
    ["a", "b"].map(|key| AnswerSlot {
        organization: "acme".into(),
        key: key.to_owned(),
        body_hash: "body".to_owned(),
    })
}

fn answers() -> Vec<(AnswerSlot, Sealed)> {
    let sealed = Sealed { wrapped_key: b"key".to_vec(), body: b"answer".to_vec() };
    slots().into_iter().map(|slot| (slot, sealed.clone())).collect()
}

async fn faulty(patience: Patience) -> (Dynamo, Proxy, Arc<DynamoStore>) {
    let backend = Dynamo::new();
    let proxy = Proxy::start().await;
    let store = backend.through(&proxy.url, patience).await;
    (backend, proxy, store)
}

#[tokio::test]
async fn slots_that_were_taken_unheard_are_this_attempts_own() {
    let lost = vec![Fault::LoseAnswer, Fault::Drop, Fault::Drop];
    let sent_twice = vec![Fault::LoseAnswer, Fault::Refuse("TransactionInProgressException")];
    let busy = std::iter::once(Fault::LoseAnswer)
        .chain([Fault::Refuse("TransactionInProgressException"); 5])
        .collect::<Vec<_>>();
    for faults in [lost, sent_twice, busy] {
        let (_backend, proxy, store) = faulty(LONG).await;
        let what = format!("{faults:?}");
        proxy.next(faults);
        assert!(store.begin(&slots(), Timestamp::now()).await.expect("begins") == Begun::Fresh, "{what}");
        proxy.next([]);
        assert!(store.begin(&slots(), Timestamp::now()).await.expect("asks") == Begun::Running, "{what}");
        store.finish(&answers(), AnswerState::Done, None).await.expect("it is its own");
    }
}

#[tokio::test]
async fn slots_that_may_have_been_taken_are_given_back_when_nobody_can_say() {
    let (backend, proxy, store) = faulty(SHORT).await;
    proxy.next([Fault::DownAfter]);
    assert!(store.begin(&slots(), Timestamp::now()).await.is_err(), "nobody can be asked");
    // Before whoever gives them back has its first turn.
    proxy.down(false);
    let direct = backend.open().await;
    let deadline = Instant::now() + Duration::from_secs(60);
    while direct.peek(&slots(), Timestamp::now()).await.expect("looks") != Begun::Fresh {
        assert!(Instant::now() < deadline, "nobody gave them back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_another_attempt_has_taken_since_is_neither_kept_nor_given_back() {
    let backend = Dynamo::new();
    let (slow, quick) = (backend.open().await, backend.open().await);
    let now = Timestamp::now();
    assert!(slow.begin(&slots(), now).await.expect("begins") == Begun::Fresh);
    // As a sweeper does that takes the slow one for dead.
    quick.release(&slots()).await.expect("releases");
    assert!(quick.begin(&slots(), now).await.expect("begins") == Begun::Fresh);
    assert!(slow.finish(&answers(), AnswerState::Done, None).await.is_err());
    slow.release(&slots()).await.expect("releases nothing");
    assert!(backend.open().await.peek(&slots(), now).await.expect("looks") == Begun::Running);
    quick.finish(&answers(), AnswerState::Done, None).await.expect("keeps its own");
}
