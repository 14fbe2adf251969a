//! Ids, traces, rates and what sits beside the API.

use super::text;
use crate::site::{Site, all_scopes};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_is_given_back_when_it_is_harmless_and_made_when_not() {
    let site = Site::start().await;
    let with = async |id: &str| {
        let answer = site.http.send("GET", "/agents/none", None, &[("X-Request-Id", id)]).await;
        let told = answer.header("x-request-id").expect("on every answer").to_owned();
        assert_eq!(answer.body["requestId"], told, "the same in the problem");
        told
    };
    for id in ["a", "call-42_x.y", &"x".repeat(64)] {
        assert_eq!(with(id).await, id);
    }
    for id in ["", &"x".repeat(65), "with space", "a\"b", "a/b"] {
        assert!(with(id).await.starts_with("req_"), "{id:?}");
    }
    let (one, other) = (site.http.get("/agents").await, site.http.get("/agents").await);
    assert_ne!(one.header("x-request-id"), other.header("x-request-id"));
    assert_eq!(one.text, other.text, "equal requests have equal bodies");
    let created =
        site.http.send("POST", "/agents", Some(&json!({ "name": "a" })), &[("X-Request-Id", "mine")]).await;
    created.data();
    let event = site.http.get("/events?types=AgentCreated").await.data()[0].clone();
    assert_eq!(event["requestId"], "mine");
    for address in ["/healthz", "/openapi.json", "/errors/not_found", "/nowhere"] {
        assert!(site.http.beside(address).await.header("x-request-id").is_some(), "{address}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_on_with_a_span_of_our_own() {
    let site = Site::start().await;
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let with = async |traceparent: &str| {
        let answer = site.http.send("GET", "/agents", None, &[("traceparent", traceparent)]).await;
        answer.header("traceparent").map(str::to_owned)
    };
    let answered = with(&format!("00-{trace}-{parent}-01")).await.expect("it goes on");
    let parts: Vec<&str> = answered.split('-').collect();
    assert_eq!((parts[0], parts[1], parts[3]), ("00", trace, "01"));
    assert!(parts[2].len() == 16 && parts[2] != parent, "{answered}");
    let zero = "0".repeat(32);
    for wrong in [
        "",
        "00",
        &format!("00-{zero}-{parent}-01"),
        &format!("00-{trace}-{parent}"),
        &format!("ff-{trace}-{parent}-01"),
        &format!("00-{}-{parent}-01", trace.to_uppercase()),
    ] {
        assert_eq!(with(wrong).await, None, "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_and_an_organization_have_a_rate_each() {
    let site =
        Site::start_with(&[("BINDERY_RATE_PER_KEY", "3"), ("BINDERY_RATE_PER_ORGANIZATION", "5")]).await;
    let calm = site.http.get("/agents").await;
    assert_eq!(calm.header("ratelimit-limit"), Some("3"));
    assert_eq!(calm.header("ratelimit-remaining"), Some("2"));
    assert!(calm.header("ratelimit-reset").is_some());
    let mut refused = None;
    for _ in 0..50 {
        let answer = site.http.get("/agents").await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("50 requests are not done in the time that 3 may take");
    assert_eq!(refused.refusal(429), "rate_limited");
    assert!(text(&refused.body["detail"]).starts_with("the key is above its rate"), "{}", refused.text);
    assert_eq!(refused.header("ratelimit-remaining"), Some("0"));
    let wait: u64 = refused.header("retry-after").expect("how long").parse().expect("seconds");
    assert!((1..=2).contains(&wait));
    let stranger = site.http_as("other", &all_scopes()).await;
    assert_eq!(stranger.get("/agents").await.status, 200, "another organization is not slowed");
    // Each key keeps its own rate, all together leave their organization's.
    let mut details = Vec::new();
    for _ in 0..20 {
        let answer = site.http_as("other", &all_scopes()).await.get("/agents").await;
        details.extend((answer.status == 429).then(|| text(&answer.body["detail"])));
    }
    assert!(details.iter().any(|it| it.starts_with("the organization is above its rate")), "{details:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_the_document_need_no_key() {
    let site = Site::start().await;
    let health = site.http.beside("/healthz").await;
    assert_eq!((health.status, &health.body["data"]["status"]), (200, &json!("ok")));
    let document = site.http.beside("/openapi.json").await;
    assert_eq!(document.body["openapi"], "3.1.0");
    assert_eq!(document.body["servers"][0]["url"], site.http.url);
}
