//! Another organization's things are told apart from missing ones by nothing.

use super::world::{World, parameters};
use crate::http::{Answer, Http};
use crate::site::{Site, all_scopes};
use functions::endpoint::Endpoint;
use functions::endpoints;
use http::Method;
use std::collections::BTreeMap;

/// A discovery's id is told by a 202 only.
const ANSWER_AT_ONCE: &[(&str, &str)] = &[("BINDERY_DISCOVERY_ANSWER_AFTER_MS", "1")];

async fn ask(http: &Http, world: &World, endpoint: &Endpoint, version: Option<&str>) -> Answer {
    let body = endpoint.request.map(|_| world.body_of(endpoint, version));
    http.send(endpoint.method.as_str(), &world.own_path(endpoint), body.as_ref(), &[]).await
}

/// The answer's bytes without `instance` and `requestId`, which repeat the request.
fn without_echo(answer: &Answer) -> String {
    let mut text = answer.text.clone();
    for echo in ["instance", "requestId"] {
        let value = answer.body[echo].as_str().expect("a problem document has it");
        text = text.replace(&format!("\"{echo}\":\"{value}\""), &format!("\"{echo}\":\"\""));
    }
    text
}

/// The headers without the request's id, the hour, and what is left of the rate.
fn headers(answer: &Answer) -> BTreeMap<String, String> {
    let told = answer.headers.iter().map(|(name, value)| {
        let value = match name.as_str() {
            "x-request-id" | "date" | "ratelimit-remaining" => "",
            _ => value.to_str().expect("ASCII"),
        };
        (name.as_str().to_owned(), value.to_owned())
    });
    told.collect()
}

fn assert_same(cell: &str, foreign: &Answer, missing: &Answer) {
    assert_eq!((foreign.status, foreign.code()), (404, "not_found"), "{cell}: {}", foreign.text);
    assert_eq!(without_echo(foreign), without_echo(missing), "{cell}");
    assert_eq!(headers(foreign), headers(missing), "{cell}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_id_and_a_missing_one_answer_the_same_bytes() {
    let site = Site::start_with(ANSWER_AT_ONCE).await;
    let other = site.http_as("other", &all_scopes()).await;
    let (own, foreign) = (World::of(&site, &site.http).await, World::of(&site, &other).await);
    let missing = World::of_ids_nobody_has();
    let mut cells = 0;
    for endpoint in endpoints::ALL {
        for (_, kind) in parameters(endpoint) {
            let cell = format!("{} with another's {kind}", endpoint.name);
            let with_foreign = ask(&site.http, &own.with(kind, &foreign), endpoint, None).await;
            let with_missing = ask(&site.http, &own.with(kind, &missing), endpoint, None).await;
            assert_same(&cell, &with_foreign, &with_missing);
            cells += 1;
        }
        if endpoint.name == "agents-rollback" {
            let to_foreign = ask(&site.http, &own, endpoint, Some(foreign.id("version"))).await;
            let to_missing = ask(&site.http, &own, endpoint, Some(missing.id("version"))).await;
            assert_same("agents-rollback to another's version", &to_foreign, &to_missing);
            cells += 1;
        }
    }
    assert!(cells > 20, "{cells} cells");
    // What was tried on the other's things did nothing to them.
    let path = format!("/agents/{}/skills/{}", foreign.id("agent"), foreign.id("skill"));
    assert_eq!(other.get(&path).await.data()["status"], "published");
    assert_eq!(other.get("/keys").await.status, 200, "its key was not revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_to_one_organization_holds_a_thing_of_another() {
    let site = Site::start_with(ANSWER_AT_ONCE).await;
    let other = site.http_as("other", &all_scopes()).await;
    let foreign = World::of(&site, &other).await;
    // The reader has the same kind of things or none at all.
    let newcomer = site.http_as("newcomer", &all_scopes()).await;
    let own = World::of(&site, &site.http).await;
    for (http, world) in [(&site.http, &own), (&newcomer, &World::of_ids_nobody_has())] {
        for endpoint in endpoints::ALL.iter().filter(|endpoint| endpoint.method == Method::GET) {
            let answer = ask(http, world, endpoint, None).await;
            for (kind, id) in foreign.ids() {
                assert!(!answer.text.contains(id), "{} tells another's {kind}", endpoint.name);
            }
        }
    }
    for (path, code) in
        [("schema", "not_discovered"), ("objects", "not_discovered"), ("search?q=a", "not_discovered")]
    {
        let answer = newcomer.get(&format!("/integrations/postgres/{path}")).await;
        assert_eq!(answer.refusal(404), code, "another's database is not mine");
    }
    assert_eq!(newcomer.get("/integrations").await.data().as_array().expect("a list").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_header_names_the_organization() {
    let site = Site::start().await;
    let other = site.http_as("other", &all_scopes()).await;
    let agent = site.agent(&other).await;
    for header in ["X-Organization", "X-Tenant-Id", "X-Organization-Id", "Organization"] {
        let path = format!("/agents/{agent}");
        let answer = site.http.send("GET", &path, None, &[(header, "other")]).await;
        assert_eq!(answer.refusal(404), "not_found", "{header}");
    }
}
