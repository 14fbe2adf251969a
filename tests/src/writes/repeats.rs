//! A write that is asked for again has one effect.

use crate::desk::Desk;
use crate::http::Answer;
use events::IntegrationKind;
use serde_json::{Value, json};
use std::sync::Arc;

/// Different writes in each way to recognize one, and how often each is asked for at once.
fn sizes() -> (usize, usize) {
    if std::env::var_os("BINDERY_PROVE").is_some() { (1000, 50) } else { (20, 20) }
}

async fn desk(kind: IntegrationKind) -> Arc<Desk> {
    let text = match kind {
        IntegrationKind::Postgres => "text",
        IntegrationKind::Mysql => "varchar(40)",
    };
    let desk = Desk::open(
        kind,
        &format!(
            "CREATE TABLE visits (guest {text} NOT NULL, note {text});
             CREATE TABLE rooms (id int PRIMARY KEY, note {text});
             CREATE TABLE stays (id int PRIMARY KEY, room int NOT NULL, FOREIGN KEY (room) REFERENCES rooms (id));
             INSERT INTO rooms VALUES (1, 'free'), (2, 'free')"
        ),
    )
    .await;
    let input = |name: &str| json!({ "param": name, "arg": name });
    desk.bind(json!({
        "toolName": "visit", "operation": "visits.insert", "inputs": [input("guest"), input("note")],
    }))
    .await;
    desk.bind(json!({
        "toolName": "stay", "operation": "stays.insert", "inputs": [input("id"), input("room")],
    }))
    .await;
    desk.bind(json!({
        "toolName": "room", "operation": "rooms.update", "keyColumn": "id", "keyParam": "id",
        "inputs": [input("note")],
    }))
    .await;
    desk.publish().await;
    Arc::new(desk)
}

fn visit(guest: &str, context: Value) -> Value {
    json!({ "arguments": { "guest": guest, "note": "n" }, "context": context })
}

