//! With a function in a few lines of shell, which does what the key in the request says.

use super::super::fleet::{Deployed, Fleet};
use super::{Route, route, serve};
use crate::http::{Answer, Http};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::TcpListener;

const FUNCTION: &str = r#"#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
head=$(mktemp -p "$FOLDER")
while event=$(curl -sf -D "$head" "$api/invocation/next"); do
    id=$(sed -n 's/\r$//; s/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: //p' "$head")
    post() { curl -sf -o "$head" "$@"; }
    answered() { post "$api/invocation/$id/response" -d "$1"; }
    case $event in
    *"Bearer answers"*) answered '{"statusCode":201,"headers":{"x-a":"1"},"body":"{\"pid\":'$$'}"}' ;;
    *"Bearer dawdles"*) sleep 0.5; answered '{"statusCode":200,"body":"{\"pid\":'$$'}"}' ;;
    *"Bearer babbles"*) answered '{"statusCode":"fine"}' ;;
    *"Bearer fails"*) post "$api/invocation/$id/error" -d '{"errorType":"Broken","errorMessage":"it broke"}' ;;
    *"Bearer dies"*) kill -9 $$ ;;
    *"Bearer hangs"*) sleep 60 ;;
    *"Bearer streams"*)
        { printf '{"statusCode":200,"headers":{"x-a":"1"}}\0\0\0\0\0\0\0\0"first'; sleep 0.1; printf ' second"'; } |
            post "$api/invocation/$id/response" -H 'Lambda-Runtime-Function-Response-Mode: streaming' -T -  -X POST ;;
    esac
done
"#;

struct Site {
    http: Http,
    fleet: Arc<Fleet>,
    _folder: TempDir,
}

async fn site() -> Site {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("function");
    std::fs::write(&program, FUNCTION).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).unwrap();
    let deployed = ["agents-list", "integrations-catalog"].map(|name| Deployed {
        name: name.to_owned(),
        environment: BTreeMap::from([
            ("PATH".to_owned(), std::env::var("PATH").unwrap()),
            ("FOLDER".to_owned(), folder.path().display().to_string()),
        ]),
        memory_mb: 128,
        timeout: Duration::from_secs(2),
    });
    let fleet = Arc::new(Fleet::new(program, deployed, false));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(fleet.clone(), listener));
    Site { http: Http::new(&url, ""), fleet, _folder: folder }
}

impl Site {
    async fn ask(&self, what: &str) -> Answer {
        self.http.with_key(what).get("/agents").await
    }

    async fn message(&self, what: &str) -> (u16, String) {
        let answer = self.ask(what).await;
        (answer.status, answer.body["message"].as_str().unwrap_or_default().to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_function_is_used_again_and_one_that_is_busy_gets_company() {
    let site = site().await;
    let first = site.ask("answers").await;
    assert_eq!((first.status, first.header("x-a")), (201, Some("1")));
    assert_eq!(site.ask("answers").await.body, first.body);
    assert_eq!(site.fleet.started("agents-list"), 1);
    let (one, other) = tokio::join!(site.ask("dawdles"), site.ask("dawdles"));
    assert_ne!(one.body, other.body, "one event at a time for each process");
    assert_eq!(site.fleet.started("agents-list"), 2);
    site.fleet.forget("agents-list").await;
    assert_ne!(site.ask("answers").await.body, first.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_answer_becomes_the_gateways_own() {
    let site = site().await;
    let broken = (500, "Internal Server Error".to_owned());
    for what in ["babbles", "fails", "dies"] {
        assert_eq!(site.message(what).await, broken, "{what}");
        assert_eq!(site.ask("answers").await.status, 201, "after one that {what}");
    }
    let asked = Instant::now();
    assert_eq!(site.message("hangs").await, broken);
    assert!(asked.elapsed() < Duration::from_secs(4), "a function ends when its time is over");
}

#[test]
fn requests_go_where_the_template_sends_them() {
    let found = |method: &str, path: &str| route(method, path).expect("there is a default route");
    let expected = [
        ("GET", "/api/v1/agents", "GET /api/v1/agents", "agents-list"),
        ("POST", "/api/v1/agents", "POST /api/v1/agents", "agents-create"),
        ("GET", "/api/v1/agents/a", "GET /api/v1/agents/{agentId}", "agents-get"),
        ("GET", "/healthz", "GET /healthz", "integrations-catalog"),
        ("GET", "/openapi.json", "GET /openapi.json", "integrations-catalog"),
        ("GET", "/errors/not_found", "GET /errors/{code}", "integrations-catalog"),
        // A function that streams is not behind the gateway.
        ("GET", "/api/v1/events/stream", "$default", "integrations-catalog"),
        ("GET", "/api/v1/agents/", "$default", "integrations-catalog"),
        ("PUT", "/api/v1/agents", "$default", "integrations-catalog"),
        ("GET", "/agents", "$default", "integrations-catalog"),
    ];
    for (method, path, key, function) in expected {
        let route = found(method, path);
        assert_eq!((route.key, route.function), (key, function), "{method} {path}");
    }
    let parameters = [("kind".to_owned(), "x y".to_owned()), ("id".to_owned(), "1".to_owned())].into();
    let key = "GET /api/v1/integrations/{kind}/discoveries/{id}";
    let discovery = Route { key, function: "integrations-discovery", parameters };
    assert_eq!(found("GET", "/api/v1/integrations/x%20y/discoveries/1"), discovery);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_route_fits_goes_to_the_function_of_the_default_route() {
    let site = site().await;
    assert_eq!(site.http.with_key("answers").get("/nothing").await.status, 201);
    let started = ["agents-list", "integrations-catalog"].map(|name| site.fleet.started(name));
    assert_eq!(started, [0, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_answer_has_its_head_and_all_of_its_body() {
    let site = site().await;
    let answer = site.ask("streams").await;
    assert_eq!((answer.status, answer.header("x-a")), (200, Some("1")));
    assert_eq!(answer.body, "first second");
    assert_eq!(site.ask("answers").await.status, 201, "and the process is used again");
    assert_eq!(site.fleet.started("agents-list"), 1);
}
