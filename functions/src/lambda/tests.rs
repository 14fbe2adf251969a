use super::lines::tests::Written;
use super::*;
use crate::config::Config;
use crate::keys::first::{self, FirstKey};
use crate::start::embedded::Embedded;
use crate::{agents, integrations};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Service};
use serde_json::json;
use std::sync::atomic::AtomicBool;
use tempfile::TempDir;

const HTTP_API: &str = include_str!("samples/http_api.json");
const REST_API: &str = include_str!("samples/rest_api.json");

/// Services that can be had while somebody says so.
struct While {
    services: Arc<Services>,
    open: Arc<AtomicBool>,
}

#[async_trait]
impl Source for While {
    async fn services(&self) -> Result<Arc<Services>, String> {
        let is_open = self.open.load(Ordering::Relaxed);
        is_open.then(|| self.services.clone()).ok_or_else(|| "as the test says".to_owned())
    }
}

/// A function over a data folder of its own.
struct Function {
    requests: Arc<Requests>,
    services: Arc<Services>,
    open: Arc<AtomicBool>,
    written: Written,
    key: String,
    _folder: TempDir,
}

impl Function {
    async fn start(endpoint: &'static Endpoint) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = Config::from_lookup(|_| None, "http://127.0.0.1").expect("defaults are valid");
        let embedded = Embedded::open(folder.path()).await.expect("a data folder");
        let asked = FirstKey {
            organization: "default".to_owned(),
            name: "test".to_owned(),
            scopes: vec!["all".to_owned()],
            expires_at: None,
        };
        let store = embedded.store.as_ref();
        let minted = first::mint(store, store, embedded.peppers.as_ref(), "test", asked).await;
        let key = minted.expect("a key").1.expose().to_owned();
        let services = embedded.services(config).await.expect("nothing to settle");
        let written = Written::default();
        let open = Arc::new(AtomicBool::new(true));
        let source = Box::new(While { services: services.clone(), open: open.clone() });
        let lines = Lines::to(written.clone());
        let requests = Requests::new(endpoint, source, lines, String::new(), "bindery-dev".to_owned(), None);
        Self { requests, services, open, written, key, _folder: folder }
    }

    /// The platform's event in, its answer out, as the runtime does it.
    async fn invoke(&self, event: &Value) -> Value {
        let payload: LambdaRequest = serde_json::from_str(&event.to_string()).expect("an event");
        let mut context = Context::default();
        context.request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned();
        let in_a_minute = SystemTime::now() + Duration::from_secs(60);
        let since = in_a_minute.duration_since(SystemTime::UNIX_EPOCH).expect("it is later");
        context.deadline = u64::try_from(since.as_millis()).expect("it fits");
        let requests = self.requests.clone();
        let mut adapter = Adapter::from(service_fn(move |request: lambda_http::Request| {
            let requests = requests.clone();
            async move { requests.answer(request).await }
        }));
        let answer =
            adapter.call(request::whole(LambdaEvent::new(payload, context))).await.expect("an answer");
        serde_json::to_value(&answer).expect("it is JSON")
    }

    fn http_api(&self, method: &str, path: &str, body: Option<&str>) -> Value {
        let mut event: Value = serde_json::from_str(HTTP_API).expect("a sample");
        event["rawPath"] = json!(path);
        event["rawQueryString"] = json!("");
        event["requestContext"]["http"]["method"] = json!(method);
        event["headers"]["authorization"] = json!(format!("Bearer {}", self.key));
        event["headers"]["x-request-id"] = json!("req_mine");
        if let Some(body) = body {
            event["headers"]["content-type"] = json!("application/json");
            event["body"] = json!(BASE64_STANDARD.encode(body));
            event["isBase64Encoded"] = json!(true);
        }
        event
    }

    /// The lines that count an invocation.
    fn counted(&self) -> Vec<Value> {
        self.written.lines().into_iter().filter(|line| line["_aws"].is_object()).collect()
    }
}

fn body_of(answer: &Value) -> Value {
    serde_json::from_str(answer["body"].as_str().expect("a text")).expect("it is JSON")
}

