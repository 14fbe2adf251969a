//! The same request twice has one effect and one answer.

use super::text;
use crate::engines::postgres;
use crate::http::Http;
use crate::site::{Site, all_scopes};
use events::OrganizationId;
use functions::idempotency;
use infra::storage::{AnswerStore, Begun, EventLog};
use serde_json::{Value, json};

async fn agents(http: &Http) -> usize {
    http.get("/agents?limit=100").await.data().as_array().expect("a list").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_gets_the_same_bytes_and_says_that_it_is_one() {
    let site = Site::start().await;
    let body = json!({ "name": "Front desk" });
    let first = site.http.post_once("/agents", body.clone(), "key-1").await;
    let again = site.http.post_once("/agents", body, "key-1").await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (201, None));
    assert_eq!((again.status, again.header("idempotent-replayed")), (201, Some("true")));
    assert_eq!(again.text, first.text);
    for header in ["etag", "x-bindery-position", "content-type"] {
        assert_eq!(again.header(header), first.header(header), "{header}");
    }
    assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
    assert_eq!(agents(&site.http).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_body_under_the_same_key_is_refused_and_another_address_is_another_request() {
    let site = Site::start().await;
    site.http.post_once("/agents", json!({ "name": "one" }), "key").await.data();
    let refused = site.http.post_once("/agents", json!({ "name": "two" }), "key").await;
    assert_eq!(refused.refusal(422), "idempotency_key_reused");
    let elsewhere = site.http.post_once("/keys", json!({ "name": "one", "scopes": ["all"] }), "key").await;
    assert_eq!(elsewhere.status, 201, "{}", elsewhere.text);
    let other = site.http_as("other", &all_scopes()).await;
    let theirs = other.post_once("/agents", json!({ "name": "two" }), "key").await;
    assert_eq!(
        (theirs.status, theirs.header("idempotent-replayed")),
        (201, None),
        "keys are an organization's own"
    );
    assert_eq!((agents(&site.http).await, agents(&other).await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_under_one_key_have_one_effect() {
    let site = Site::start().await;
    let tasks = (0..40).map(|_| {
        let http = site.http.clone();
        tokio::spawn(async move { http.post_once("/agents", json!({ "name": "one" }), "key").await })
    });
    let mut made = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        let answer = task.await.expect("no panic");
        if answer.status == 409 {
            assert_eq!(answer.code(), "idempotency_in_progress");
            assert_eq!(answer.header("retry-after"), Some("1"));
        } else {
            assert_eq!(answer.status, 201, "{}", answer.text);
            made.push(answer);
        }
    }
    assert!(made.iter().all(|answer| answer.text == made[0].text));
    assert_eq!(made.iter().filter(|answer| answer.header("idempotent-replayed").is_none()).count(), 1);
    assert_eq!(agents(&site.http).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_shown_once_is_not_in_the_repeated_answer() {
    let site = Site::start().await;
    let body = json!({ "name": "new", "scopes": ["agents:read"] });
    let first = site.http.post_once("/keys", body.clone(), "mint").await;
    let again = site.http.post_once("/keys", body, "mint").await;
    let rotate = format!("/keys/{}/rotate", text(&first.data()["id"]));
    let rotated = site.http.post_once(&rotate, json!({}), "rotate").await;
    let rotated_again = site.http.post_once(&rotate, json!({}), "rotate").await;
    for (first, again) in [(&first, &again), (&rotated, &rotated_again)] {
        let (mut shown, hidden) = (first.data().clone(), again.data());
        assert!(shown["key"].is_string() && shown["secretOmitted"].is_null());
        assert_eq!((&hidden["key"], &hidden["secretOmitted"]), (&Value::Null, &json!(true)));
        shown.as_object_mut().expect("an object").remove("key");
        shown["secretOmitted"] = json!(true);
        assert_eq!(&shown, hidden, "and all else is the same");
        assert_eq!((again.status, again.header("idempotent-replayed")), (201, Some("true")));
    }
    assert_eq!(site.http.get("/keys").await.data().as_array().map(Vec::len), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_gives_its_key_back() {
    let site = Site::start().await;
    let (engine, path) = (postgres(), "/integrations/postgres/discover");
    let refused = site.http.post_once(path, json!({}), "key").await;
    assert_eq!(refused.refusal(409), "integration_not_connected");
    site.connect(&site.http, engine, &engine.clinic()).await;
    let mended = site.http.post_once(path, json!({}), "key").await;
    assert_eq!((mended.status, mended.header("idempotent-replayed")), (200, None), "{}", mended.text);
    let invalid = site.http.post_once("/agents", json!({ "name": "" }), "other").await;
    assert_eq!(invalid.refusal(400), "validation_error");
    let valid = site.http.post_once("/agents", json!({ "name": "a" }), "other").await;
    assert_eq!(valid.status, 201, "a mended body may come under the same key: {}", valid.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_kept_over_a_restart() {
    let site = Site::start().await;
    let body = json!({ "name": "Front desk" });
    let first = site.http.post_once("/agents", body.clone(), "key").await;
    let site = site.restarted(&[]).await;
    let again = site.http.post_once("/agents", body, "key").await;
    assert_eq!(
        (again.text.as_str(), again.header("idempotent-replayed")),
        (first.text.as_str(), Some("true"))
    );
    assert_eq!(agents(&site.http).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_was_never_kept_is_found_again_by_its_command() {
    let site = Site::start().await;
    let body = json!({ "name": "Front desk" });
    let first = site.http.post_once("/agents", body.clone(), "key").await;
    // As after a crash between the commit and the record of its answer: the key is free, the log has the command.
    let endpoint = functions::endpoints::ALL.iter().find(|it| it.name == "agents-create").expect("it exists");
    let organization = OrganizationId::from("default");
    let bytes = serde_json::to_vec(&body).expect("JSON");
    let slot = site.services.slot(&organization, endpoint, "/api/v1/agents", "key", &bytes);
    let command = idempotency::command_id(&slot);
    let found = site.embedded.store.committed(&organization, &command).await.expect("readable");
    assert!(found.is_some(), "the command id is the request's");
    site.embedded.store.expire(jiff::Timestamp::MAX).await.expect("answers are forgotten, commands are not");
    let head = site.embedded.store.head(&organization).await.expect("a head");

    let site = site.restarted(&[]).await;
    let again = site.http.post_once("/agents", body, "key").await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (201, None), "its answer is made anew");
    assert_eq!((&again.text, again.header("etag")), (&first.text, first.header("etag")));
    assert_eq!(again.header("x-bindery-position"), first.header("x-bindery-position"));
    assert_eq!(site.embedded.store.head(&organization).await.expect("a head"), head, "nothing was appended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_minted_and_never_shown_is_not_shown_by_a_repetition() {
    let site = Site::start().await;
    let body = json!({ "name": "new", "scopes": ["agents:read"] });
    let first = site.http.post_once("/keys", body.clone(), "key").await;
    site.embedded.store.expire(jiff::Timestamp::MAX).await.expect("answers are forgotten");
    let again = site.http.post_once("/keys", body, "key").await;
    assert_eq!(again.data()["id"], first.data()["id"], "the same key");
    assert_eq!((&again.data()["key"], &again.data()["secretOmitted"]), (&Value::Null, &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_a_dead_process_left_running_may_run_again() {
    let site = Site::start().await;
    let body = json!({ "name": "Front desk" });
    let endpoint = functions::endpoints::ALL.iter().find(|it| it.name == "agents-create").expect("it exists");
    let bytes = serde_json::to_vec(&body).expect("JSON");
    let slot = site.services.slot(&"default".into(), endpoint, "/api/v1/agents", "key", &bytes);
    let begun = site
        .embedded
        .store
        .begin(std::slice::from_ref(&slot), jiff::Timestamp::now())
        .await
        .expect("writable");
    assert!(matches!(begun, Begun::Fresh));
    let refused = site.http.post_once("/agents", body.clone(), "key").await;
    assert_eq!(refused.refusal(409), "idempotency_in_progress");
    let site = site.restarted(&[]).await;
    assert_eq!(site.http.post_once("/agents", body, "key").await.status, 201);
    assert_eq!(agents(&site.http).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_no_header_text_is_refused() {
    let site = Site::start().await;
    for key in ["", &"x".repeat(256)] {
        let answer = site.http.post_once("/agents", json!({ "name": "a" }), key).await;
        assert_eq!(super::wrong(&answer)[0].0, "Idempotency-Key");
    }
    assert_eq!(agents(&site.http).await, 0);
}
