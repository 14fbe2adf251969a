//! Discovery itself: before it, a long one, and what it counts.

use super::{Desk, text};
use crate::engines::engine;
use crate::site::{Site, all_scopes};
use events::IntegrationKind;
use serde_json::json;
use std::time::Duration;

on_both_engines!(
    nothing_is_known_before_the_first_discovery,
    a_long_discovery_answers_with_an_id_to_poll,
    what_a_discovery_counts_is_what_the_schema_holds,
);

async fn nothing_is_known_before_the_first_discovery(kind: IntegrationKind) {
    let site = Site::start().await;
    let path = |path: &str| format!("/integrations/{kind}{path}");
    let refused = site.http.post(&path("/discover"), json!({})).await;
    assert_eq!(refused.refusal(409), "integration_not_connected");
    for below in ["/schema", "/objects", "/search?q=patient"] {
        assert_eq!(site.http.get(&path(below)).await.refusal(404), "not_discovered");
    }
    let engine = engine(kind);
    let mut body = super::body_of(&engine.reader(&engine.clinic()));
    body["skipTest"] = json!(true);
    site.http.post(&path("/connect"), body).await.data();
    assert_eq!(site.http.get(&path("/schema")).await.refusal(404), "not_discovered");
    let agent = site.agent(&site.http).await;
    let bind = format!("/agents/{agent}/integrations/{kind}/bindings");
    assert_eq!(site.http.post(&bind, super::lookup("find", &["phone"])).await.refusal(404), "not_discovered");
}

async fn a_long_discovery_answers_with_an_id_to_poll(kind: IntegrationKind) {
    let site = Site::start_with(&[("BINDERY_DISCOVERY_ANSWER_AFTER_MS", "1")]).await;
    let engine = engine(kind);
    let path = |path: &str| format!("/integrations/{kind}{path}");
    let body = super::body_of(&engine.reader(&engine.clinic()));
    site.http.post(&path("/connect"), body).await.data();
    let started = site.http.post_once(&path("/discover"), json!({}), "once").await;
    assert_eq!(started.status, 202, "{}", started.text);
    assert_eq!(started.data()["status"], "running");
    let id = text(&started.data()["discoveryId"]);
    let repeated = site.http.post_once(&path("/discover"), json!({}), "once").await;
    assert_eq!((repeated.status, repeated.text.as_str()), (202, started.text.as_str()), "the same discovery");
    let finished = loop {
        let polled = site.http.get(&path(&format!("/discoveries/{id}"))).await;
        match polled.data()["status"].as_str() {
            Some("running") => tokio::time::sleep(Duration::from_millis(10)).await,
            _ => break polled,
        }
    };
    let finished = finished.data();
    assert_eq!(finished["status"], "finished", "{finished}");
    assert!(finished["tablesRead"].as_u64() >= Some(8), "{finished}");
    assert!(finished["result"]["objectCount"].as_u64() >= Some(9), "{finished}");
    let schema = site.http.get(&path("/schema")).await;
    assert_eq!(schema.data()["schemaHash"], finished["result"]["schemaHash"]);
    let discovered = site.http.get("/events?types=Discovered").await;
    assert_eq!(discovered.data().as_array().map(Vec::len), Some(1));
    let stranger = site.http_as("other", &all_scopes()).await;
    assert_eq!(stranger.get(&path(&format!("/discoveries/{id}"))).await.refusal(404), "not_found");
}

async fn what_a_discovery_counts_is_what_the_schema_holds(kind: IntegrationKind) {
    let desk = Desk::open(kind).await;
    let found = desk.discover().await;
    let (mut objects, mut path) = (Vec::new(), desk.integration("/schema?limit=2"));
    loop {
        let page = desk.http().get(&path).await;
        let listed = page.data()["objects"].as_array().expect("objects").clone();
        assert!(listed.len() <= 2);
        objects.extend(listed);
        assert_eq!(page.body["pagination"]["total"], found["objectCount"]);
        match page.body["pagination"]["nextCursor"].as_str() {
            Some(cursor) => path = desk.integration(&format!("/schema?limit=2&cursor={cursor}")),
            None => break,
        }
    }
    let count = |member: &str| -> u64 {
        objects.iter().map(|object| object[member].as_array().map_or(0, Vec::len) as u64).sum()
    };
    assert_eq!(found["objectCount"].as_u64(), Some(objects.len() as u64));
    assert_eq!(found["fieldCount"].as_u64(), Some(count("fields")));
    assert_eq!(found["operationCount"].as_u64(), Some(count("operations")));
    let summaries = desk.http().get(&desk.integration("/objects?limit=100")).await;
    assert_eq!(super::each(summaries.data(), "name"), super::each(&json!(objects), "name"));
    for (summary, object) in summaries.data().as_array().expect("objects").iter().zip(&objects) {
        assert_eq!(summary["fieldCount"].as_u64(), object["fields"].as_array().map(|it| it.len() as u64));
        assert_eq!(summary["operations"], object["operations"]);
    }
    let filtered = desk.http().get(&desk.integration("/objects?q=INVOICE")).await;
    assert_eq!(super::each(filtered.data(), "name"), ["insurance_claims", "invoice_lines", "invoices"]);
}
