//! Connecting and disconnecting at the same time, and being cut off in between.

use super::broken::beside;
use super::{agent_with_read, call, connecting, known_phone};
use crate::engines::postgres;
use crate::site::Site;
use async_trait::async_trait;
use events::{IntegrationKind, OrganizationId};
use infra::sealing::{SealContext, SealError, Sealed, Sealer};
use infra::storage::{CredentialStore, StoreError};
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

const KIND: IntegrationKind = IntegrationKind::Postgres;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_connects_last_keeps_its_credentials_and_no_others_are_left() {
    let (site, engine) = (Site::start().await, postgres());
    let owner = engine.owner(&engine.clinic());
    for _ in 0..4 {
        let mut requests = JoinSet::new();
        for number in 0..12 {
            // One in four tests its credentials first, which takes longer.
            let (http, body) = (site.http.clone(), connecting(&owner, number % 4 != 0));
            requests.spawn(async move {
                let answer = http.post("/integrations/postgres/connect", body).await;
                answer.data();
            });
            if number % 5 == 4 {
                let http = site.http.clone();
                requests.spawn(async move {
                    let answer = http.delete("/integrations/postgres").await;
                    assert!(matches!(answer.status, 200 | 409), "{}", answer.text);
                });
            }
        }
        requests.join_all().await;
        let listed = site.http.get("/integrations").await;
        let (status, connection) = (&listed.data()[0]["status"], &listed.data()[0]["connection"]);
        let current = connection["credentialVersion"].as_u64();
        assert_eq!(status == "connected", current.is_some(), "{}", listed.text);
        if current.is_some() {
            site.http.post("/integrations/postgres/discover", json!({})).await.data();
        }
        let kept: Vec<u64> = sealed_versions(&site).await;
        assert_eq!(kept, Vec::from_iter(current), "only what is in force is kept");
    }
}

#[tokio::test]
async fn a_disconnect_does_not_destroy_what_was_connected_meanwhile() {
    someone_connects_during("DELETE", "/integrations/postgres").await;
}

#[tokio::test]
async fn a_rotation_does_not_destroy_what_was_connected_meanwhile() {
    someone_connects_during("POST", "/integrations/postgres/connect").await;
}

