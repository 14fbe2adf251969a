use super::*;
use crate::storage::{DiscoveryJob, DiscoveryProgress, DiscoveryStore};
use domain::limits::DISCOVERY_KEPT;
use events::{Actor, ActorKind, IntegrationKind};
use jiff::Timestamp;
use serde_json::json;
use std::collections::BTreeSet;
use tables::TableName;

fn job(id: &str) -> DiscoveryJob {
    DiscoveryJob {
        id: id.to_owned(),
        organization: "acme".into(),
        kind: IntegrationKind::Postgres,
        credential_version: 1,
        command_id: format!("command of {id}").as_str().into(),
        actor: Actor { kind: ActorKind::Key, id: "k1".to_owned() },
        request_id: "req_1".into(),
        requested_at: "2026-11-05T12:00:00Z".parse().expect("a time"),
        progress: DiscoveryProgress::Running { tables: 0 },
    }
}

async fn look(store: &DynamoStore, id: &str) -> Option<DiscoveryJob> {
    store.get(&"acme".into(), IntegrationKind::Postgres, id).await.expect("reads")
}

async fn to_run(store: &DynamoStore, id: &str) -> Option<DiscoveryJob> {
    store.to_run(&"acme".into(), IntegrationKind::Postgres, id).await.expect("reads")
}

