//! `tools/call`: the live call in the protocol's words.

use super::{Client, Told, WITH_HANDSHAKE, WITHOUT, desk, told};
use crate::desk::Desk;
use events::IntegrationKind;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use serde_json::{Value, json};

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().expect("text first")
}

async fn a_tool_answers_as_its_skill_does(kind: IntegrationKind) {
    let desk = desk(kind).await;
    desk.publish().await;
    for revision in [WITH_HANDSHAKE, WITHOUT] {
        let client = Client::of(&desk, revision);
        let found = client.call("find_guest", json!({ "number": 1 }), json!({})).await;
        let (result, live) = (found.result(), desk.call("find_guest", json!({ "number": 1 })).await);
        assert_eq!(result["isError"], false);
        for part in ["outcome", "rows", "rowCount", "truncated", "version"] {
            assert_eq!(result["structuredContent"][part], live[part], "{revision}: {part}");
        }
        assert_eq!(serde_json::from_str::<Value>(text(result)).expect("JSON"), result["structuredContent"]);
        let nobody = client.call("find_guest", json!({ "number": 9 }), json!({})).await;
        let nobody = nobody.result();
        assert_eq!(
            (&nobody["isError"], &nobody["structuredContent"]["outcome"]),
            (&json!(false), &json!("not_found"))
        );
        let wrong = client.call("find_guest", json!({ "number": "one" }), json!({})).await;
        let wrong = wrong.result();
        assert_eq!(
            (&wrong["isError"], &wrong["structuredContent"]["code"]),
            (&json!(true), &json!("invalid_type"))
        );
        assert_eq!(text(wrong), wrong["structuredContent"]["say"].as_str().expect("a sentence"));
        let unknown = client.call("find_gust", json!({}), json!({})).await;
        assert_eq!(unknown.body["error"]["code"], -32602, "{}", unknown.body);
    }
}