/// During a change that has been committed and has yet to destroy the credentials it ended.
async fn someone_connects_during(method: &'static str, path: &'static str) {
    let (site, engine) = (Site::start().await, postgres());
    let owner = engine.owner(&engine.clinic());
    let body = connecting(&owner, true);
    site.http.post("/integrations/postgres/connect", body.clone()).await.data();
    let (arrived, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let slow = beside(&site, |services| {
        let store = services.credentials.clone();
        services.credentials = Arc::new(SlowToShred { store, arrived: arrived.clone(), go: go.clone() });
    })
    .await;
    let sent = (method == "POST").then(|| body.clone());
    let change = tokio::spawn(async move { slow.send(method, path, sent.as_ref(), &[]).await });
    arrived.acquire().await.expect("never closed").forget();
    site.http.post("/integrations/postgres/connect", body).await.data();
    go.add_permits(1);
    change.await.expect("no panic").data();
    let listed = site.http.get("/integrations").await;
    let current = listed.data()[0]["connection"]["credentialVersion"].as_u64();
    assert_eq!(sealed_versions(&site).await, Vec::from_iter(current));
    site.http.post("/integrations/postgres/discover", json!({})).await.data();
}

/// Destroys nothing before it is told to go on.
struct SlowToShred {
    store: Arc<dyn CredentialStore>,
    arrived: Arc<Semaphore>,
    go: Arc<Semaphore>,
}

#[async_trait]
impl CredentialStore for SlowToShred {
    async fn put(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        version: u32,
        sealed: &Sealed,
    ) -> Result<bool, StoreError> {
        self.store.put(organization, kind, version, sealed).await
    }

    async fn get(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        version: u32,
    ) -> Result<Option<Sealed>, StoreError> {
        self.store.get(organization, kind, version).await
    }

    async fn shred(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        through: u32,
    ) -> Result<Vec<u32>, StoreError> {
        self.arrived.add_permits(1);
        self.go.acquire().await.expect("never closed").forget();
        self.store.shred(organization, kind, through).await
    }
}

#[tokio::test]
async fn a_disconnect_that_was_cut_off_is_finished_at_the_next_start() {
    let (site, engine) = (Site::start().await, postgres());
    let owner = engine.owner(&engine.clinic());
    site.http.post("/integrations/postgres/connect", connecting(&owner, true)).await.data();
    site.http.delete("/integrations/postgres").await.data();
    put(&site, 1).await;
    let site = site.restarted(&[]).await;
    assert_eq!(sealed_versions(&site).await, Vec::<u64>::new());
}

#[tokio::test]
async fn a_rotation_that_was_cut_off_is_finished_at_the_next_start_and_the_current_credentials_stay() {
    let (site, engine) = (Site::start().await, postgres());
    let owner = engine.owner(&engine.clinic());
    for _ in 0..2 {
        site.http.post("/integrations/postgres/connect", connecting(&owner, true)).await.data();
    }
    put(&site, 1).await;
    let site = site.restarted(&[]).await;
    assert_eq!(sealed_versions(&site).await, [2]);
    site.http.post("/integrations/postgres/discover", json!({})).await.data();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_disconnected_is_let_go_of_with_the_next_request() {
    let (site, engine) = (Site::start().await, postgres());
    let database = engine.clinic();
    site.connect(&site.http, engine, &database).await;
    let (agent, _) = agent_with_read(&site, engine).await;
    let forgotten = Arc::new(Mutex::new(Vec::new()));
    let other = beside(&site, |services| {
        services.sealer =
            Arc::new(Remembers { sealer: services.sealer.clone(), forgotten: forgotten.clone() });
    })
    .await;
    let found = call(&other, &agent, "find_patient", known_phone()).await;
    assert_eq!(found.data()["outcome"], "ok", "{}", found.text);
    let connections = || {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND application_name = 'bindery'"
        );
        engine.admin_sql(&database, &sql).trim().to_owned()
    };
    assert_eq!(connections(), "1", "the pool of the process that called");
    site.http.delete("/integrations/postgres").await.data();
    assert!(!forgotten.lock().expect("not poisoned").contains(&1), "nobody told the other process");
    other.get("/agents").await.data();
    assert!(forgotten.lock().expect("not poisoned").contains(&1));
    let started = Instant::now();
    while connections() != "0" {
        assert!(started.elapsed() < Duration::from_secs(20), "the connection stays");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Remembers up to which versions of credentials it was told to forget.
struct Remembers {
    sealer: Arc<dyn Sealer>,
    forgotten: Arc<Mutex<Vec<u32>>>,
}

#[async_trait]
impl Sealer for Remembers {
    async fn seal(&self, context: &SealContext, plain: &[u8]) -> Result<Sealed, SealError> {
        self.sealer.seal(context, plain).await
    }

    async fn open(&self, context: &SealContext, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealError> {
        self.sealer.open(context, sealed).await
    }

    fn forget(&self, context: &SealContext) {
        self.forgotten.lock().expect("not poisoned").push(context.version);
    }
}

/// As a connect puts them, before what it was for is destroyed.
async fn put(site: &Site, version: u32) {
    let organization = OrganizationId::from("default");
    let context = SealContext::credentials(&organization, KIND, version);
    let sealed: Sealed = site.embedded.sealer.seal(&context, b"{}").await.expect("it seals");
    assert!(site.embedded.store.put(&organization, KIND, version, &sealed).await.expect("it stores"));
    assert!(sealed_versions(site).await.contains(&u64::from(version)));
}

/// The versions of credentials that the store holds; no test here comes near the last that is looked at.
async fn sealed_versions(site: &Site) -> Vec<u64> {
    let organization = OrganizationId::from("default");
    let mut versions = Vec::new();
    for version in 1..=400 {
        let found = site.embedded.store.get(&organization, KIND, version).await.expect("it reads");
        versions.extend(found.map(|_| u64::from(version)));
    }
    versions
}
