//! The protocol's own judges: its conformance suite and its Inspector, as `scripts/mcp_tools.sh` installs them.

use super::{WITH_HANDSHAKE, WITHOUT, desk};
use crate::desk::Desk;
use axum::body::Body;
use events::IntegrationKind;
use functions::router::router;
use functions::{endpoints, server};
use http::Request;
use infra::emulators::tool;
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;

/// Longer than any of them takes on a busy machine.
const OVERDUE: Duration = Duration::from_secs(240);

/// What a program printed, and whether it was content.
struct Verdict {
    went_well: bool,
    out: String,
    err: String,
}

async fn judge(program: &str, arguments: &[&str]) -> Verdict {
    let packages = tool("mcp/node_modules/@modelcontextprotocol");
    let home = TempDir::new().expect("a temporary folder");
    let run = Command::new(tool("mcp/node"))
        .arg(packages.join(program))
        .args(arguments)
        .current_dir(home.path())
        // They keep what they like to remember there.
        .env("HOME", home.path())
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(OVERDUE, run).await.expect("it ends").expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Verdict { went_well: output.status.success(), out: text(output.stdout), err: text(output.stderr) }
}

/// The conformance suite cannot send a key: here every request has one. The address of the agent's endpoint.
async fn with_the_key_sent(desk: &Desk) -> String {
    let authorization = format!("Bearer {}", desk.site.http.key).parse::<http::HeaderValue>();
    let authorization = authorization.expect("a header");
    let services = desk.site.services.clone();
    let router = router(services.clone(), endpoints::ALL);
    let keyed = move |mut request: Request<Body>| {
        let router = router.clone();
        request.headers_mut().insert("authorization", authorization.clone());
        async move { router.answer(request).await.0 }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(server::serve_by(keyed, services, listener, std::future::pending::<()>()));
    format!("http://localhost:{}/api/v1/agents/{}/mcp", address.port(), desk.agent)
}

async fn conforms(revision: &str) {
    let desk = desk(IntegrationKind::Postgres).await;
    desk.publish().await;
    let url = with_the_key_sent(&desk).await;
    let known = concat!(env!("CARGO_MANIFEST_DIR"), "/src/mcp/not_applicable.yaml");
    let results = TempDir::new().expect("a temporary folder");
    let results = results.path().to_str().expect("UTF-8");
    let verdict = judge(
        "conformance/dist/index.js",
        &[
            "server",
            "--url",
            &url,
            "--suite",
            "all",
            "--spec-version",
            revision,
            "--expected-failures",
            known,
            "--output-dir",
            results,
        ],
    )
    .await;
    let (_, summary) = verdict.out.split_once("=== SUMMARY ===").unwrap_or(("", &verdict.out));
    assert!(verdict.went_well, "{summary}\n{}", verdict.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_conformance_suite_finds_nothing_amiss_with_a_handshake() {
    conforms(WITH_HANDSHAKE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_conformance_suite_finds_nothing_amiss_without_a_handshake() {
    conforms(WITHOUT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inspector_lists_and_calls_tools_and_finds_their_schemas_portable() {
    let desk = desk(IntegrationKind::Postgres).await;
    desk.publish().await;
    let url = format!("{}/api/v1/agents/{}/mcp", desk.site.http.url, desk.agent);
    let key = format!("Authorization: Bearer {}", desk.site.http.key);
    let inspect = async |arguments: &[&str]| {
        let all = [&["--cli", &url, "--transport", "http", "--header", &key], arguments].concat();
        let verdict = judge("inspector/clients/launcher/build/index.js", &all).await;
        assert!(verdict.went_well, "{arguments:?}: {}\n{}", verdict.out, verdict.err);
        serde_json::from_str::<Value>(&verdict.out).unwrap_or_else(|_| panic!("not JSON: {}", verdict.out))
    };
    let listed = inspect(&["--method", "tools/list", "--strict"]).await;
    assert_eq!(listed["tools"].as_array().map(Vec::len), Some(3), "{listed}");
    let called =
        inspect(&["--method", "tools/call", "--tool-name", "find_guest", "--tool-arg", "number=2"]).await;
    assert_eq!(called["structuredContent"]["rows"], json!([{ "name": "Bo" }]), "{called}");
}
