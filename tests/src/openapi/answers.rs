//! Real answers against the schemas that the document gives for them.

use super::{document, operations};
use crate::engines::engine;
use crate::http::{Answer, Http, Seen};
use crate::site::{Site, all_scopes};
use crate::story::{Hands, Story, Teller};
use events::IntegrationKind;
use functions::endpoints;
use infra::storage::calls::{CallRecord, CallStore, Protocol};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The document, with every object closed: an answer with a member that is not documented does not fit.
fn closed(mut document: Value) -> Value {
    fn close(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.values_mut().for_each(close);
                let composed = ["allOf", "anyOf", "oneOf"].iter().any(|word| members.contains_key(*word));
                let is_schema = members.get("properties").is_some_and(Value::is_object);
                if is_schema && !composed && !members.contains_key("additionalProperties") {
                    members.insert("additionalProperties".to_owned(), json!(false));
                }
            }
            Value::Array(items) => items.iter_mut().for_each(close),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    close(&mut document);
    document
}

/// The operation that a request was for: a path without parameters goes before one with.
fn operation_of<'a>(document: &'a Value, answer: &Answer) -> Option<(&'a str, &'a Value)> {
    let path = answer.path.split('?').next().unwrap_or_default();
    let asked: Vec<&str> = path.split('/').collect();
    let fits = |template: &str| {
        let parts: Vec<&str> = template.split('/').collect();
        parts.len() == asked.len()
            && parts.iter().zip(&asked).all(|(part, asked)| part.starts_with('{') || part == asked)
    };
    operations(document)
        .filter(|(path, method, _)| method.eq_ignore_ascii_case(answer.method.as_str()) && fits(path))
        .map(|(path, _, operation)| (path, operation))
        .min_by_key(|(path, _)| path.matches('{').count())
}

/// What does not fit, one line each.
fn misfits(document: &Value, answer: &Answer) -> Vec<String> {
    let what = format!("{} {} {}", answer.method, answer.path, answer.status);
    let Some((path, operation)) = operation_of(document, answer) else {
        return vec![format!("{what}: no such operation")];
    };
    let media_type = answer.header("content-type").unwrap_or_default();
    let response = &operation["responses"][answer.status.to_string()];
    if !response["content"][media_type]["schema"].is_object() {
        return vec![format!("{what}: {media_type} is not documented: {}", answer.text)];
    }
    let escape = |part: &str| part.replace('~', "~0").replace('/', "~1");
    let pointer = format!(
        "#/paths/{}/{}/responses/{}/content/{}/schema",
        escape(path).replace('{', "%7B").replace('}', "%7D"),
        answer.method.as_str().to_lowercase(),
        answer.status,
        escape(media_type),
    );
    let mut schema = document.clone();
    schema["$ref"] = json!(pointer);
    let validator = jsonschema::validator_for(&schema).expect("the document is a schema");
    let errors = validator.iter_errors(&answer.body);
    let mut misfits: Vec<String> =
        errors.map(|error| format!("{what} at {}: {error}", error.instance_path())).collect();
    if answer.status >= 400 {
        let described = response["description"].as_str().unwrap_or_default();
        if !described.contains(&format!("`{}`", answer.code())) {
            misfits.push(format!("{what}: {} is not documented", answer.code()));
        }
    }
    misfits
}

