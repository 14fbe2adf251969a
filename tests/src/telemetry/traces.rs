//! Spans of requests, as a collector gets them.

use super::collector::{Collector, attributes};
use super::{SOON, Told};
use events::IntegrationKind;
use infra::telemetry::system_name;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::json;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const CALL: &str = "POST /api/v1/agents/{agentId}/skills/{skill}/call";

fn sampled() -> String {
    format!("00-{TRACE}-{CALLER}-01")
}

fn of_trace(spans: &[Span]) -> Vec<&Span> {
    spans.iter().filter(|span| hex::encode(&span.trace_id) == TRACE).collect()
}

fn named<'a>(spans: &[&'a Span], name: &str) -> &'a Span {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| {
        let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
        panic!("no span {name} in {names:?}")
    })
}

async fn a_call_is_seen_with_all_it_waits_for(kind: IntegrationKind) {
    let collector = Collector::start().await;
    let told = Told::start(&[&[("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str())][..], &SOON].concat());
    let calls = told.desk(kind).await;
    let arguments = json!({ "code": "a", "body": "b" });
    let traceparent = sampled();
    let headers = [("traceparent", traceparent.as_str()), ("idempotency-key", "once")];
    let written = calls.call("add_note", arguments, &headers).await;
    assert_eq!(written.data()["outcome"], "ok", "{}", written.text);

    let spans = collector.spans(|spans| spans.iter().any(|span| span.name == CALL)).await;
    let spans = of_trace(&spans);
    let server = named(&spans, CALL);
    assert_eq!(server.kind, SpanKind::Server as i32);
    assert_eq!(hex::encode(&server.parent_span_id), CALLER);
    let answered = format!("00-{TRACE}-{}-01", hex::encode(&server.span_id));
    assert_eq!(written.header("traceparent"), Some(answered.as_str()), "the caller is told our span");
    let of_server = attributes(&server.attributes);
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/api/v1/agents/{agentId}/skills/{skill}/call"),
        ("http.response.status_code", "200"),
        ("bindery.outcome", "ok"),
        ("bindery.request.id", written.header("x-request-id").expect("an id")),
    ] {
        assert_eq!(of_server.get(name).map(String::as_str), Some(value), "{name}");
    }

    let parts: Vec<&Span> = spans.iter().copied().filter(|span| span.span_id != server.span_id).collect();
    for part in &parts {
        assert_eq!(part.parent_span_id, server.span_id, "{}", part.name);
        let within = server.start_time_unix_nano <= part.start_time_unix_nano
            && part.start_time_unix_nano <= part.end_time_unix_nano
            && part.end_time_unix_nano <= server.end_time_unix_nano;
        assert!(within, "{} is a part of the request", part.name);
    }
    for (name, kind) in [
        ("authenticate", SpanKind::Internal),
        ("checkout", SpanKind::Internal),
        ("connect", SpanKind::Client),
        ("INSERT", SpanKind::Client),
        ("COMMIT", SpanKind::Client),
    ] {
        assert_eq!(named(&parts, name).kind, kind as i32, "{name}");
    }
    let insert = attributes(&named(&parts, "INSERT").attributes);
    assert_eq!(insert["db.system.name"], system_name(kind));
    assert_eq!(insert["db.operation.name"], "INSERT");
    assert_eq!(insert.len(), 2, "and nothing of the statement: {insert:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_seen_with_all_it_waits_for_on_postgres() {
    a_call_is_seen_with_all_it_waits_for(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_seen_with_all_it_waits_for_on_mariadb() {
    a_call_is_seen_with_all_it_waits_for(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_a_model_calls_is_seen_as_its_skill_is() {
    let collector = Collector::start().await;
    let told = Told::start(&[&[("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str())][..], &SOON].concat());
    let calls = told.desk(IntegrationKind::Postgres).await;
    let params = json!({ "name": "find_note", "arguments": { "code": "nobody" } });
    let message = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params });
    let traceparent = sampled();
    let headers = [
        ("traceparent", traceparent.as_str()),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2025-11-25"),
    ];
    let path = format!("/agents/{}/mcp", calls.agent);
    let answer = told.http.send("POST", &path, Some(&message), &headers).await;
    assert_eq!(answer.body["result"]["structuredContent"]["outcome"], "not_found", "{}", answer.text);

    let name = "POST /api/v1/agents/{agentId}/mcp";
    let spans = collector.spans(|spans| spans.iter().any(|span| span.name == name)).await;
    let spans = of_trace(&spans);
    let server = named(&spans, name);
    assert_eq!(attributes(&server.attributes)["bindery.outcome"], "not_found");
    assert_eq!(named(&spans, "SELECT").parent_span_id, server.span_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_fails_is_seen_with_the_code_of_its_fault_and_no_word_of_the_engine() {
    let collector = Collector::start().await;
    let told = Told::start(&[&[("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str())][..], &SOON].concat());
    let calls = told.desk(IntegrationKind::Postgres).await;
    let arguments = json!({ "code": "twice", "body": "b" });
    calls.call("add_note", arguments.clone(), &[]).await.data();
    let traceparent = sampled();
    let refused = calls.call("add_note", arguments, &[("traceparent", &traceparent)]).await;
    assert_eq!(refused.data()["code"], "constraint_violated", "{}", refused.text);

    let spans = collector.spans(|spans| spans.iter().any(|span| span.name == CALL)).await;
    let insert = named(&of_trace(&spans), "INSERT");
    assert_eq!(attributes(&insert.attributes)["error.type"], "constraint_violated");
    let status = insert.status.as_ref().expect("a status");
    assert_eq!((status.code, status.message.as_str()), (2, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_decides_whether_a_request_is_traced_and_every_line_of_it_names_its_trace() {
    let collector = Collector::start().await;
    let mut told =
        Told::start(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &format!("{}/v1/traces", collector.url))]);
    let created = async |flags: &str| {
        let traceparent = format!("00-{TRACE}-{CALLER}-{flags}");
        let body = json!({ "name": flags });
        told.http.send("POST", "/agents", Some(&body), &[("traceparent", &traceparent)]).await
    };
    let (unsampled, sampled) = (created("00").await, created("01").await);
    let passed = unsampled.header("traceparent").expect("a caller who traces is answered");
    assert!(passed.starts_with(&format!("00-{TRACE}-")) && passed.ends_with("-00"), "{passed}");
    told.server.terminate();
    assert!(told.server.wait().success());

    let spans = collector.spans_now();
    let servers: Vec<_> = spans.iter().filter(|span| span.kind == SpanKind::Server as i32).collect();
    assert_eq!(servers.len(), 1, "what was left was sent at the end, and nothing that was not to be traced");
    let id = attributes(&servers[0].attributes)["bindery.request.id"].clone();
    assert_eq!(Some(id.as_str()), sampled.header("x-request-id"));
    let lines = told.server.rest_of_the_log();
    for answer in [&unsampled, &sampled] {
        let id = answer.header("x-request-id").expect("an id");
        let line = lines.iter().find(|line| line["requestId"] == id).expect("a line of the request");
        assert_eq!((&line["traceId"], &line["fields"]["status"]), (&TRACE.into(), &201.into()), "{line}");
    }
}
