//! Ids for the matrix: whose they are, and requests that use them.

use crate::engines::postgres;
use crate::http::Http;
use crate::site::Site;
use functions::endpoint::Endpoint;
use functions::{key_text, random};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The ids of one organization's things.
#[derive(Clone)]
pub struct World {
    ids: BTreeMap<&'static str, String>,
}

impl World {
    /// Well-formed and never given to anything.
    pub fn of_ids_nobody_has() -> Self {
        let ids = BTreeMap::from([
            ("agent", random::agent_id().to_string()),
            ("skill", random::skill_id().to_string()),
            ("version", random::version_id().to_string()),
            ("key", random::key_id().to_string()),
            ("discovery", format!("dsc_{}", random::base62(20))),
            ("subscription", random::subscription_id().to_string()),
            ("delivery", random::attempt_id()),
            ("call", random::call_id(functions::clock::now())),
        ]);
        Self { ids }
    }

    /// One thing of each kind in this key's organization.
    pub async fn of(site: &Site, http: &Http) -> Self {
        let engine = postgres();
        let owner = engine.owner(&engine.clinic());
        let credentials = json!({ "credentials": {
            "host": owner.host, "port": owner.port, "database": owner.database, "user": owner.user,
            "password": owner.password.expose(), "sslmode": "verify-full", "ca_pem": owner.ca_pem,
        }});
        http.post("/integrations/postgres/connect", credentials).await.data();
        let discovery = discover(http).await;
        let agent = site.agent(http).await;
        let skill = site.bind(http, &agent, engine, binding()).await;
        let published = http.post(&format!("/agents/{agent}/publish"), json!({})).await;
        let call = called(http, &agent).await;
        let (subscription, delivery) = subscribe(http).await;
        let ids = BTreeMap::from([
            ("subscription", subscription),
            ("delivery", delivery),
            ("call", call),
            ("agent", agent),
            ("skill", text(&skill["id"])),
            ("version", text(&published.data()["id"])),
            ("key", key_text::parse(&http.key).expect("a key").key_id.to_owned()),
            ("discovery", discovery),
        ]);
        Self { ids }
    }

    pub fn ids(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.ids.iter().map(|(kind, id)| (*kind, id.as_str()))
    }

    pub fn id(&self, kind: &str) -> &str {
        &self.ids[kind]
    }

    /// This world but for one kind of thing, which is another's.
    pub fn with(&self, kind: &'static str, other: &World) -> Self {
        let mut ids = self.ids.clone();
        ids.insert(kind, other.id(kind).to_owned());
        Self { ids }
    }

    /// The endpoint's path in this world, and a query that it takes.
    pub fn own_path(&self, endpoint: &Endpoint) -> String {
        let mut path = endpoint.path.replace("{kind}", "postgres");
        for (parameter, kind) in parameters(endpoint) {
            path = path.replace(&format!("{{{parameter}}}"), self.id(kind));
        }
        let required = endpoint.query.iter().filter(|parameter| parameter.required);
        let query: Vec<String> = required
            .map(|parameter| match parameter.name {
                "from" => "from=0".to_owned(),
                name => format!("{name}=patients"),
            })
            .collect();
        if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
    }

    /// A body that the endpoint takes.
    ///
    /// # Panics
    /// When nobody wrote one down for this endpoint.
    pub fn body_of(&self, endpoint: &Endpoint, version: Option<&str>) -> Value {
        let refused = json!({ "credentials": {
            "host": "127.0.0.1", "port": 1, "database": "a", "user": "a", "password": "a", "sslmode": "require",
        }});
        match endpoint.name {
            "integrations-test" | "integrations-connect" => refused,
            "integrations-scoping-patch" | "skills-patch" | "agents-publish" | "keys-rotate" => json!({}),
            "agents-create" => json!({ "name": "Front desk" }),
            "agents-rollback" => json!({ "versionId": version.unwrap_or(self.id("version")) }),
            "skills-bind" => binding(),
            "skills-auto" => json!({ "goal": "find a patient by phone" }),
            "skills-test" | "skills-call" => json!({ "arguments": { "phone": "+12025550142" } }),
            "calls-settle" => json!({ "happened": true }),
            "mcp-answer" => json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }),
            "subscriptions-create" => json!({ "url": NOBODY }),
            "keys-rename" => json!({ "name": null }),
            "keys-mint" => json!({ "name": "new", "scopes": ["keys:write"] }),
            other => panic!("tell the authorization matrix which body {other} takes"),
        }
    }
}

/// The endpoint's path parameters with the kind of thing that each names.
///
/// # Panics
/// When nobody wrote down what a parameter names.
pub fn parameters(endpoint: &Endpoint) -> Vec<(&'static str, &'static str)> {
    let parts = endpoint.path.split('/');
    let names = parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let names = names.filter(|name| *name != "kind");
    names
        .map(|name| match (name, endpoint.name) {
            ("agentId", _) => (name, "agent"),
            ("skillId" | "skill", _) => (name, "skill"),
            ("versionId", _) => (name, "version"),
            ("id", "keys-rename" | "keys-rotate" | "keys-revoke") => (name, "key"),
            ("id", _) if endpoint.name.starts_with("subscriptions-") => (name, "subscription"),
            ("deliveryId", _) => (name, "delivery"),
            ("callRecordId", _) => (name, "call"),
            ("id", "integrations-discovery") => (name, "discovery"),
            (name, endpoint) => panic!("tell the authorization matrix what {{{name}}} of {endpoint} is"),
        })
        .collect()
}

/// A webhook's address where nobody listens.
const NOBODY: &str = "http://127.0.0.1:1/hook";

/// The record of a live call.
async fn called(http: &Http, agent: &str) -> String {
    let call = json!({ "arguments": { "phone": "+12025550142" } });
    http.post(&format!("/agents/{agent}/skills/find_patient/call"), call).await.data();
    text(&http.get(&format!("/agents/{agent}/calls")).await.data()[0]["id"])
}

/// A subscription and an attempt to deliver an event of this organization.
async fn subscribe(http: &Http) -> (String, String) {
    let created = http.post("/subscriptions", json!({ "url": NOBODY, "from": 0 })).await;
    let id = text(&created.data()["id"]);
    loop {
        let attempts = http.get(&format!("/subscriptions/{id}/deliveries")).await;
        if let Some(attempt) = attempts.data().as_array().and_then(|attempts| attempts.first()) {
            return (id, text(&attempt["id"]));
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Discovers behind a 202 and returns the discovery's id.
async fn discover(http: &Http) -> String {
    let started = http.post("/integrations/postgres/discover", json!({})).await;
    assert_eq!(started.status, 202, "the server must be set to answer at once: {}", started.text);
    let id = text(&started.data()["discoveryId"]);
    loop {
        let polled = http.get(&format!("/integrations/postgres/discoveries/{id}")).await;
        match polled.data()["status"].as_str() {
            Some("finished") => return id,
            Some("running") => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            _ => panic!("{}", polled.text),
        }
    }
}

pub fn binding() -> Value {
    json!({
        "toolName": "find_patient",
        "operation": "patients.read",
        "inputs": [{ "param": "phone", "arg": "phone" }],
        "projection": [{ "path": ["patients", "full_name"], "leaf": "name" }],
    })
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("text, not {value}")).to_owned()
}