/// What the story leaves out: the other endpoints, and a refusal of each status.
async fn ask_the_rest(site: &Site, http: &Http, kind: IntegrationKind, agent: &str) {
    let integration = |path: &str| format!("/integrations/{kind}{path}");
    let desk = |path: &str| format!("/agents/{agent}{path}");
    for path in ["/integrations", "/integrations/catalog", "/agents", "/keys", "/events?types=Published"] {
        http.get(path).await.data();
    }
    assert_eq!(http.get("/events/stream?types=Published").await.status, 200);
    let hook = json!({ "url": "http://127.0.0.1:1/hook", "from": 0 });
    let subscription = http.post("/subscriptions", hook).await.data()["id"].clone();
    let webhook = |path: &str| format!("/subscriptions/{}{path}", subscription.as_str().expect("an id"));
    http.post(&webhook("/test"), json!({})).await.data();
    let attempted = loop {
        let attempts = http.get(&webhook("/deliveries")).await;
        let of_event = attempts.data().as_array().expect("a list").iter().find(|it| it["seq"] != 0);
        if let Some(attempt) = of_event {
            break attempt["id"].as_str().expect("an id").to_owned();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    http.post(&webhook(&format!("/deliveries/{attempted}/redeliver")), json!({})).await.data();
    for path in ["/rotate-secret", "/resume"] {
        http.post(&webhook(path), json!({})).await.data();
    }
    http.get("/subscriptions").await.data();
    http.get(&webhook("")).await.data();
    http.delete(&webhook("")).await.data();
    for path in ["/audit/state?at=3", "/audit/diff?from=0", "/audit/verify", "/audit/checkpoint"] {
        http.get(path).await.data();
    }
    for path in ["/schema?limit=100", "/schema?limit=1", "/objects", "/scoping"] {
        http.get(&integration(path)).await.data();
    }
    let versions = http.get(&desk("/versions")).await;
    let version = versions.data()[0]["id"].as_str().expect("an id").to_owned();
    let skills = http.get(&desk("/skills")).await;
    let skill = skills.data()[0]["id"].as_str().expect("an id").to_owned();
    let path = desk(&format!("/skills/{skill}"));
    let stale = http.send("PATCH", &path, Some(&json!({})), &[("If-Match", "\"0\"")]).await;
    assert_eq!(stale.status, 412);
    http.patch(&desk(&format!("/skills/{skill}")), json!({ "description": "another" })).await.data();
    http.get(&desk(&format!("/skills/{skill}"))).await.data();
    let paths = [
        String::new(),
        "/prepublish-report".to_owned(),
        "/tools?format=openai".to_owned(),
        format!("/versions/{version}/diff?against=draft"),
    ];
    for path in paths {
        http.get(&desk(&path)).await.data();
    }
    let messages = [("Accept", "application/json, text/event-stream")];
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    assert_eq!(http.send("POST", &desk("/mcp"), Some(&list), &messages).await.status, 200);
    assert_eq!(http.get(&desk("/mcp")).await.status, 200);
    let call = json!({ "arguments": { "phone": "+12025550142" } });
    http.post(&desk(&format!("/skills/{skill}/test")), call).await.data();
    let auto = desk(&format!("/integrations/{kind}/bindings/auto"));
    let goal = "find a patient by phone number";
    assert_eq!(http.post(&auto, json!({ "goal": goal })).await.status, 201);
    assert_eq!(http.post(&auto, json!({ "goal": goal, "save": false })).await.status, 200);
    assert_eq!(http.post(&auto, json!({ "goal": "zxqj" })).await.code(), "no_binding_found");
    let in_doubt = in_doubt(site, agent, &skill).await;
    http.get(&desk("/calls?outcome=in_doubt&resolved=false")).await.data();
    let settle = desk(&format!("/calls/{in_doubt}/settle"));
    http.post(&settle, json!({ "happened": false, "note": "looked" })).await.data();
    assert_eq!(http.post(&settle, json!({ "happened": false })).await.code(), "not_in_doubt");
    http.post(&desk("/rollback"), json!({ "versionId": version })).await.data();
    http.delete(&desk(&format!("/skills/{skill}"))).await.data();
    let minted = http.post("/keys", json!({ "name": "a", "scopes": ["agents:read"] })).await;
    let key = minted.data()["id"].as_str().expect("an id").to_owned();
    http.patch(&format!("/keys/{key}"), json!({ "name": null })).await.data();
    http.post(&format!("/keys/{key}/rotate"), json!({})).await.data();
    assert_eq!(http.post(&format!("/keys/{key}/rotate"), json!({})).await.status, 409);
    http.delete(&format!("/keys/{key}")).await.data();

    assert_eq!(http.with_key("nobody").get("/keys").await.status, 401);
    let weak = site.http_as("default", &["agents:read"]).await;
    assert_eq!(http.with_key(&weak.key).get("/keys").await.status, 403);
    assert_eq!(http.get("/agents/nobody").await.status, 404);
    assert_eq!(http.get("/agents?limit=0").await.status, 400);
    assert_eq!(http.get("/agents?min_position=999999").await.status, 503);
    let body = json!({ "credentials": {
        "host": "10.0.0.1", "port": 1, "database": "a", "user": "a", "password": "a", "sslmode": "require",
    }});
    http.post(&integration("/sql/test"), body.clone()).await.data();
    assert_eq!(http.post(&integration("/connect"), body).await.status, 422);
    assert_eq!(http.patch(&integration("/scoping"), json!({ "blockedTables": ["x"] })).await.status, 422);
    let text = http.request("POST", "/agents").bearer_auth(&http.key).body("name=a");
    assert_eq!(http.ask(text).await.status, 415);
    let long = http.request("POST", "/agents").bearer_auth(&http.key).body(" ".repeat((1 << 20) + 1));
    assert_eq!(http.ask(long).await.status, 413);
    http.delete(&integration("")).await.data();
    assert_eq!(http.post(&integration("/discover"), json!({})).await.status, 409);
    assert_eq!(http.post(&desk("/publish"), json!({})).await.status, 409);
}

/// The record of a write whose end nobody saw.
async fn in_doubt(site: &Site, agent: &str, skill: &str) -> String {
    let at = functions::clock::now();
    let record = CallRecord {
        id: functions::random::call_id(at),
        organization: "default".into(),
        agent: agent.into(),
        at,
        skill: skill.into(),
        tool: "book".to_owned(),
        version: Some(1),
        protocol: Protocol::Http,
        outcome: "in_doubt".into(),
        code: Some("in_doubt".into()),
        rows: 0,
        replayed: false,
        total_us: 1,
        database_us: 1,
        key: "k1".into(),
        request_id: "req_1".into(),
        call_id: Some("call".to_owned()),
        tool_call_id: Some("tool".to_owned()),
        lookup: Some("id".to_owned()),
        arguments: vec![("id".to_owned(), "00".to_owned())],
        doubt: None,
        resolution: None,
    };
    let kept = site
        .embedded
        .calls
        .keep_calls(&Arc::new([&record].into_iter().collect()), Duration::from_secs(60))
        .await;
    kept.expect("it is kept");
    record.id
}

/// An endpoint that answers otherwise when it takes long.
async fn discover_slowly(seen: &Seen, kind: IntegrationKind) {
    let site = Site::start_granted(&[("BINDERY_DISCOVERY_ANSWER_AFTER_MS", "1")]).await;
    let http = site.http_as("default", &all_scopes()).await.recording(seen);
    let engine = engine(kind);
    site.connect(&http, engine, &engine.clinic()).await;
    let last = seen.lock().expect("not poisoned").last().expect("an answer").clone();
    assert_eq!(last.status, 202, "{}", last.text);
    let path =
        format!("/integrations/{kind}/discoveries/{}", last.data()["discoveryId"].as_str().expect("an id"));
    while http.get(&path).await.data()["status"] == "running" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn what_is_answered_fits_what_is_documented(kind: IntegrationKind) {
    // As functions, each with its grants: what one of them does not declare is an internal error here.
    let site = Site::start_granted(&[]).await;
    let seen = Seen::default();
    let http = site.http.recording(&seen);
    let database = engine(kind).clinic();
    let story =
        Story { http: &http, engine: engine(kind), database: &database, teller: Teller { aloud: false } };
    let told = story.tell(&Hands::Folder(site.folder.path())).await;
    ask_the_rest(&site, &http, kind, &told.agent).await;
    discover_slowly(&seen, kind).await;
    let (document, answers) = (closed(document()), seen.lock().expect("not poisoned").clone());
    let misfits: Vec<String> = answers.iter().flat_map(|answer| misfits(&document, answer)).collect();
    assert!(misfits.is_empty(), "{} of {}:\n{}", misfits.len(), answers.len(), misfits.join("\n"));
    let answered = answers.iter().filter(|answer| answer.status < 300);
    let answered: BTreeSet<&str> =
        answered.filter_map(|answer| operation_of(&document, answer)?.1["operationId"].as_str()).collect();
    for endpoint in endpoints::ALL {
        assert!(answered.contains(endpoint.name), "no answer of {} was looked at", endpoint.name);
    }
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    statuses.dedup();
    assert_eq!(statuses, [200, 201, 202, 400, 401, 403, 404, 409, 412, 413, 415, 422, 503]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_fits_what_is_documented_on_postgres() {
    what_is_answered_fits_what_is_documented(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_fits_what_is_documented_on_mariadb() {
    what_is_answered_fits_what_is_documented(IntegrationKind::Mysql).await;
}

#[test]
fn an_answer_that_differs_from_its_schema_is_found() {
    let document = closed(document());
    let answer = |body: Value| Answer {
        method: reqwest::Method::GET,
        path: "/api/v1/agents/agt_1?min_position=1".to_owned(),
        status: 200,
        headers: [("content-type".parse().expect("a name"), "application/json".parse().expect("a value"))]
            .into_iter()
            .collect(),
        text: body.to_string(),
        body,
    };
    let mut body = json!({ "success": true, "data": {
        "id": "agt_1", "name": "a", "description": null, "publishedVersion": null, "publishedVersionId": null,
        "skillCount": 0, "createdAt": "2026-01-01T00:00:00Z",
    }});
    assert_eq!(misfits(&document, &answer(body.clone())), Vec::<String>::new());
    body["data"]["skillCount"] = json!("0");
    assert_eq!(misfits(&document, &answer(body.clone())).len(), 1, "a wrong type");
    body["data"]["colour"] = json!("red");
    assert_eq!(misfits(&document, &answer(body.clone())).len(), 2, "and a member that nobody documented");
    body["data"].as_object_mut().expect("an object").remove("id");
    assert_eq!(misfits(&document, &answer(body)).len(), 3, "and a missing one");
}