#[tokio::test]
async fn an_event_of_an_http_api_is_answered_like_a_request_and_counted() {
    let function = Function::start(&agents::create::ENDPOINT).await;
    let event = function.http_api("POST", "/api/v1/agents", Some(r#"{ "name": "Front desk" }"#));
    let answer = function.invoke(&event).await;
    assert_eq!((&answer["statusCode"], &answer["isBase64Encoded"]), (&json!(201), &json!(false)), "{answer}");
    assert_eq!(body_of(&answer)["data"]["name"], "Front desk");
    assert_eq!(answer["headers"]["content-type"], "application/json");
    assert_eq!(answer["headers"]["x-bindery-position"], "2");
    assert_eq!(answer["headers"]["x-request-id"], "req_mine");
    function.invoke(&event).await;
    let counted = function.counted();
    assert_eq!((&counted[0]["endpoint"], &counted[0]["outcome"]), (&json!("agents-create"), &json!("2xx")));
    let cold: Vec<&Value> = counted.iter().map(|line| &line["ColdStart"]).collect();
    assert_eq!(cold, [&json!(1), &json!(0)]);
    assert!(counted.iter().all(|line| line["Errors"] == 0 && line["DatabaseMs"].is_null()), "{counted:?}");
}

#[tokio::test]
async fn a_problem_names_the_address_that_the_request_came_to() {
    let function = Function::start(&integrations::search::ENDPOINT).await;
    let mut event = function.http_api("GET", "/api/v1/integrations/postgres/search", None);
    event["rawQueryString"] = json!("q=phone");
    let answer = function.invoke(&event).await;
    assert_eq!(answer["statusCode"], 404, "{answer}");
    let problem = body_of(&answer);
    let url = "https://r3pmxmplak.execute-api.us-east-2.amazonaws.com/errors/not_discovered";
    assert_eq!((&problem["type"], &problem["code"]), (&json!(url), &json!("not_discovered")));
    assert_eq!(problem["instance"], "/api/v1/integrations/postgres/search");
    assert_eq!(function.counted()[0]["outcome"], "4xx");
}

#[tokio::test]
async fn a_rest_api_gets_every_header_as_a_list_of_values() {
    let function = Function::start(&agents::list::ENDPOINT).await;
    let mut event: Value = serde_json::from_str(REST_API).expect("a sample");
    event["path"] = json!("/api/v1/agents");
    event["httpMethod"] = json!("GET");
    event["multiValueQueryStringParameters"] = json!(null);
    event["queryStringParameters"] = json!({ "min_position": "1" });
    for headers in ["headers", "multiValueHeaders"] {
        let bearer = format!("Bearer {}", function.key);
        let value = if headers == "headers" { json!(bearer) } else { json!([bearer]) };
        event[headers]["Authorization"] = value;
    }
    let answer = function.invoke(&event).await;
    assert_eq!(answer["statusCode"], 200, "{answer}");
    assert_eq!(answer["multiValueHeaders"]["content-type"], json!(["application/json"]));
    assert_eq!(body_of(&answer)["data"], json!([]));
}

#[tokio::test]
async fn a_function_serves_its_endpoint_and_no_other() {
    let function = Function::start(&agents::list::ENDPOINT).await;
    let own = function.invoke(&function.http_api("GET", "/api/v1/agents", None)).await;
    assert_eq!(own["statusCode"], 200, "{own}");
    let other = function.invoke(&function.http_api("POST", "/api/v1/agents", Some("{}"))).await;
    assert_eq!(other["statusCode"], 404, "{other}");
    let elsewhere = function.invoke(&function.http_api("GET", "/api/v1/keys", None)).await;
    assert_eq!(elsewhere["statusCode"], 404, "{elsewhere}");
    let by_none = function.invoke(&function.http_api("PUT", "/api/v1/keys", None)).await;
    assert_eq!(
        (&by_none["statusCode"], &by_none["headers"]["allow"]),
        (&json!(405), &json!("GET,HEAD,POST")),
        "{by_none}"
    );
    for beside in ["/healthz", "/openapi.json", "/errors/not_found"] {
        let answer = function.invoke(&function.http_api("GET", beside, None)).await;
        assert_eq!(answer["statusCode"], 200, "{beside}: {answer}");
    }
}

#[tokio::test]
async fn without_its_keys_a_function_refuses_in_its_own_words_until_it_has_them() {
    let function = Function::start(&agents::list::ENDPOINT).await;
    function.open.store(false, Ordering::Relaxed);
    let event = function.http_api("GET", "/api/v1/agents", None);
    for _ in 0..2 {
        let refused = function.invoke(&event).await;
        assert_eq!(refused["statusCode"], 503, "{refused}");
        let headers = &refused["headers"];
        assert_eq!(
            (&headers["content-type"], &headers["retry-after"], &headers["x-request-id"]),
            (&json!("application/problem+json"), &json!("1"), &json!("req_mine"))
        );
        let problem = body_of(&refused);
        assert_eq!(
            (&problem["code"], &problem["instance"]),
            (&json!("service_unavailable"), &json!("/api/v1/agents"))
        );
    }
    function.open.store(true, Ordering::Relaxed);
    let served = function.invoke(&event).await;
    assert_eq!(served["statusCode"], 200, "{served}");
    let counted = function.counted();
    let told: Vec<_> =
        counted.iter().map(|line| (&line["outcome"], &line["Errors"], &line["ColdStart"])).collect();
    let (failed, fine) = (json!("5xx"), json!("2xx"));
    let (yes, no) = (json!(1), json!(0));
    assert_eq!(told, [(&failed, &yes, &yes), (&failed, &yes, &no), (&fine, &no, &no)]);
}

#[tokio::test]
async fn what_an_invocation_left_running_is_done_when_its_answer_leaves() {
    let function = Function::start(&agents::list::ENDPOINT).await;
    let event = function.http_api("GET", "/api/v1/agents", None);
    for _ in 0..2 {
        let done = Arc::new(AtomicBool::new(false));
        let seen = done.clone();
        function.services.tasks.spawn(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            seen.store(true, Ordering::Relaxed);
        });
        function.invoke(&event).await;
        assert!(done.load(Ordering::Relaxed));
    }
}

#[test]
fn a_handler_that_nobody_serves_is_a_failure_and_not_another_function() {
    // The variable belongs to the process, and no other test reads it.
    assert!(std::env::var("_HANDLER").is_err());
    assert_eq!(format!("{:?}", serve_handler()), format!("{:?}", ExitCode::FAILURE));
}
