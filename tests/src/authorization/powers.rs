//! What a key may not give itself, and how soon it ends.

use super::world::{World, binding, text};
use crate::engines::postgres;
use crate::http::Http;
use crate::site::{Site, all_scopes};
use functions::key_text;
use serde_json::json;

fn key_id(http: &Http) -> String {
    key_text::parse(&http.key).expect("a key").key_id.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_cannot_mint_a_scope_that_it_lacks() {
    let site = Site::start().await;
    for scope in all_scopes() {
        let others: Vec<&str> = all_scopes().into_iter().filter(|other| *other != scope).collect();
        let minter = site.http_as("default", &others).await;
        for scopes in [json!([scope]), json!(["all"])] {
            let answer = minter.post("/keys", json!({ "name": "more", "scopes": scopes })).await;
            assert_eq!(answer.refusal(403), "insufficient_scope");
            assert_eq!(answer.body["scope"], scope);
        }
        if scope != "keys:write" {
            let answer = minter.post("/keys", json!({ "name": "as much", "scopes": others })).await;
            assert_eq!(answer.status, 201, "{}", answer.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_cannot_take_over_a_stronger_one_by_rotating_it() {
    let site = Site::start().await;
    let minter = site.http_as("default", &["keys:write"]).await;
    let answer = minter.post(&format!("/keys/{}/rotate", key_id(&site.http)), json!({})).await;
    assert_eq!(answer.refusal(403), "insufficient_scope");
    assert!(
        site.http.get("/keys").await.data().as_array().expect("keys").len() == 2,
        "no successor was made"
    );
    let own = minter.post(&format!("/keys/{}/rotate", key_id(&minter)), json!({})).await;
    assert_eq!(own.status, 201, "{}", own.text);
    assert_eq!(own.data()["scopes"], json!(["keys:write"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_runs_in_a_call_only_for_a_key_that_may_write_skills() {
    let site = Site::start().await;
    let engine = postgres();
    site.connect(&site.http, engine, &engine.clinic()).await;
    let agent = site.agent(&site.http).await;
    site.bind(&site.http, &agent, engine, binding()).await;
    let path = format!("/agents/{agent}/skills/find_patient/call");
    let call = json!({ "arguments": { "phone": "+12025550142" }, "draftMode": true });
    let caller = site.http_as("default", &["skills:call"]).await;
    let answer = caller.post(&path, call.clone()).await;
    assert_eq!(answer.refusal(403), "insufficient_scope");
    assert_eq!(answer.body["scope"], "skills:write");
    let live = caller.post(&path, json!({ "arguments": { "phone": "+12025550142" } })).await;
    assert_eq!(live.refusal(409), "no_published_version", "drafts never serve live calls");
    let author = site.http_as("default", &["skills:call", "skills:write"]).await;
    assert_eq!(author.post(&path, call).await.data()["outcome"], "ok");
    // Before anything else is looked up: the refusal must not tell which agents exist.
    let nobodys = World::of_ids_nobody_has();
    let path = format!("/agents/{}/skills/find_patient/call", nobodys.id("agent"));
    let call = json!({ "arguments": {}, "draftMode": true });
    assert_eq!(caller.post(&path, call).await.refusal(404), "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_ends_with_the_answer_and_a_rotated_one_after_its_overlap() {
    let site = Site::start().await;
    let doomed = site.http_as("default", &["keys:write"]).await;
    assert_eq!(doomed.get("/keys").await.status, 200);
    let revoked = site.http.delete(&format!("/keys/{}", key_id(&doomed))).await;
    assert_eq!(revoked.data()["status"], "revoked");
    assert_eq!(doomed.get("/keys").await.refusal(401), "invalid_api_key");
    let again = site.http.post(&format!("/keys/{}/rotate", key_id(&doomed)), json!({})).await;
    assert_eq!(again.refusal(409), "key_ended");

    let old = site.http_as("default", &["keys:write"]).await;
    let rotate = format!("/keys/{}/rotate", key_id(&old));
    let successor = site.http.post(&rotate, json!({ "overlapMs": 60_000 })).await;
    let new = site.http.with_key(&text(&successor.data()["key"]));
    assert_eq!(
        (old.get("/keys").await.status, new.get("/keys").await.status),
        (200, 200),
        "both for a minute"
    );
    assert_eq!(site.http.post(&rotate, json!({})).await.refusal(409), "key_ended");

    let listed = site.http.get("/keys").await;
    let listed = listed.data().as_array().expect("keys");
    let old = listed.iter().find(|key| key["id"] == key_id(&old)).expect("it is listed");
    assert_eq!(old["successor"], key_id(&new));
    assert_ne!(old["expiresAt"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_wrong_with_a_new_key_is_told_at_once() {
    let site = Site::start().await;
    let wrong =
        json!({ "name": " ", "scopes": ["skills:reed", "agents:read"], "expiresAt": "2020-01-01T00:00:00Z" });
    let answer = site.http.post("/keys", wrong).await;
    assert_eq!(answer.refusal(400), "validation_error");
    let errors = answer.body["errors"].as_array().expect("errors");
    let fields: Vec<String> = errors.iter().map(|error| text(&error["field"])).collect();
    assert_eq!(fields, ["name", "scopes[0]", "expiresAt"]);
    assert_eq!(errors[1]["nearest"][0], "skills:read");
}
