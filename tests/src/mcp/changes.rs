//! `notifications/tools/list_changed`, on the stream of each revision.

use super::{Client, WITH_HANDSHAKE, WITHOUT, desk};
use crate::desk::Desk;
use events::IntegrationKind;
use serde_json::{Value, json};
use std::time::Duration;

const OVERDUE: Duration = Duration::from_secs(20);

/// Messages of a stream of server-sent events.
struct Messages {
    response: reqwest::Response,
    text: String,
}

impl Messages {
    async fn open(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &"text/event-stream".parse().expect("a value"))
        );
        Self { response, text: String::new() }
    }

    /// The next one that says something.
    async fn next(&mut self) -> Value {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                let data = block.lines().find_map(|line| line.strip_prefix("data:")).map(str::trim);
                if let Some(data) = data.filter(|data| !data.is_empty()) {
                    return serde_json::from_str(data).expect("JSON");
                }
            }
            let chunk = tokio::time::timeout(OVERDUE, self.response.chunk()).await.expect("something comes");
            let chunk = chunk.expect("it is not cut").expect("it goes on");
            self.text.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        }
    }
}

async fn change_nothing_of_the_tools(desk: &Desk) {
    desk.site.http.post("/agents", json!({ "name": "Another" })).await.data();
}

async fn tells_of_a_publish_and_of_a_block(mut messages: Messages, desk: &Desk) {
    let changed = "notifications/tools/list_changed";
    change_nothing_of_the_tools(desk).await;
    desk.publish().await;
    assert_eq!(messages.next().await["method"], changed);
    change_nothing_of_the_tools(desk).await;
    let blocked = json!({ "blockedColumns": { "guests": ["note"] } });
    desk.site.http.patch("/integrations/postgres/scoping", blocked).await.data();
    assert_eq!(messages.next().await["method"], changed);
}

/// Streams that last.
async fn lasting_desk() -> Desk {
    let mut desk = desk(IntegrationKind::Postgres).await;
    desk.site = desk.site.restarted(&[("BINDERY_STREAM_ENDS_AFTER_MS", "600000")]).await;
    desk
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_without_a_handshake_is_told_that_the_tools_changed() {
    let desk = lasting_desk().await;
    let client = Client::of(&desk, WITHOUT);
    let wanted = json!({ "notifications": { "toolsListChanged": true, "promptsListChanged": true } });
    let mut messages = Messages::open(client.request("subscriptions/listen", wanted)).await;
    let agreed = messages.next().await;
    assert_eq!(agreed["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(
        agreed["params"]["notifications"],
        json!({ "toolsListChanged": true }),
        "there are no prompts"
    );
    tells_of_a_publish_and_of_a_block(messages, &desk).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_after_a_handshake_is_told_that_the_tools_changed() {
    let desk = lasting_desk().await;
    let client = Client::of(&desk, WITH_HANDSHAKE);
    let path = format!("/agents/{}/mcp", desk.agent);
    let stream = client.http.request("GET", &path).bearer_auth(&client.http.key);
    let messages = Messages::open(stream.header("Accept", "text/event-stream")).await;
    tells_of_a_publish_and_of_a_block(messages, &desk).await;
}
