//! What the platform says of who calls: their number, their identity, and how often they may guess.

mod guessing;
mod identity;
mod phones;

use crate::desk::Desk;
use events::IntegrationKind;
use serde_json::{Value, json};

const SQL: &str =
    "CREATE TABLE guests (id int PRIMARY KEY, full_name varchar(80) NOT NULL, phone varchar(20), note varchar(80));
     CREATE INDEX guests_phone ON guests (phone);
     CREATE TABLE messages (id int PRIMARY KEY, body varchar(80) NOT NULL, sender varchar(20));
     INSERT INTO guests VALUES (1, 'Ada', '+493012345678', 'quiet'), (2, 'Bo', '+12025550199', 'late')";

async fn desk(kind: IntegrationKind) -> Desk {
    with_skills(Desk::open(kind, SQL).await).await
}

/// An agent that finds guests by number and by who calls, changes their notes, and takes messages in a caller's name.
async fn with_skills(desk: Desk) -> Desk {
    let name = json!([{ "path": ["guests", "full_name"], "leaf": "name" }]);
    let own_phone = json!({ "param": "caller_phone", "arg": "phone", "source": "caller" });
    for skill in [
        json!({
            "toolName": "find_guest", "operation": "guests.read", "projection": name,
            "inputs": [{ "param": "number", "arg": "id" }],
        }),
        json!({
            "toolName": "find_by_phone", "operation": "guests.read", "projection": name,
            "inputs": [{ "param": "phone", "arg": "phone" }],
        }),
        json!({
            "toolName": "who_calls", "operation": "guests.read", "projection": name, "inputs": [own_phone],
        }),
        json!({
            "toolName": "change_note", "operation": "guests.update", "keyColumn": "id", "keyParam": "number",
            "inputs": [{ "param": "note", "arg": "note" }],
        }),
        json!({
            "toolName": "leave_message", "operation": "messages.insert",
            "inputs": [
                { "param": "number", "arg": "id" },
                { "param": "body", "arg": "body" },
                { "param": "caller_phone", "arg": "sender", "source": "caller" },
            ],
        }),
    ] {
        desk.bind(skill).await;
    }
    desk.publish().await;
    desk
}

impl Desk {
    /// A call with what the platform knows of it.
    async fn call_in(&self, tool: &str, arguments: Value, context: Value) -> Value {
        let body = json!({ "arguments": arguments, "context": context });
        self.send(tool, body, &[]).await.data().clone()
    }
}
