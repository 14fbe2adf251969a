//! `POST` and `GET /agents/{agentId}/mcp`: what clients of the Model Context Protocol meet, in both of its lives.

mod calls;
mod changes;
#[cfg(feature = "aws")]
mod judges;

use crate::desk::Desk;
use crate::http::Http;
use events::IntegrationKind;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

const SQL: &str =
    "CREATE TABLE guests (id int PRIMARY KEY, full_name varchar(80) NOT NULL, phone varchar(20),
    note varchar(80));
    CREATE INDEX guests_phone ON guests (phone);
    INSERT INTO guests VALUES (1, 'Ada', '+12025550142', 'quiet'), (2, 'Bo', '+12025550199', 'late')";

/// Revisions with a handshake and without.
const WITH_HANDSHAKE: &str = "2025-11-25";
const WITHOUT: &str = "2026-07-28";

/// A client of one agent, which speaks one revision.
struct Client {
    http: Http,
    agent: String,
    revision: &'static str,
}

struct Told {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Told {
    fn result(&self) -> &Value {
        assert!(self.body["error"].is_null() && self.status == 200, "{}: {}", self.status, self.body);
        &self.body["result"]
    }
}

impl Client {
    fn of(desk: &Desk, revision: &'static str) -> Self {
        Self { http: desk.site.http.clone(), agent: desk.agent.clone(), revision }
    }

    /// A request as this revision has it, to be sent or changed before.
    fn request(&self, method: &str, mut params: Value) -> reqwest::RequestBuilder {
        let name = params["name"].as_str().map(str::to_owned);
        let mut request = self
            .http
            .request("POST", &format!("/agents/{}/mcp", self.agent))
            .bearer_auth(&self.http.key)
            .header("Accept", "application/json, text/event-stream");
        if method != "initialize" {
            request = request.header("MCP-Protocol-Version", self.revision);
        }
        if self.revision == WITHOUT {
            request = request.header("Mcp-Method", method);
            if let Some(name) = name {
                request = request.header("Mcp-Name", name);
            }
            let own = json!({ "name": "a test", "version": "1" });
            params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(self.revision);
            params["_meta"]["io.modelcontextprotocol/clientInfo"] = own;
            params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
        }
        request.json(&json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }))
    }

    async fn ask(&self, method: &str, params: Value) -> Told {
        told(self.request(method, params)).await
    }

    async fn call(&self, tool: &str, arguments: Value, meta: Value) -> Told {
        self.ask("tools/call", json!({ "name": tool, "arguments": arguments, "_meta": meta })).await
    }
}

async fn told(request: reqwest::RequestBuilder) -> Told {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.expect("a body");
    let body = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status} is not JSON: {text}"))
    };
    Told { status, headers, body }
}