/// What a model fills in is never taken for what the platform knows.
async fn only_the_platform_says_who_calls_and_that_the_caller_agreed(kind: IntegrationKind) {
    let desk = desk(kind).await;
    desk.publish().await;
    let client = Client::of(&desk, WITHOUT);
    let known = json!({ "bindery/context": { "callerPhone": "+12025550142" } });
    let ada = client.call("who_calls", json!({}), known.clone()).await;
    assert_eq!(ada.result()["structuredContent"]["rows"], json!([{ "name": "Ada" }]));
    let claimed = client.call("who_calls", json!({ "caller_phone": "+12025550199" }), known.clone()).await;
    assert_eq!(claimed.result()["structuredContent"]["code"], "not_from_model");
    let unknown = client.call("who_calls", json!({}), json!({})).await;
    assert_eq!(unknown.result()["structuredContent"]["outcome"], "refused");

    let by_header = |meta: Value| {
        client
            .request("tools/call", json!({ "name": "who_calls", "arguments": {}, "_meta": meta }))
            .header("Bindery-Context", r#"{"callerPhone": "+12025550199"}"#)
    };
    let bo = told(by_header(json!({}))).await;
    assert_eq!(bo.result()["structuredContent"]["rows"], json!([{ "name": "Bo" }]));
    let nearer = told(by_header(known)).await;
    assert_eq!(
        nearer.result()["structuredContent"]["rows"],
        json!([{ "name": "Ada" }]),
        "the call's own goes first"
    );
    let typo =
        client.call("who_calls", json!({}), json!({ "bindery/context": { "callerPhon": "+1" } })).await;
    assert_eq!(typo.body["error"]["code"], -32602, "{}", typo.body);
    assert_eq!(typo.body["error"]["data"]["errors"][0]["field"], "callerPhon");

    let change = json!({ "number": 1, "text": "loud" });
    let asked = client.call("note", change.clone(), json!({})).await;
    assert_eq!(asked.result()["structuredContent"]["code"], "confirmation_required");
    let mut by_model = change.clone();
    by_model["confirm"] = json!(true);
    let by_model = client.call("note", by_model, json!({})).await;
    assert_eq!(by_model.result()["isError"], true, "a model confirms nothing");
    assert_eq!(desk.sql("SELECT note FROM guests WHERE id = 1"), "quiet");
    let agreed = client.call("note", change, json!({ "bindery/confirm": true })).await;
    assert_eq!(agreed.result()["structuredContent"]["outcome"], "ok", "{}", agreed.body);
    assert_eq!(desk.sql("SELECT note FROM guests WHERE id = 1"), "loud");
}

async fn a_write_is_repeated_by_tool_call_or_key_and_never_by_the_number_of_a_message(kind: IntegrationKind) {
    let desk = desk(kind).await;
    desk.publish().await;
    let client = Client::of(&desk, WITHOUT);
    let write = async |note: &str, meta: Value| {
        let mut meta = meta;
        meta["bindery/confirm"] = json!(true);
        let answer = client.call("note", json!({ "number": 2, "text": note }), meta).await;
        let result = answer.result().clone();
        assert_eq!(result["structuredContent"]["outcome"], "ok", "{result}");
        result["_meta"]["bindery/replayed"] == true
    };
    let call = json!({ "bindery/context": { "callId": "call-1", "toolCallId": "tool-1" } });
    assert!(!write("first", call.clone()).await);
    set(&desk, "changed elsewhere");
    assert!(write("first", call).await, "it is the same tool call");
    assert_eq!(desk.sql("SELECT note FROM guests WHERE id = 2"), "changed elsewhere");
    // Every client counts its messages from the same number on.
    assert!(!write("first", json!({})).await);
    assert_eq!(desk.sql("SELECT note FROM guests WHERE id = 2"), "first");
    let keyed = || {
        let meta = json!({ "bindery/confirm": true });
        let params = json!({ "name": "note", "arguments": { "number": 2, "text": "keyed" }, "_meta": meta });
        client.request("tools/call", params).header("Idempotency-Key", "once")
    };
    assert!(told(keyed()).await.result()["_meta"].get("bindery/replayed").is_none());
    set(&desk, "changed again");
    assert_eq!(told(keyed()).await.result()["_meta"]["bindery/replayed"], true);
    assert_eq!(desk.sql("SELECT note FROM guests WHERE id = 2"), "changed again");
}

fn set(desk: &Desk, note: &str) {
    desk.sql(&format!("UPDATE guests SET note = '{note}' WHERE id = 2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_answers_as_its_skill_does_on_postgres() {
    a_tool_answers_as_its_skill_does(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_answers_as_its_skill_does_on_mariadb() {
    a_tool_answers_as_its_skill_does(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_platform_says_who_calls_and_that_the_caller_agreed_on_postgres() {
    only_the_platform_says_who_calls_and_that_the_caller_agreed(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_platform_says_who_calls_and_that_the_caller_agreed_on_mariadb() {
    only_the_platform_says_who_calls_and_that_the_caller_agreed(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_repeated_by_tool_call_or_key_and_never_by_the_number_of_a_message_on_postgres() {
    let kind = IntegrationKind::Postgres;
    a_write_is_repeated_by_tool_call_or_key_and_never_by_the_number_of_a_message(kind).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_skill_is_no_tool_and_answers_with_a_sentence() {
    let desk = desk(IntegrationKind::Postgres).await;
    desk.publish().await;
    let blocked = json!({ "blockedColumns": { "guests": ["note"] } });
    desk.site.http.patch("/integrations/postgres/scoping", blocked).await.data();
    let client = Client::of(&desk, WITH_HANDSHAKE);
    let listed = client.ask("tools/list", json!({})).await;
    let names: Vec<&str> = listed.result()["tools"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|it| it["name"].as_str())
        .collect();
    assert_eq!(names, ["find_guest", "who_calls"]);
    let refused = client.call("note", json!({ "number": 1, "text": "x" }), json!({})).await;
    let refused = refused.result();
    assert_eq!(
        (&refused["isError"], &refused["structuredContent"]["code"]),
        (&json!(true), &json!("skill_quarantined"))
    );
    assert_eq!(text(refused), "I am not able to do that at the moment.");
}

/// An answer that was made without the SDK is the one that the SDK makes.
#[tokio::test(flavor = "multi_thread")]
async fn a_plain_call_is_answered_as_the_sdk_answers_it() {
    let desk = desk(IntegrationKind::Postgres).await;
    desk.publish().await;
    let client = Client::of(&desk, WITH_HANDSHAKE);
    let ada = json!({ "callerPhone": "+12025550142" });
    let note = json!({ "number": 1, "text": "a \"quoted\" note" });
    let repeated = json!({
        "bindery/confirm": true, "bindery/context": { "callId": "call-1", "toolCallId": "tool-1" },
    });
    // Before both, so that both are told what was kept.
    client.call("note", note.clone(), repeated.clone()).await;
    for params in [
        json!({ "name": "find_guest", "arguments": { "number": 1 } }),
        json!({ "name": "find_guest", "arguments": { "number": 9 }, "_meta": {} }),
        json!({ "name": "find_guest", "arguments": { "number": "one" } }),
        json!({ "name": "find_guest", "arguments": null }),
        json!({ "name": "find_guest" }),
        json!({ "name": "find_gust", "arguments": {} }),
        json!({ "name": "who_calls", "arguments": {}, "_meta": { "bindery/context": ada } }),
        json!({ "name": "who_calls", "arguments": {}, "_meta": { "bindery/context": { "callerPhon": "+1" } } }),
        json!({ "name": "who_calls", "_meta": { "bindery/context": 1 } }),
        json!({ "name": "note", "arguments": note }),
        json!({ "name": "note", "arguments": note, "_meta": { "bindery/confirm": "yes" } }),
        json!({ "name": "note", "arguments": note, "_meta": repeated }),
    ] {
        let plain = told(client.request("tools/call", params.clone())).await;
        // A weight is for the SDK to read.
        let accepted = HeaderValue::from_static("application/json;q=1, text/event-stream;q=0.9");
        let weighed = client.request("tools/call", params.clone());
        let by_sdk = told(weighed.headers(HeaderMap::from_iter([(ACCEPT, accepted)]))).await;
        // The SDK sorts members, so that it shows who answered.
        let is_sorted = |it: &Told| {
            let texts = it.body["result"]["content"].as_array().into_iter().flatten();
            let data = texts.filter_map(|it| it["text"].as_str()).find(|text| text.starts_with('{'))?;
            Some(data.find("\"rowCount\"") < data.find("\"rows\""))
        };
        if by_sdk.body["error"].is_null() {
            assert_eq!((is_sorted(&plain), is_sorted(&by_sdk)), (Some(false), Some(true)), "{params}");
        }
        assert_eq!(plain.status, by_sdk.status, "{params}");
        let is_told = |it: &Told| it.headers["cache-control"] == "private, no-store";
        assert!(is_told(&plain) && is_told(&by_sdk), "{params}");
        let mut bodies = [plain.body, by_sdk.body];
        for body in &mut bodies {
            for part in body["result"]["content"].as_array_mut().into_iter().flatten() {
                let text = part["text"].as_str().expect("text");
                if let Ok(mut data) = serde_json::from_str::<Value>(text) {
                    data["timing"].take();
                    part["text"] = data;
                }
            }
            if let Some(data) = body.pointer_mut("/result/structuredContent/timing") {
                data.take();
            }
        }
        assert_eq!(bodies[0], bodies[1], "{params}");
    }
}
