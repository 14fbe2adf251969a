//! Who tries key after key is told nothing more.

use super::{SQL, desk, with_skills};
use crate::desk::Desk;
use crate::engines::postgres;
use crate::site::Site;
use async_trait::async_trait;
use domain::limits::{MISSES_PER_CALL, MISSES_PER_CALLER};
use events::IntegrationKind;
use functions::endpoints;
use functions::router::router;
use functions::services::{Ports, Services};
use infra::storage::StoreError;
use infra::storage::misses::{Budget, Misses};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

const EXCEEDED: &str = "enumeration_budget_exceeded";

/// The code of the answer to a lookup of this guest; null when there is such a guest.
async fn looked_up(desk: &Desk, number: u32, context: &Value) -> Value {
    desk.call_in("find_guest", json!({ "number": number }), context.clone()).await["code"].clone()
}

async fn misses(desk: &Desk, numbers: std::ops::Range<u32>, context: &Value) {
    for number in numbers {
        assert_eq!(looked_up(desk, number, context).await, "no_rows", "{number} in {context}");
    }
}

async fn a_call_that_looked_up_too_many_keys_in_vain_looks_up_no_more(kind: IntegrationKind) {
    let desk = desk(kind).await;
    let call = json!({ "callId": "call-1" });
    misses(&desk, 100..100 + MISSES_PER_CALL - 1, &call).await;
    for _ in 0..3 {
        assert_eq!(looked_up(&desk, 100, &call).await, "no_rows", "the same key costs nothing more");
        assert_eq!(looked_up(&desk, 1, &call).await, json!(null), "what is found costs nothing");
    }
    // The last one by another skill: it is about the same table, and another column is another key.
    let by_phone = desk.call_in("find_by_phone", json!({ "phone": "100" }), call.clone()).await;
    assert_eq!(by_phone["code"], "no_rows");
    for number in [200, 1] {
        let refused = desk.call_in("find_guest", json!({ "number": number }), call.clone()).await;
        assert_eq!((&refused["outcome"], &refused["code"]), (&json!("refused"), &json!(EXCEEDED)));
        assert!(refused["say"].as_str().is_some_and(|say| say.ends_with('.')));
        assert_eq!(refused["rows"], json!([]), "whether there is such a guest is not told");
    }
    assert_eq!(looked_up(&desk, 1, &json!({ "callId": "call-2" })).await, json!(null));
    assert_eq!(looked_up(&desk, 1, &json!({})).await, json!(null));
}