/// A desk with a read, a write that asks for a yes, and a read by who calls; not published.
async fn desk(kind: IntegrationKind) -> Desk {
    let desk = Desk::open(kind, SQL).await;
    let name = json!([{ "path": ["guests", "full_name"], "leaf": "name" }]);
    desk.bind(json!({
        "toolName": "find guest", "operation": "guests.read", "description": "Looks a guest up by number.",
        "inputs": [{ "param": "number", "arg": "id" }], "projection": name,
    }))
    .await;
    desk.bind(json!({
        "toolName": "who_calls", "operation": "guests.read", "description": "Says who is calling.",
        "inputs": [{ "param": "caller_phone", "arg": "phone", "source": "caller" }], "projection": name,
    }))
    .await;
    let noted = desk
        .bind(json!({
            "toolName": "note", "operation": "guests.update", "description": "Changes a guest's note.",
            "keyColumn": "id", "keyParam": "number", "inputs": [{ "param": "text", "arg": "note" }],
        }))
        .await;
    let path = format!("/agents/{}/skills/{}", desk.agent, noted["id"].as_str().expect("an id"));
    desk.site.http.patch(&path, json!({ "requiresConfirmation": true })).await.data();
    desk
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_a_handshake_is_told_what_there_is_and_keeps_no_session() {
    let desk = desk(IntegrationKind::Postgres).await;
    let client = Client::of(&desk, WITH_HANDSHAKE);
    let hello = json!({
        "protocolVersion": WITH_HANDSHAKE, "capabilities": {}, "clientInfo": { "name": "a test", "version": "1" },
    });
    let told_once = client.ask("initialize", hello.clone()).await;
    let result = told_once.result();
    assert_eq!(
        (&result["protocolVersion"], &result["serverInfo"]["name"]),
        (&json!(WITH_HANDSHAKE), &json!("bindery"))
    );
    assert_eq!(result["capabilities"], json!({ "tools": { "listChanged": true } }), "and nothing else");
    assert!(told_once.headers.get("mcp-session-id").is_none(), "any process answers what comes next");
    let initialized = client
        .http
        .request("POST", &format!("/agents/{}/mcp", desk.agent))
        .bearer_auth(&client.http.key)
        .header("Accept", "application/json, text/event-stream")
        .json(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    let told_of = told(initialized).await;
    assert_eq!((told_of.status, told_of.body), (202, Value::Null));
    assert_eq!(client.ask("ping", json!({})).await.result(), &json!({}));
    assert_eq!(
        client.ask("tools/list", json!({})).await.result()["tools"],
        json!([]),
        "nothing is published"
    );
    let older = Client { revision: "2025-06-18", ..Client::of(&desk, WITH_HANDSHAKE) };
    let mut hello = hello;
    hello["protocolVersion"] = json!(older.revision);
    assert_eq!(older.ask("initialize", hello).await.result()["protocolVersion"], older.revision);
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_are_the_published_skills_and_their_list_is_nobody_elses() {
    let desk = desk(IntegrationKind::Postgres).await;
    desk.publish().await;
    let listed = Client::of(&desk, WITHOUT).ask("tools/list", json!({})).await;
    let result = listed.result();
    assert_eq!((&result["cacheScope"], &result["ttlMs"]), (&json!("private"), &json!(60_000)));
    assert_eq!(listed.headers["cache-control"], "private, no-store");
    let path = format!("/agents/{}/tools?format=mcp", desk.agent);
    let told = desk.site.http.get(&path).await.data().clone();
    let told = told["tools"].as_array().expect("a list");
    let tools = result["tools"].as_array().expect("a list");
    assert_eq!(tools.len(), 3);
    for (tool, told) in tools.iter().zip(told) {
        assert_eq!(tool["_meta"]["bindery/digest"], told["digest"]);
        let mut tool = tool.clone();
        tool.as_object_mut().expect("a tool").remove("_meta");
        assert_eq!(tool, told["definition"], "both ways to ask give the same");
    }
    let with = Client::of(&desk, WITH_HANDSHAKE).ask("tools/list", json!({})).await;
    assert_eq!(with.result()["tools"], result["tools"], "and so do both revisions");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_of_a_client_with_a_key_is_refused() {
    let desk = desk(IntegrationKind::Postgres).await;
    desk.publish().await;
    let client = Client::of(&desk, WITH_HANDSHAKE);
    let list = || client.request("tools/list", json!({}));
    let of_a_page = told(list().header("Origin", "https://attacker.example")).await;
    assert_eq!(of_a_page.status, 403, "a page in a browser has no business here: {}", of_a_page.body);
    let elsewhere = told(list().header("Host", "bindery.example.com")).await;
    assert_eq!(elsewhere.status, 200, "a server has the names that its operator gives it");
    let of_this_machine = told(list().header("Origin", "http://localhost:6274")).await;
    assert_eq!(of_this_machine.status, 200, "the Inspector is such a page: {}", of_this_machine.body);
    let ancient = Client { revision: "1999-01-01", ..Client::of(&desk, WITH_HANDSHAKE) };
    let ancient = ancient.ask("tools/list", json!({})).await;
    assert_eq!((ancient.status, &ancient.body["jsonrpc"]), (400, &json!("2.0")));
    let path = format!("/agents/{}/mcp", desk.agent);
    let post = || client.http.request("POST", &path).bearer_auth(&client.http.key);
    let blind = told(post().header("Accept", "text/html").json(&json!({}))).await;
    assert_eq!((blind.status, &blind.body["jsonrpc"]), (406, &json!("2.0")));
    let broken = post().header("Accept", "application/json, text/event-stream");
    let broken = told(broken.header("Content-Type", "application/json").body("{")).await;
    assert!((400..500).contains(&broken.status), "{}: {}", broken.status, broken.body);
    let unknown = client.ask("prompts/list", json!({})).await;
    assert_eq!(unknown.body["error"]["code"], -32601, "{}", unknown.body);
    let nobody = Client { agent: "agt_nobody".to_owned(), ..Client::of(&desk, WITH_HANDSHAKE) };
    let nobody = nobody.ask("tools/list", json!({})).await;
    assert_eq!((nobody.status, &nobody.body["code"]), (404, &json!("not_found")));
}