/// Asks for the same visit many times at once; each answer, and none is worse than the others.
async fn at_once(desk: &Arc<Desk>, ask: impl Fn(usize) -> (Value, Option<String>)) {
    let (_, duplicates) = sizes();
    let calls: Vec<_> = (0..duplicates)
        .map(|at| {
            let (desk, (body, key)) = (desk.clone(), ask(at));
            tokio::spawn(async move {
                let headers: Vec<_> = key.iter().map(|key| ("Idempotency-Key", key.as_str())).collect();
                desk.send("visit", body, &headers).await
            })
        })
        .collect();
    let (mut first, mut replayed) = (0, 0);
    for call in calls {
        let answer = call.await.expect("a call does not panic");
        assert_eq!(answer.data()["outcome"], "ok", "{}", answer.body);
        match is_replayed(&answer) {
            true => replayed += 1,
            false => first += 1,
        }
    }
    assert_eq!((first, replayed), (1, duplicates - 1));
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

async fn each_write_has_one_effect(kind: IntegrationKind) {
    let (writes, _) = sizes();
    let desk = desk(kind).await;
    for at in 0..writes {
        let guest = format!("by key {at}");
        at_once(&desk, |_| (visit(&guest, json!({})), Some(format!("key-{at}")))).await;
        let guest = format!("by tool call {at}");
        let context = json!({ "callId": "call-1", "toolCallId": format!("tool-{at}") });
        at_once(&desk, |_| (visit(&guest, context.clone()), None)).await;
        // The caller interrupts, and the model asks again under a new tool-call id.
        let guest = format!("by arguments {at}");
        let context = |try_at| json!({ "callId": "call-2", "toolCallId": format!("tool-{at}-{try_at}") });
        at_once(&desk, |try_at| (visit(&guest, context(try_at)), None)).await;
    }
    let effects = desk.sql("SELECT count(*), count(DISTINCT guest) FROM visits").replace('|', "\t");
    assert_eq!(effects, format!("{0}\t{0}", 3 * writes));
}

async fn what_is_no_repetition_runs(kind: IntegrationKind) {
    let desk = desk(kind).await;
    let count = || desk.sql("SELECT count(*) FROM visits");
    for done in 1..=3 {
        let answer = desk.send("visit", visit("nobody knows the call", json!({})), &[]).await;
        assert!(!is_replayed(&answer), "{}", answer.body);
        assert_eq!(count(), done.to_string(), "without any id each request is a write of its own");
    }
    for call in ["call-1", "call-2"] {
        let answer =
            desk.send("visit", visit("the same in another call", json!({ "callId": call })), &[]).await;
        assert!(!is_replayed(&answer), "{}", answer.body);
    }
    assert_eq!(count(), "5");

    // A, B, A on the same row of one call: the second A is meant, because B came in between.
    for (at, note) in ["A", "B", "A"].into_iter().enumerate() {
        let body = json!({
            "arguments": { "id": 1, "note": note },
            "context": { "callId": "call-3", "toolCallId": format!("tool-{at}") },
        });
        for repeated in [false, true] {
            let answer = desk.send("room", body.clone(), &[]).await;
            assert_eq!(answer.data()["outcome"], "ok", "{}", answer.body);
            assert_eq!(is_replayed(&answer), repeated, "{at}: {}", answer.body);
            assert_eq!(desk.sql("SELECT note FROM rooms WHERE id = 1"), note);
        }
    }
    // A write to another row does not void it.
    let room = |id: u8, tool: &str| json!({ "arguments": { "id": id, "note": "C" }, "context": { "callId": "call-3", "toolCallId": tool } });
    for (id, tool, repeated) in [(1, "c-1", false), (2, "c-2", false), (1, "c-3", true)] {
        assert_eq!(is_replayed(&desk.send("room", room(id, tool), &[]).await), repeated, "{tool}");
    }
}

async fn a_key_belongs_to_one_write(kind: IntegrationKind) {
    let desk = desk(kind).await;
    let key = [("Idempotency-Key", "one-write")];
    desk.send("visit", visit("first", json!({})), &key).await.data();
    for (tool, body) in
        [("visit", visit("second", json!({}))), ("room", json!({ "arguments": { "id": 1, "note": "x" } }))]
    {
        let other = desk.send(tool, body, &key).await;
        assert_eq!((other.status, other.code()), (422, "idempotency_key_reused"), "{}", other.body);
    }
    assert_eq!(desk.sql("SELECT count(*) FROM visits"), "1");
    assert_eq!(desk.sql("SELECT note FROM rooms WHERE id = 1"), "free");

    // Nothing happened, so nothing is kept: the same key may try again.
    let key = [("Idempotency-Key", "mended")];
    let stay =
        json!({ "arguments": { "id": 1, "room": 77 }, "context": { "callId": "c", "toolCallId": "t" } });
    for _ in 0..2 {
        let refused = desk.send("stay", stay.clone(), &key).await;
        assert_eq!(refused.data()["code"], "constraint_violated", "{}", refused.body);
        assert!(!is_replayed(&refused));
    }
    desk.sql("INSERT INTO rooms VALUES (77, 'new')");
    let mended = desk.send("stay", stay.clone(), &key).await;
    assert_eq!((&mended.data()["outcome"], is_replayed(&mended)), (&json!("ok"), false), "{}", mended.body);
    assert!(is_replayed(&desk.send("stay", stay, &key).await));
    assert_eq!(desk.sql("SELECT count(*) FROM stays"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_at_once_have_one_effect_on_postgres() {
    each_write_has_one_effect(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_at_once_have_one_effect_on_mariadb() {
    each_write_has_one_effect(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_repeats_nothing_runs_on_postgres() {
    what_is_no_repetition_runs(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_repeats_nothing_runs_on_mariadb() {
    what_is_no_repetition_runs(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_one_write_and_a_refused_one_may_be_tried_again_on_postgres() {
    a_key_belongs_to_one_write(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_one_write_and_a_refused_one_may_be_tried_again_on_mariadb() {
    a_key_belongs_to_one_write(IntegrationKind::Mysql).await;
}
