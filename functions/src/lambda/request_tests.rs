use super::*;
use http::{Method, header};
use lambda_runtime::Context;
use serde_json::{Value, json};

const HTTP_API: &str = include_str!("samples/http_api.json");
const REST_API: &str = include_str!("samples/rest_api.json");
const FUNCTION_URL: &str = include_str!("samples/function_url.json");

fn ours(event: &Value) -> Request<Body> {
    let payload: LambdaRequest = serde_json::from_str(&event.to_string()).expect("an event of the platform");
    to_ours(whole(LambdaEvent::new(payload, Context::default())).payload.into(), true)
}

fn event(text: &str) -> Value {
    serde_json::from_str(text).expect("a sample is JSON")
}

fn url_of(request: &Request<Body>) -> &str {
    &request.extensions().get::<PublicUrl>().expect("each request tells it").0
}

async fn body_of(request: Request<Body>) -> Bytes {
    axum::body::to_bytes(request.into_body(), 1 << 20).await.expect("a body")
}

#[tokio::test]
async fn an_http_api_gives_the_request_that_was_sent() {
    let request = ours(&event(HTTP_API));
    assert_eq!(request.method(), Method::GET);
    assert_eq!(request.uri(), "/api/v1/integrations/postgres/search?q=phone%20number&min_position=7");
    assert_eq!(request.headers()[header::AUTHORIZATION], "Bearer flowyte_sk_live_x");
    assert_eq!(request.headers()["traceparent"], "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    assert_eq!(url_of(&request), "https://r3pmxmplak.execute-api.us-east-2.amazonaws.com");
    assert!(body_of(request).await.is_empty());
}

#[tokio::test]
async fn what_belongs_into_no_address_is_escaped_and_means_the_same() {
    let mut event = event(HTTP_API);
    let path = "/api/v1/integrations/postgres/search";
    event["rawPath"] = json!(format!("{path}/<a b>|\u{e9}\\\"^`{{}}"));
    event["rawQueryString"] = json!("q=<script>\u{7f} \u{1f600}&x=%20[]#");
    let request = ours(&event);
    assert_eq!(request.uri().path(), format!("{path}/%3Ca%20b%3E%7C%C3%A9%5C%22%5E%60%7B%7D"));
    assert_eq!(request.uri().query(), Some("q=%3Cscript%3E%7F%20%F0%9F%98%80&x=%20%5B%5D%23"));
}

#[tokio::test]
async fn a_rest_api_gives_the_request_that_was_sent() {
    let request = ours(&event(REST_API));
    assert_eq!(request.method(), Method::POST);
    let path = "/api/v1/agents/agt_1/skills/find_patient/call?min_position=8&min_position=9";
    assert_eq!(
        request.uri(),
        path,
        "the stage is no part of our path, and nothing that was repeated is lost"
    );
    let tags: Vec<_> = request.headers().get_all(header::IF_MATCH).iter().collect();
    assert_eq!(tags, ["\"3\"", "\"4\""]);
    assert_eq!(url_of(&request), "https://gy415nuibc.execute-api.us-east-1.amazonaws.com/dev");
    assert_eq!(body_of(request).await, r#"{"arguments":{"phone":"™"}}"#);
}

#[tokio::test]
async fn a_function_url_gives_the_request_that_was_sent() {
    let request = ours(&event(FUNCTION_URL));
    assert_eq!(request.uri(), "/api/v1/events/stream?after=3");
    assert_eq!(request.headers()["last-event-id"], "12");
    assert_eq!(url_of(&request), "https://u5xmplqpzxy.lambda-url.eu-central-1.on.aws");
}

#[test]
fn a_named_stage_or_a_base_path_before_our_path_is_cut_off() {
    for (stage, raw_path, path) in [
        ("dev", "/dev/api/v1/agents", "/api/v1/agents"),
        ("dev", "/bindery/api/v1/agents", "/api/v1/agents"),
        ("api", "/api/api/v1/agents", "/api/v1/agents"),
        ("api", "/api/v1/agents", "/api/v1/agents"),
        ("dev", "/dev/healthz", "/healthz"),
        ("dev", "/dev/errors/not_found", "/errors/not_found"),
        ("$default", "/openapi.json", "/openapi.json"),
        ("$default", "/api/v1/agents/a b", "/api/v1/agents/a%20b"),
    ] {
        let mut event = event(HTTP_API);
        event["rawPath"] = json!(raw_path);
        event["rawQueryString"] = json!("");
        event["requestContext"]["stage"] = json!(stage);
        assert_eq!(ours(&event).uri(), path, "{stage} {raw_path}");
    }
}

#[test]
fn a_configured_address_goes_before_what_requests_say() {
    let request = lambda_http::request::from_str(HTTP_API).expect("an event of the platform");
    assert!(to_ours(request, false).extensions().get::<PublicUrl>().is_none());
}
