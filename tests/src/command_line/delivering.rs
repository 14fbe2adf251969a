//! Servers that are killed while they deliver.

use super::program::{Server, mint};
use crate::dice::{Dice, tier};
use crate::http::Http;
use crate::names::as_sent;
use crate::webhooks::receiver::{Receiver, Verdict};
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// Receivers of these tests are on this machine.
const OPEN: &[(&str, &str)] =
    &[("BINDERY_ALLOW_PRIVATE_HOSTS", "127.0.0.0/8"), ("BINDERY_WEBHOOK_RETRY_BASE_MS", "2")];

/// When a server is killed: at one of the requests that a receiver gets from it, before its answer or after.
struct Plan {
    dice: Dice,
    requests_left: u64,
    before_the_answer: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_while_it_delivers_loses_no_event_and_lets_none_overtake() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = String::from_utf8(mint(folder.path(), &["--scopes", "all"]).stdout).expect("a key");
    let http = |server: &Server| Http::new(&server.url, key.trim_end());
    let (due, rounds) = (Arc::new(Notify::new()), tier(12, 250));
    let plan =
        Arc::new(Mutex::new(Plan { dice: Dice(3), requests_left: u64::MAX, before_the_answer: false }));
    let (telling, planned) = (due.clone(), plan.clone());
    let receiver = Receiver::start(move |_| {
        let mut plan = planned.lock().expect("not poisoned");
        plan.requests_left -= 1;
        if plan.requests_left == 0 {
            plan.requests_left = u64::MAX;
            telling.notify_one();
            return if plan.before_the_answer { Verdict::Silence } else { Verdict::Status(200) };
        }
        Verdict::Status(if plan.dice.below(10) < 2 { 500 } else { 200 })
    })
    .await;
    let mut server = Server::start_with(folder.path(), OPEN);
    http(&server).post("/subscriptions", json!({ "url": receiver.url, "from": 0 })).await.data();
    for _ in 0..rounds {
        let late = {
            let mut plan = plan.lock().expect("not poisoned");
            plan.requests_left = 1 + plan.dice.below(8);
            plan.before_the_answer = plan.dice.below(2) == 0;
            Duration::from_micros(plan.dice.below(8_000))
        };
        // More than are needed to come to the request that is due.
        for _ in 0..10 {
            http(&server).post("/agents", json!({ "name": "An agent" })).await.data();
        }
        due.notified().await;
        tokio::time::sleep(late).await;
        server.kill();
        server = Server::start_with(folder.path(), OPEN);
    }
    let events = 2 + 10 * rounds as u64;
    let listed = http(&server).get("/events?limit=1").await;
    assert_eq!(listed.body["pagination"]["total"], events);
    let http = http(&server);
    let give_up = std::time::Instant::now() + Duration::from_secs(60);
    while receiver.assert_in_order() < events {
        assert!(std::time::Instant::now() < give_up, "{} of {events}", receiver.assert_in_order());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut last = Vec::new();
    for after in (0..events).step_by(100) {
        let page = http.get(&format!("/events?after={after}&limit=100")).await;
        last.extend(page.data().as_array().expect("events").iter().map(as_sent));
    }
    let mut taken: Vec<_> = receiver.wait_for(last.len()).await.iter().map(|got| got.body()).collect();
    taken.dedup();
    assert_eq!(taken, last, "every event as it is in the log");
}
