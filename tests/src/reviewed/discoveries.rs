//! Discoveries that overlap: with each other, and with a connection that is moved meanwhile.

use super::gate::Gate;
use super::{agent_with_read, call, connecting, events_of, known_phone, text};
use crate::engines::postgres;
use crate::http::Http;
use crate::site::{Site, all_scopes};
use domain::limits::DISCOVERIES_MAX;
use serde_json::{Value, json};
use std::time::Duration;

const DISCOVER: &str = "/integrations/postgres/discover";
const CONNECT: &str = "/integrations/postgres/connect";

/// Every discovery that is held up answers 202.
const AT_ONCE: &[(&str, &str)] = &[("BINDERY_DISCOVERY_ANSWER_AFTER_MS", "1")];

#[tokio::test]
async fn what_was_read_of_the_old_database_says_nothing_of_the_new_one() {
    let (site, engine) = (Site::start().await, postgres());
    let old = engine.clinic();
    site.connect(&site.http, engine, &old).await;
    let (agent, _) = agent_with_read(&site, engine).await;
    let gate = Gate::shut(engine).await;
    let through = gate.to(engine.owner(&old));
    site.http.post(CONNECT, connecting(&through, true)).await.data();
    let before = events_of(&site.http, "Discovered").await;

    let http = site.http.clone();
    let reading = tokio::spawn(async move { http.post(DISCOVER, json!({})).await });
    gate.arrival().await;
    let new = engine.owner(&engine.database("CREATE TABLE other (id int PRIMARY KEY)"));
    site.http.post(CONNECT, connecting(&new, true)).await.data();
    gate.open();
    let answer = reading.await.expect("no panic");

    assert_eq!(answer.refusal(409), "connection_changed");
    assert_eq!(events_of(&site.http, "Discovered").await, before);
    assert_eq!(site.http.get("/integrations/postgres/schema").await.refusal(404), "not_discovered");
    let refused = call(&site.http, &agent, "find_patient", known_phone()).await;
    assert_eq!(refused.data()["code"], "skill_quarantined");
    site.http.post(DISCOVER, json!({})).await.data();
    let objects = site.http.get("/integrations/postgres/objects").await;
    assert_eq!(objects.data()[0]["name"], "other", "{}", objects.text);
}

#[tokio::test]
async fn discoveries_of_one_connection_are_one() {
    let (site, engine) = (Site::start_with(AT_ONCE).await, postgres());
    let gate = Gate::shut(engine).await;
    let owner = gate.to(engine.owner(&engine.clinic()));
    site.http.post(CONNECT, connecting(&owner, true)).await.data();
    let mut ids = Vec::new();
    for _ in 0..8 {
        ids.push(started(&site.http).await);
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    gate.open();
    assert_eq!(ended(&site.http, &ids[0]).await["status"], "finished");
    assert_eq!(events_of(&site.http, "Discovered").await, 1);
}

#[tokio::test]
async fn one_discovery_too_many_is_told_to_come_back() {
    let (site, engine) = (Site::start_with(AT_ONCE).await, postgres());
    let gate = Gate::shut(engine).await;
    let owner = gate.to(engine.owner(&engine.clinic()));
    let mut clinics = Vec::new();
    for number in 0..=DISCOVERIES_MAX {
        let http = site.http_as(&format!("clinic{number}"), &all_scopes()).await;
        http.post(CONNECT, connecting(&owner, true)).await.data();
        clinics.push(http);
    }
    let last = clinics.pop().expect("one too many");
    // Nothing slow while the gate is shut: who dials waits no longer than 5 s.
    let mut running = Vec::new();
    for http in &clinics {
        running.push((http, started(http).await));
    }
    let refused = last.post(DISCOVER, json!({})).await;
    assert_eq!(refused.refusal(503), "service_unavailable");
    assert!(refused.header("retry-after").is_some(), "{:?}", refused.headers);
    gate.open();
    for (http, id) in &running {
        assert_eq!(ended(http, id).await["status"], "finished");
    }
    if let Some(id) = started_or_done(&last).await {
        assert_eq!(ended(&last, &id).await["status"], "finished");
    }
    assert_eq!(events_of(&last, "Discovered").await, 1);
}

/// The id of a discovery that is held up.
async fn started(http: &Http) -> String {
    started_or_done(http).await.expect("the gate is shut")
}

async fn started_or_done(http: &Http) -> Option<String> {
    let answer = http.post(DISCOVER, json!({})).await;
    (answer.status == 202).then(|| text(&answer.data()["discoveryId"]))
}

async fn ended(http: &Http, id: &str) -> Value {
    loop {
        let polled = http.get(&format!("/integrations/postgres/discoveries/{id}")).await;
        if polled.data()["status"] != "running" {
            return polled.data().clone();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
