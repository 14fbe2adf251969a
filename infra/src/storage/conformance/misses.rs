use super::*;
use crate::storage::misses::{Budget, Misses};
use jiff::SignedDuration;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn budget(name: u128) -> Budget {
    Budget { organization: acme(), name, most: 3, within: HOUR }
}

async fn count(store: &dyn Misses, budget: &Budget, key: u128, now: Timestamp) -> bool {
    store.count(budget, key, now).await.expect("counts")
}

pub async fn a_key_that_is_missed_again_costs_nothing_more<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    for key in [1, 2, 1, 2, 2] {
        assert!(count(&*store, &budget(1), key, noon()).await);
    }
    assert!(!store.is_used_up(&budget(1), noon()) && !store.is_any_used_up(noon()));
    assert!(count(&*store, &budget(1), 3, noon()).await);
    assert!(store.is_used_up(&budget(1), noon()) && store.is_any_used_up(noon()));
    assert!(!count(&*store, &budget(1), 4, noon()).await, "there is no room for it");
    assert!(count(&*store, &budget(1), 3, noon()).await, "this one is counted already");
}

pub async fn one_budget_is_nobody_elses<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    for key in 0..3 {
        assert!(count(&*store, &budget(1), key, noon()).await);
    }
    let elsewhere = Budget { organization: "other".into(), ..budget(2) };
    for another in [budget(3), elsewhere] {
        assert!(!store.is_used_up(&another, noon()));
        assert!(count(&*store, &another, 9, noon()).await);
    }
}

pub async fn a_budget_is_whole_again_when_its_time_is_over<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    for key in 0..3 {
        assert!(count(&*store, &budget(1), key, noon() + SignedDuration::from_secs(key as i64)).await);
    }
    let moment = SignedDuration::from_secs(1);
    assert!(store.is_used_up(&budget(1), noon() + HOUR - moment), "it is counted from the first miss on");
    for over in [HOUR, HOUR * 3] {
        assert!(!store.is_used_up(&budget(1), noon() + over) && !store.is_any_used_up(noon() + over));
        for key in 10..13 {
            assert!(count(&*store, &budget(1), key, noon() + over).await, "{over}");
        }
        assert!(!count(&*store, &budget(1), 13, noon() + over).await, "{over}");
    }
}

pub async fn of_many_who_miss_at_once_no_more_are_counted_than_there_is_room_for<B: Backend<Store: Store>>(
    backend: &B,
) {
    let store = backend.open().await;
    let tasks: Vec<_> = (0..12)
        .map(|key| {
            let store = store.clone();
            tokio::spawn(async move { count(&*store, &budget(1), key, noon()).await })
        })
        .collect();
    let mut counted = 0;
    for task in tasks {
        counted += usize::from(task.await.expect("ends"));
    }
    assert_eq!(counted, 3);
    assert!(store.is_used_up(&budget(1), noon()));
}
