//! What reviews found, each kept from coming back.

mod bounds;
pub mod broken;
mod connections;
mod discoveries;
mod elsewhere;
mod gate;
mod late;
mod pages;
mod repeats;

use crate::engines::Engine;
use crate::http::{Answer, Http};
use crate::site::Site;
use infra::databases::Credentials;
use serde_json::{Value, json};

/// The body of a connect, which tries nothing when `skip_test`.
fn connecting(to: &Credentials, skip_test: bool) -> Value {
    json!({ "skipTest": skip_test, "credentials": {
        "host": to.host, "port": to.port, "database": to.database, "user": to.user,
        "password": to.password.expose(), "sslmode": "verify-full", "ca_pem": to.ca_pem,
    }})
}

fn find_patient(name: &str) -> Value {
    json!({
        "toolName": name,
        "operation": "patients.read",
        "inputs": [{ "param": "phone", "arg": "phone" }],
        "projection": [{ "path": ["patients", "full_name"], "leaf": "name" }],
    })
}

/// The patient whom [`find_patient`] finds.
fn known_phone() -> Value {
    json!({ "arguments": { "phone": "+12025550142" } })
}

async fn publish(http: &Http, agent: &str) -> Answer {
    http.post(&format!("/agents/{agent}/publish"), json!({})).await
}

async fn call(http: &Http, agent: &str, skill: &str, body: Value) -> Answer {
    http.post(&format!("/agents/{agent}/skills/{skill}/call"), body).await
}

/// An agent with this read as its version 1, on a database that was connected and discovered.
async fn agent_with_read(site: &Site, engine: &Engine) -> (String, Value) {
    let agent = site.agent(&site.http).await;
    let skill = site.bind(&site.http, &agent, engine, find_patient("find_patient")).await;
    publish(&site.http, &agent).await.data();
    (agent, skill)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("text, not {value}")).to_owned()
}

/// How many events of this type the organization's history holds.
async fn events_of(http: &Http, name: &str) -> usize {
    let answer = http.get(&format!("/events?limit=100&types={name}")).await;
    answer.data().as_array().expect("events").len()
}