async fn a_write_that_finds_no_row_is_a_guess_too(kind: IntegrationKind) {
    let desk = desk(kind).await;
    let call = json!({ "callId": "call-1" });
    let change = async |number: u32| {
        desk.call_in("change_note", json!({ "number": number, "note": "loud" }), call.clone()).await
    };
    for number in 100..100 + MISSES_PER_CALL {
        assert_eq!(change(number).await["code"], "no_rows");
    }
    assert_eq!(change(1).await["code"], EXCEEDED);
    assert_eq!(desk.sql("SELECT note FROM guests WHERE id = 1"), "quiet");
    assert_eq!(looked_up(&desk, 1, &call).await, EXCEEDED);
    let message = json!({ "number": 1, "body": "hello" });
    let own = json!({ "callId": "call-1", "callerPhone": "+12025550199" });
    assert_eq!(desk.call_in("leave_message", message, own.clone()).await["outcome"], "ok", "it names no row");
    let bo = desk.call_in("who_calls", json!({}), own).await;
    assert_eq!(bo["rows"], json!([{ "name": "Bo" }]), "nobody guesses their own number");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_looked_up_too_many_keys_in_vain_looks_up_no_more_on_postgres() {
    a_call_that_looked_up_too_many_keys_in_vain_looks_up_no_more(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_looked_up_too_many_keys_in_vain_looks_up_no_more_on_mariadb() {
    a_call_that_looked_up_too_many_keys_in_vain_looks_up_no_more(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_finds_no_row_is_a_guess_too_on_postgres() {
    a_write_that_finds_no_row_is_a_guess_too(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_finds_no_row_is_a_guess_too_on_mariadb() {
    a_write_that_finds_no_row_is_a_guess_too(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_calls_again_and_again_guesses_no_more_either() {
    let desk = desk(IntegrationKind::Postgres).await;
    // Written otherwise each time, it is one number.
    let phones = ["+12025550142", "+1 202 555 0142", "tel:+1-202-555-0142", "sip:+12025550142@host.example"];
    let mut number = 100;
    for call in 0..MISSES_PER_CALLER / MISSES_PER_CALL {
        let phone = phones[call as usize % phones.len()];
        let context = json!({ "callId": format!("call-{call}"), "callerPhone": phone });
        misses(&desk, number..number + MISSES_PER_CALL, &context).await;
        number += MISSES_PER_CALL;
    }
    for context in [
        json!({ "callId": "another", "callerPhone": "+12025550142" }),
        json!({ "callerPhone": "001 202 555 0142" }),
    ] {
        assert_eq!(looked_up(&desk, 1, &context).await, EXCEEDED, "{context}");
    }
    // Who withholds a number, or has none that can be read, is nobody in particular.
    for phone in ["+12025550143", "anonymous", "no number at all"] {
        let context = json!({ "callId": phone, "callerPhone": phone });
        assert_eq!(looked_up(&desk, 1, &context).await, json!(null), "{context}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_guesses_at_once_no_more_are_answered_than_there_is_room_for() {
    let desk = desk(IntegrationKind::Postgres).await;
    let call = json!({ "callId": "call-1" });
    let guesses = (100..100 + 4 * MISSES_PER_CALL).map(|number| looked_up(&desk, number, &call));
    let codes = futures_util::future::join_all(guesses).await;
    let told = codes.iter().filter(|code| *code == "no_rows").count();
    assert_eq!(told, MISSES_PER_CALL as usize, "{codes:?}");
    assert!(codes.iter().all(|code| *code == "no_rows" || *code == EXCEEDED), "{codes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_agents_callers_are_not_anothers_and_a_draft_is_tried_as_often_as_it_takes() {
    let desk = desk(IntegrationKind::Postgres).await;
    let call = json!({ "callId": "call-1", "callerPhone": "+12025550142" });
    misses(&desk, 100..100 + MISSES_PER_CALL, &call).await;
    assert_eq!(looked_up(&desk, 1, &call).await, EXCEEDED);
    let skills = desk.site.http.get(&format!("/agents/{}/skills", desk.agent)).await;
    let skills = skills.data().as_array().expect("a list").clone();
    let find = skills.iter().find(|skill| skill["tool"] == "find_guest").expect("it is listed");
    let path = format!("/agents/{}/skills/{}/test", desk.agent, find["id"].as_str().expect("an id"));
    let tried = json!({ "arguments": { "number": 1 }, "context": call });
    assert_eq!(desk.site.http.post(&path, tried).await.data()["outcome"], "ok");

    let created = desk.site.http.post("/agents", json!({ "name": "Back office" })).await;
    let other = Desk { agent: created.data()["id"].as_str().expect("an id").to_owned(), ..desk };
    other
        .bind(json!({
            "toolName": "find_guest", "operation": "guests.read",
            "inputs": [{ "param": "number", "arg": "id" }],
            "projection": [{ "path": ["guests", "full_name"], "leaf": "name" }],
        }))
        .await;
    other.publish().await;
    assert_eq!(looked_up(&other, 1, &call).await, json!(null));
}

/// A store that refuses to count for calls, and for callers never answers.
struct Unreachable;

#[async_trait]
impl Misses for Unreachable {
    fn is_any_used_up(&self, _: Timestamp) -> bool {
        false
    }

    fn is_used_up(&self, _: &Budget, _: Timestamp) -> bool {
        false
    }

    async fn count(&self, budget: &Budget, _: u128, _: Timestamp) -> Result<bool, StoreError> {
        if budget.most == MISSES_PER_CALL as usize {
            return Err(StoreError::Unavailable("it is not there".to_owned()));
        }
        pending().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_count_fails_no_call_and_holds_none_up_beyond_its_deadline() {
    let site = Site::start_routed(&[], |embedded, services| {
        let ports = Ports { misses: Arc::new(Unreachable), ..embedded.ports() };
        router(Arc::new(Services::new(services.config.clone(), ports, embedded.keys())), endpoints::ALL)
    })
    .await;
    let engine = postgres();
    let database = engine.database(SQL);
    site.connect(&site.http, engine, &database).await;
    let agent = site.agent(&site.http).await;
    let desk = with_skills(Desk { site, engine, database, agent }).await;
    misses(&desk, 100..103, &json!({ "callId": "call-1" })).await;
    let context = json!({ "callId": "call-1", "callerPhone": "+12025550142", "deadlineMs": 1500 });
    let body = json!({ "arguments": { "number": 103 }, "context": context });
    let (answer, took) = desk.timed("find_guest", body).await;
    assert_eq!(answer["code"], "no_rows");
    assert!(took < Duration::from_secs(4), "the deadline was 1.5 s: {took:?}");
}
