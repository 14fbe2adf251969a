//! Webhooks, as a receiver sees them: signed, in order, and none lost, however often it fails.

#[cfg(feature = "aws")]
mod functions;
mod receiver;

use crate::http::Http;
use crate::names::as_sent;
use crate::site::Site;
use receiver::{Receiver, Verdict};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Waits between attempts in milliseconds instead of seconds.
const IMPATIENT: &[(&str, &str)] = &[("BINDERY_WEBHOOK_RETRY_BASE_MS", "2")];
const OVERDUE: Duration = Duration::from_secs(60);

/// Subscribes and returns the id and the secret.
async fn subscribe(http: &Http, body: Value) -> (String, String) {
    let created = http.post("/subscriptions", body).await;
    let data = created.data();
    let text = |name: &str| data[name].as_str().expect("text").to_owned();
    (text("id"), text("secret"))
}

async fn create_agents(http: &Http, count: usize) {
    for _ in 0..count {
        http.post("/agents", json!({ "name": "An agent" })).await.data();
    }
}

async fn status(http: &Http, id: &str) -> Value {
    http.get(&format!("/subscriptions/{id}")).await.data().clone()
}

/// Asks again until it is so.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let give_up = Instant::now() + OVERDUE;
    while !holds().await {
        assert!(Instant::now() < give_up, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_delivered_signed_and_in_order() {
    let site = Site::start_with(IMPATIENT).await;
    let receiver = Receiver::start(|_| Verdict::Status(204)).await;
    create_agents(&site.http, 3).await;
    let (id, secret) = subscribe(&site.http, json!({ "url": receiver.url, "from": 0 })).await;
    assert!(secret.starts_with("whsec_"), "{secret}");
    create_agents(&site.http, 3).await;
    let events = site.http.get("/events?limit=100").await.data().as_array().expect("events").clone();
    let got = receiver.wait_for(events.len()).await;
    for (got, event) in got.iter().zip(&events) {
        assert_eq!(got.body(), as_sent(event));
        assert_eq!(got.header("webhook-id"), event["id"].as_str().expect("an id"));
        assert!(got.is_signed_by(&secret), "{:?}", got.headers);
        assert!(!got.is_signed_by(&format!("{secret}x")), "the check can fail");
    }
    until("the last delivery is recorded", async || status(&site.http, &id).await["deliveredThrough"] == 8)
        .await;
    assert_eq!(status(&site.http, &id).await["status"], "active");
    // Without a position, only what happens from now on.
    let later = Receiver::start(|_| Verdict::Status(200)).await;
    let types = json!(["AgentCreated"]);
    subscribe(&site.http, json!({ "url": later.url, "types": types })).await;
    site.http_as("default", &["agents:read"]).await;
    create_agents(&site.http, 1).await;
    let got = later.wait_for(1).await;
    assert_eq!(
        (got[0].body()["type"].clone(), got[0].body()["seq"].clone()),
        (json!("AgentCreated"), json!(11))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_often_gets_every_event_in_order_at_last() {
    let site = Site::start_with(IMPATIENT).await;
    // Three of ten fail, each in another way.
    let receiver = Receiver::start(|number| match number % 10 {
        2 => Verdict::Status(500),
        5 => Verdict::HangUp,
        8 => Verdict::Status(302),
        _ => Verdict::Status(200),
    })
    .await;
    subscribe(&site.http, json!({ "url": receiver.url, "from": 0 })).await;
    create_agents(&site.http, 120).await;
    let got = receiver.wait_for(122).await;
    let seqs: Vec<u64> = got.iter().map(|got| got.body()["seq"].as_u64().expect("a position")).collect();
    assert_eq!(seqs, (1..=122).collect::<Vec<_>>(), "what was taken, in the order it was taken");
    assert!(receiver.asked() >= 122 * 10 / 7, "{}", receiver.asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_between_deliveries_goes_on_where_it_was() {
    let site = Site::start_with(IMPATIENT).await;
    let receiver = Receiver::start(|_| Verdict::Status(200)).await;
    subscribe(&site.http, json!({ "url": receiver.url, "from": 0 })).await;
    create_agents(&site.http, 10).await;
    receiver.wait_for(3).await;
    let site = site.restarted(IMPATIENT).await;
    create_agents(&site.http, 10).await;
    let got = receiver.wait_for(22).await;
    let mut seqs: Vec<u64> = got.iter().map(|got| got.body()["seq"].as_u64().expect("a position")).collect();
    assert!(seqs.is_sorted(), "{seqs:?}");
    seqs.dedup();
    assert_eq!(seqs, (1..=22).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_stays_away_is_parked_seen_and_resumed_by_hand() {
    let variables = [IMPATIENT, &[("BINDERY_WEBHOOK_GIVE_UP_MS", "50")]].concat();
    let site = Site::start_with(&variables).await;
    let receiver = Receiver::start(|_| Verdict::Status(503)).await;
    let (id, secret) = subscribe(&site.http, json!({ "url": receiver.url })).await;
    let path = format!("/subscriptions/{id}");
    until("it is parked", async || status(&site.http, &id).await["status"] == "parked").await;
    let parked = status(&site.http, &id).await;
    assert_eq!(parked["parkedReason"], "answered 503 Service Unavailable");
    assert_eq!(parked["nextAttemptAt"], Value::Null);
    let events = site.http.get("/events?types=SubscriptionParked").await;
    let event = &events.data()[0];
    assert_eq!(event["actor"], json!({ "kind": "service", "id": "webhooks", "name": null }));
    let at = event["data"]["at"].as_u64().expect("a position");
    let undelivered = site.http.get(&format!("/events?after={}&limit=1", at - 1)).await;
    assert_eq!(event["cause"], undelivered.data()[0]["id"], "the event that could not be delivered");
    let attempts = site.http.get(&format!("{path}/deliveries?limit=100")).await;
    let attempts = attempts.data().as_array().expect("attempts").clone();
    assert!(
        attempts.len() >= 3 && attempts.iter().all(|it| it["outcome"] == "failed" && it["status"] == 503)
    );
    let asked = receiver.asked();

    receiver.answer(|_| Verdict::Status(200));
    create_agents(&site.http, 2).await;
    assert_eq!(receiver.asked(), asked, "nothing is delivered while it is parked");
    site.http.post(&format!("{path}/resume"), json!({})).await.data();
    let got = receiver.wait_for(4).await;
    let types: Vec<Value> = got.iter().map(|got| got.body()["type"].clone()).collect();
    assert_eq!(
        types,
        ["SubscriptionCreated", "SubscriptionParked", "AgentCreated", "AgentCreated"],
        "from where it stopped"
    );
    assert!(got.iter().all(|got| got.is_signed_by(&secret)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_for_good_is_parked_at_once() {
    let site = Site::start_with(IMPATIENT).await;
    let receiver = Receiver::start(|_| Verdict::Status(410)).await;
    let (id, _) = subscribe(&site.http, json!({ "url": receiver.url })).await;
    until("it is parked", async || status(&site.http, &id).await["status"] == "parked").await;
    assert_eq!(receiver.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret_signs_at_once_and_the_old_one_for_a_day_as_well() {
    let site = Site::start_with(IMPATIENT).await;
    let receiver = Receiver::start(|_| Verdict::Status(200)).await;
    let (id, old) = subscribe(&site.http, json!({ "url": receiver.url })).await;
    receiver.wait_for(1).await;
    let rotated = site.http.post(&format!("/subscriptions/{id}/rotate-secret"), json!({})).await;
    let new = rotated.data()["secret"].as_str().expect("a secret").to_owned();
    assert_ne!(new, old);
    let got = receiver.wait_for(2).await;
    assert!(got[1].is_signed_by(&old) && got[1].is_signed_by(&new), "{:?}", got[1].headers);
    assert!(!got[0].is_signed_by(&new));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_shown_once_and_is_another_for_every_subscription_and_organization() {
    let site = Site::start_with(IMPATIENT).await;
    let other = site.http_as("other", &["subscriptions:write"]).await;
    let body = json!({ "url": "https://hooks.example/bindery" });
    let path = "/subscriptions";
    let first = site.http.post_once(path, body.clone(), "once").await.data().clone();
    let again = site.http.post_once(path, body.clone(), "once").await.data().clone();
    assert_eq!((&again["id"], &again["secret"]), (&first["id"], &Value::Null));
    assert_eq!(again["secretOmitted"], true);
    let (_, second) = subscribe(&site.http, body.clone()).await;
    let (_, foreign) = subscribe(&other, body).await;
    let first = first["secret"].as_str().expect("a secret");
    assert!(first != second && second != foreign && first != foreign);
    for path in ["/subscriptions", "/events", "/audit/state"] {
        let text = if path == "/events" {
            site.http.get("/events?limit=100").await.text
        } else {
            site.http.get(path).await.text
        };
        assert!(!text.contains("whsec_") && !text.contains(&first[6..]), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_message_and_a_redelivery_say_what_the_receiver_answered() {
    let site = Site::start_with(IMPATIENT).await;
    let receiver = Receiver::start(|number| Verdict::Status(if number == 1 { 500 } else { 200 })).await;
    let (id, secret) = subscribe(&site.http, json!({ "url": receiver.url, "types": ["KeyRevoked"] })).await;
    let path = format!("/subscriptions/{id}");
    let ok = site.http.post(&format!("{path}/test"), json!({})).await.data().clone();
    assert_eq!(
        (&ok["outcome"], &ok["status"], &ok["eventType"]),
        (&json!("delivered"), &json!(200), &json!("Test"))
    );
    let failed = site.http.post(&format!("{path}/test"), json!({})).await.data().clone();
    assert_eq!(
        (&failed["outcome"], &failed["failure"]),
        (&json!("failed"), &json!("answered 500 Internal Server Error"))
    );
    let tested = receiver.wait_for(1).await;
    assert!(tested[0].is_signed_by(&secret));
    // A test is no event: there is nothing to send again.
    let of_test = format!("{path}/deliveries/{}/redeliver", ok["id"].as_str().expect("an id"));
    assert_eq!(site.http.post(&of_test, json!({})).await.status, 404);

    let weak = site.http.post("/keys", json!({ "name": "x", "scopes": ["agents:read"] })).await;
    site.http.delete(&format!("/keys/{}", weak.data()["id"].as_str().expect("an id"))).await.data();
    let delivered = receiver.wait_for(2).await;
    until("it is recorded", async || {
        site.http.get(&format!("{path}/deliveries")).await.data().as_array().expect("a list").len() == 3
    })
    .await;
    let attempts = site.http.get(&format!("{path}/deliveries?limit=1")).await;
    assert_eq!(attempts.body["pagination"]["total"], 3);
    let first = attempts.data()[0]["id"].as_str().expect("an id").to_owned();
    let again =
        site.http.post(&format!("{path}/deliveries/{first}/redeliver"), json!({})).await.data().clone();
    assert_eq!((&again["outcome"], &again["attempt"]), (&json!("delivered"), &json!(2)));
    let twice = receiver.wait_for(3).await;
    assert_eq!(twice[2].header("webhook-id"), delivered[1].header("webhook-id"), "the same message");
    assert_eq!(twice[2].body(), delivered[1].body());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_subscription_gets_nothing_more() {
    let site = Site::start_with(IMPATIENT).await;
    let receiver = Receiver::start(|_| Verdict::Status(200)).await;
    let (id, _) = subscribe(&site.http, json!({ "url": receiver.url })).await;
    receiver.wait_for(1).await;
    site.http.delete(&format!("/subscriptions/{id}")).await.data();
    assert_eq!(site.http.get(&format!("/subscriptions/{id}")).await.status, 404);
    create_agents(&site.http, 3).await;
    let marker = Receiver::start(|_| Verdict::Status(200)).await;
    subscribe(&site.http, json!({ "url": marker.url, "from": 0 })).await;
    marker.wait_for(7).await;
    assert_eq!(receiver.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_sent_to_is_refused_or_never_reached() {
    let site = Site::start_with(&[("BINDERY_ALLOW_PRIVATE_HOSTS", "")]).await;
    let receiver = Receiver::start(|_| Verdict::Status(200)).await;
    for url in ["ftp://example.com/", "https://a:b@example.com/", "nonsense", "https://example.com/#x"] {
        let answer = site.http.post("/subscriptions", json!({ "url": url })).await;
        assert_eq!((answer.status, answer.body["errors"][0]["field"].as_str()), (400, Some("url")), "{url}");
    }
    let wrong = json!({ "url": "https://example.com/", "types": ["Publish"], "from": 99 });
    let answer = site.http.post("/subscriptions", wrong).await;
    let fields: Vec<&str> = answer.body["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .filter_map(|it| it["field"].as_str())
        .collect();
    assert_eq!(fields, ["types", "from"], "{}", answer.text);
    assert_eq!(answer.body["errors"][0]["nearest"][0], "Published");
    for url in
        [receiver.url.clone(), receiver.url.replace("http:", "https:"), "https://2130706433/".to_owned()]
    {
        let (id, _) = subscribe(&site.http, json!({ "url": url })).await;
        let tested = site.http.post(&format!("/subscriptions/{id}/test"), json!({})).await.data().clone();
        assert!(
            tested["failure"].as_str().expect("a reason").starts_with("host_not_allowed"),
            "{url}: {tested}"
        );
    }
    assert_eq!(receiver.asked(), 0);
}
