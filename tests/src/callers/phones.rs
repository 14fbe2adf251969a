//! The number that calls: one caller has one value, and no call is lost over a number that nobody needs.

use super::desk;
use events::IntegrationKind;
use serde_json::{Value, json};

async fn a_caller_is_found_however_the_platform_writes_the_number(kind: IntegrationKind) {
    let desk = desk(kind).await;
    for context in [
        json!({ "callerPhone": "+493012345678" }),
        json!({ "callerPhone": "+49 30 1234-5678" }),
        json!({ "callerPhone": "tel:+49-30-12345678;ext=7" }),
        json!({ "callerPhone": "sip:+493012345678@host.example;user=phone" }),
        json!({ "callerPhone": "0049 30 12345678" }),
        json!({ "callerPhone": "030 12345678", "callerRegion": "DE" }),
    ] {
        let found = desk.call_in("who_calls", json!({}), context.clone()).await;
        assert_eq!(found["rows"], json!([{ "name": "Ada" }]), "{context}: {found}");
    }
    let message = json!({ "number": 1, "body": "I am late" });
    let phone = |written: &str| json!({ "callId": "call-1", "callerPhone": written });
    let left = desk.call_in("leave_message", message.clone(), phone("+49 30 12345678")).await;
    assert_eq!(left["outcome"], "ok", "{left}");
    let body = json!({ "arguments": message, "context": phone("tel:+49-30-12345678") });
    let again = desk.send("leave_message", body, &[]).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"), "it is the same caller: {}", again.text);
    assert_eq!(desk.sql("SELECT sender FROM messages"), "+493012345678");
}

async fn whoever_withholds_a_number_is_told_that_it_is_needed(kind: IntegrationKind) {
    let desk = desk(kind).await;
    for withheld in ["anonymous", "Restricted", "sip:anonymous@anonymous.invalid", "+266696687", "", " "] {
        let context = json!({ "callerPhone": withheld });
        let refused = desk.call_in("who_calls", json!({}), context.clone()).await;
        assert_eq!(
            (&refused["outcome"], &refused["code"]),
            (&json!("refused"), &json!("caller_value_missing")),
            "{withheld}"
        );
        assert_eq!(refused["say"], "I cannot see who is calling, so I cannot look that up.");
        let message = json!({ "number": 1, "body": "hello" });
        assert_eq!(desk.call_in("leave_message", message, context).await["outcome"], "refused");
    }
    assert_eq!(desk.sql("SELECT count(*) FROM messages"), "0");
}

async fn what_is_no_number_stops_only_the_skills_that_need_one(kind: IntegrationKind) {
    let desk = desk(kind).await;
    for (context, field, code) in [
        (json!({ "callerPhone": "Ada" }), "context.callerPhone", "not_a_phone_number"),
        (json!({ "callerPhone": "1001" }), "context.callerPhone", "not_a_phone_number"),
        (json!({ "callerPhone": "030 12345678" }), "context.callerPhone", "no_country_code"),
        (
            json!({ "callerPhone": "030 12345678", "callerRegion": "Germany" }),
            "context.callerRegion",
            "unknown_region",
        ),
    ] {
        let body = json!({ "arguments": {}, "context": context });
        let refused = desk.send("who_calls", body, &[]).await;
        assert_eq!(refused.refusal(400), "validation_error", "{context}");
        let error = &refused.body["errors"][0];
        assert_eq!((&error["field"], &error["code"]), (&json!(field), &json!(code)), "{context}");
        let found = desk.call_in("find_guest", json!({ "number": 1 }), context.clone()).await;
        assert_eq!(found["rows"], json!([{ "name": "Ada" }]), "{context}");
    }
}

async fn a_model_neither_sees_nor_sets_what_comes_from_the_call(kind: IntegrationKind) {
    let desk = desk(kind).await;
    let path = format!("/agents/{}/tools?format=openai", desk.agent);
    let told = desk.site.http.get(&path).await.data().to_string();
    assert!(told.contains("who_calls") && !told.contains("caller_phone"), "{told}");
    let context = json!({ "callerPhone": "+493012345678" });
    let claimed = desk.call_in("who_calls", json!({ "caller_phone": "+12025550199" }), context).await;
    assert_eq!(
        (&claimed["outcome"], &claimed["code"], &claimed["errors"][0]["field"]),
        (&json!("invalid_arguments"), &json!("not_from_model"), &json!("caller_phone"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_the_other_protocol_says_who_calls_in_the_same_words() {
    let desk = desk(IntegrationKind::Postgres).await;
    let path = format!("/agents/{}/mcp", desk.agent);
    let told = async |meta: Value, header: Option<&str>| {
        let params = json!({ "name": "who_calls", "arguments": {}, "_meta": meta });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let accept = ("accept", "application/json, text/event-stream");
        let headers: Vec<_> = [accept].into_iter().chain(header.map(|it| ("bindery-context", it))).collect();
        desk.site.http.send("POST", &path, Some(&message), &headers).await.body
    };
    let ada = json!([{ "name": "Ada" }]);
    let sip = json!({ "bindery/context": { "callerPhone": "sip:+493012345678@host.example" } });
    assert_eq!(told(sip, None).await["result"]["structuredContent"]["rows"], ada);
    let national = r#"{"callerPhone": "030 12345678", "callerRegion": "DE"}"#;
    assert_eq!(told(json!({}), Some(national)).await["result"]["structuredContent"]["rows"], ada);
    let withheld = told(json!({ "bindery/context": { "callerPhone": "anonymous" } }), None).await;
    assert_eq!(withheld["result"]["structuredContent"]["code"], "caller_value_missing", "{withheld}");
    let wrong = told(json!({ "bindery/context": { "callerPhone": "Ada" } }), None).await;
    assert_eq!(wrong["error"]["data"]["errors"][0]["code"], "not_a_phone_number", "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_found_however_the_platform_writes_the_number_on_postgres() {
    a_caller_is_found_however_the_platform_writes_the_number(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_found_however_the_platform_writes_the_number_on_mariadb() {
    a_caller_is_found_however_the_platform_writes_the_number(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_withholds_a_number_is_told_that_it_is_needed_on_postgres() {
    whoever_withholds_a_number_is_told_that_it_is_needed(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_withholds_a_number_is_told_that_it_is_needed_on_mariadb() {
    whoever_withholds_a_number_is_told_that_it_is_needed(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_number_stops_only_the_skills_that_need_one_on_postgres() {
    what_is_no_number_stops_only_the_skills_that_need_one(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_neither_sees_nor_sets_what_comes_from_the_call_on_mariadb() {
    a_model_neither_sees_nor_sets_what_comes_from_the_call(IntegrationKind::Mysql).await;
}