/// A discovery that a worker has begun is given up after this.
async fn hasty(names: &Names, lease: Duration) -> DynamoStore {
    patient(names, Patience { discovery: lease, ..Patience::default() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_that_ask_at_once_one_starts_and_all_get_its_job() {
    let names = names().await;
    let store = store(&names).await;
    let asked: Vec<_> = (0..50)
        .map(|at| {
            let store = store.clone();
            tokio::spawn(async move { store.join_or_start(job(&format!("job {at}"))).await.expect("joins") })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for asked in asked {
        ids.insert(asked.await.expect("ends").id);
    }
    assert_eq!(ids.len(), 1, "{ids:?}");
    let id = ids.first().expect("one");
    assert_eq!(look(&store, id).await, Some(job(id)));
    let table = names.table(TableName::Discoveries);
    let kept = store.client.scan().table_name(table).send().await.expect("a scan").count();
    assert_eq!(kept, 2, "the job and its place, and nothing of those that joined");
}

#[tokio::test]
async fn other_connections_organizations_and_kinds_run_beside_each_other() {
    let store = store(&names().await).await;
    let others = [
        job("a"),
        DiscoveryJob { credential_version: 2, ..job("b") },
        DiscoveryJob { organization: "other".into(), ..job("c") },
        DiscoveryJob { kind: IntegrationKind::Mysql, ..job("d") },
    ];
    for other in others {
        let (organization, kind, id) = (other.organization.clone(), other.kind, other.id.clone());
        assert_eq!(store.join_or_start(other.clone()).await, Ok(other.clone()));
        assert_eq!(store.get(&organization, kind, &id).await, Ok(Some(other)));
    }
    assert_eq!(look(&store, "c").await, None);
    assert_eq!(look(&store, "d").await, None);
}

#[tokio::test]
async fn a_job_shows_how_far_it_is_and_ends_once() {
    let store = store(&names().await).await;
    let started = store.join_or_start(job("a")).await.expect("starts");
    assert_eq!(store.advance(&started, 7).await, Ok(true));
    let running = store.join_or_start(job("b")).await.expect("joins");
    assert_eq!((running.id.as_str(), running.progress), ("a", DiscoveryProgress::Running { tables: 7 }));

    store.end(&started, json!({ "objectCount": 3 })).await.expect("ends");
    store.end(&started, json!({ "objectCount": 4 })).await.expect("is heard");
    assert_eq!(store.advance(&started, 8).await, Ok(false));
    let ended = DiscoveryProgress::Ended { answer: json!({ "objectCount": 3 }) };
    assert_eq!(look(&store, "a").await, Some(DiscoveryJob { progress: ended, ..job("a") }));
    assert_eq!(store.join_or_start(job("c")).await.expect("starts anew").id, "c");
    assert!(look(&store, "a").await.is_some(), "its result can still be asked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_gives_no_sign_of_life_is_taken_over_by_one_and_cannot_end_any_more() {
    let names = names().await;
    let lease = Duration::from_secs(2);
    let store = Arc::new(hasty(&names, lease).await);
    let dead = store.join_or_start(job("dead")).await.expect("starts");
    assert_eq!(store.advance(&dead, 0).await, Ok(true));
    assert_eq!(store.join_or_start(job("early")).await.expect("joins").id, "dead");
    tokio::time::sleep(lease).await;
    assert_eq!(look(&store, "dead").await, None, "nobody waits for it any more");
    assert_eq!(to_run(&store, "dead").await, Some(job("dead")), "but whoever is woken again may run it");
    // The others think in longer leases, so that what starts now stays alive.
    let patient = self::store(&names).await;
    let asked: Vec<_> = (0..20)
        .map(|at| {
            let store = if at % 2 == 0 { store.clone() } else { patient.clone() };
            tokio::spawn(async move { store.join_or_start(job(&format!("next {at}"))).await.expect("joins") })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for asked in asked {
        ids.insert(asked.await.expect("ends").id);
    }
    ids.remove("dead");
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(to_run(&store, "dead").await, None);
    assert_eq!(store.advance(&dead, 1).await, Ok(false));
    store.end(&dead, json!({})).await.expect("is heard");
    assert_eq!(look(&patient, "dead").await, None);
    let next = look(&patient, ids.first().expect("one")).await.expect("it runs");
    assert_eq!(next.progress, DiscoveryProgress::Running { tables: 0 });
}

#[tokio::test]
async fn a_job_that_waits_for_a_worker_has_longer_and_its_lease_begins_with_the_worker() {
    let names = names().await;
    let (lease, queue) = (Duration::from_secs(1), Duration::from_secs(6));
    let store = patient(&names, Patience { discovery: lease, queue, ..Patience::default() }).await;
    let waits = store.join_or_start(job("waits")).await.expect("starts");
    tokio::time::sleep(lease * 2).await;
    assert_eq!(look(&store, "waits").await, Some(job("waits")));
    assert_eq!(store.join_or_start(job("joins")).await.expect("joins").id, "waits");
    assert_eq!(store.advance(&waits, 0).await, Ok(true), "a worker is free at last");
    tokio::time::sleep(lease).await;
    assert_eq!(look(&store, "waits").await, None, "and has died");

    assert_eq!(store.join_or_start(job("forgotten")).await.expect("starts").id, "forgotten");
    tokio::time::sleep(queue).await;
    assert_eq!(look(&store, "forgotten").await, None, "no worker came");
    assert_eq!(store.join_or_start(job("next")).await.expect("starts").id, "next");
    assert_eq!(to_run(&store, "forgotten").await, None);
}

#[tokio::test]
async fn a_sign_of_life_prolongs_the_lease() {
    let names = names().await;
    let (lease, third) = (Duration::from_secs(3), Duration::from_secs(1));
    let store = hasty(&names, lease).await;
    let started = store.join_or_start(job("a")).await.expect("starts");
    for tables in 1..=4 {
        tokio::time::sleep(third).await;
        assert_eq!(store.advance(&started, tables).await, Ok(true));
    }
    assert_eq!(store.join_or_start(job("b")).await.expect("joins").id, "a");
}

#[tokio::test]
async fn a_result_that_expired_is_gone_whether_it_was_deleted_or_not() {
    let names = names().await;
    let store = store(&names).await;
    let started = store.join_or_start(job("a")).await.expect("starts");
    store.end(&started, json!({})).await.expect("ends");
    let table = names.table(TableName::Discoveries);
    let item =
        items::get(&store.client, &table, "acme", "J#postgres#a").await.expect("reads").expect("there");
    let expires: i64 = items::get_number(&item, "expires").expect("a time");
    let left = expires - Timestamp::now().as_second();
    assert!((0..=DISCOVERY_KEPT.as_secs() as i64).contains(&left) && left > 86_000, "{left}");
    let mut old = item;
    old.insert("expires".to_owned(), items::number(Timestamp::now().as_second() - 1));
    store.client.put_item().table_name(table).set_item(Some(old)).send().await.expect("put");
    assert_eq!(look(&store, "a").await, None);
}
