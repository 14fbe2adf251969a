//! Requests whose bodies take their time are judged on the state of when they are whole.

use super::{agent_with_read, known_phone};
use crate::engines::postgres;
use crate::http::Http;
use crate::site::Site;
use functions::key_text;
use serde_json::{Value, json};
use std::future::Future;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_key_that_is_revoked_while_the_body_arrives_changes_nothing() {
    let site = Site::start().await;
    let slow = site.http_as("default", &["agents:write", "agents:read"]).await;
    let revoke = async {
        let id = key_text::parse(&slow.key).expect("a key").key_id.to_owned();
        site.http.delete(&format!("/keys/{id}")).await.data();
    };
    let (status, body) = in_halves(&slow, "/agents", &json!({ "name": "Front desk" }), revoke).await;
    assert_eq!((status, &body["code"]), (401, &json!("invalid_api_key")), "{body}");
    assert_eq!(site.http.get("/agents").await.data(), &json!([]));
}

#[tokio::test]
async fn a_skill_that_is_blocked_while_the_body_arrives_does_not_run() {
    let (site, engine) = (Site::start().await, postgres());
    site.connect(&site.http, engine, &engine.clinic()).await;
    let (agent, _) = agent_with_read(&site, engine).await;
    let path = format!("/agents/{agent}/skills/find_patient/call");
    let (status, body) = in_halves(&site.http, &path, &known_phone(), async {}).await;
    assert_eq!((status, &body["data"]["outcome"]), (200, &json!("ok")), "{body}");
    let block = async {
        let blocked = json!({ "blockedColumns": { "patients": ["full_name"] } });
        site.http.patch("/integrations/postgres/scoping", blocked).await.data();
    };
    let (status, body) = in_halves(&site.http, &path, &known_phone(), block).await;
    assert_eq!((status, &body["data"]["code"]), (200, &json!("skill_quarantined")), "{body}");
    assert_eq!(body["data"]["outcome"], "refused");
    assert_eq!(body["data"]["rows"], json!([]));
}

/// Posts a body in two halves, with something done between them. The server has judged the request's head by then:
/// it asks for the body with 100 Continue, and only afterwards.
#[allow(clippy::disallowed_methods)] // a test's own socket, to the server under test
async fn in_halves(
    http: &Http,
    path: &str,
    body: &Value,
    meanwhile: impl Future<Output = ()>,
) -> (u16, Value) {
    let address = http.url.strip_prefix("http://").expect("plain HTTP");
    let mut socket = TcpStream::connect(address).await.expect("the server listens");
    let body = body.to_string();
    let head = format!(
        "POST /api/v1{path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\
         connection: close\r\n\r\n",
        http.key,
        body.len()
    );
    socket.write_all(head.as_bytes()).await.expect("it is taken");
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        asked.push(socket.read_u8().await.expect("an interim answer"));
    }
    assert!(asked.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&asked));
    let (first, second) = body.split_at(body.len() / 2);
    socket.write_all(first.as_bytes()).await.expect("it is taken");
    meanwhile.await;
    socket.write_all(second.as_bytes()).await.expect("it is taken");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, serde_json::from_str(body).unwrap_or_else(|_| panic!("not JSON: {body}")))
}
