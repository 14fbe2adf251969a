//! A service of OpenAI's kind that answers as a test says, and keeps what it was sent.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// The operator's key. It is for the service's eyes only.
pub const KEY: &str = "sk-canary-of-the-operator";

/// How one request is answered.
pub enum Said {
    /// A completion whose message is this text.
    Text(String),
    Status(u16),
    /// A whole body.
    Raw(String),
    /// Not at all.
    Silence,
}

impl Said {
    pub fn json(answer: &Value) -> Self {
        Said::Text(answer.to_string())
    }
}

type Script = Box<dyn Fn(usize) -> Said + Send + Sync>;

pub struct Stub {
    url: String,
    shared: Arc<Shared>,
}

struct Shared {
    script: Script,
    asked: Mutex<Vec<String>>,
}

impl Stub {
    /// The script is told how many requests came before.
    pub async fn start(script: impl Fn(usize) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/v1", listener.local_addr().expect("it is bound"));
        let shared = Arc::new(Shared { script: Box::new(script), asked: Mutex::default() });
        let app = Router::new().route("/v1/chat/completions", post(answer)).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, shared }
    }

    /// A server's environment in which it is asked.
    pub fn variables(&self) -> Vec<(&str, &str)> {
        vec![
            ("BINDERY_ASSISTANT", "openai"),
            ("BINDERY_ASSISTANT_URL", &self.url),
            ("BINDERY_ASSISTANT_MODEL", "a-model"),
            ("BINDERY_ASSISTANT_KEY", KEY),
        ]
    }

    /// The bodies that it was sent, as they came.
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().expect("not poisoned").clone()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, headers: http::HeaderMap, body: Bytes) -> Response {
    assert_eq!(headers["authorization"], format!("Bearer {KEY}"));
    let number = {
        let mut asked = shared.asked.lock().expect("not poisoned");
        asked.push(String::from_utf8(body.to_vec()).expect("text"));
        asked.len() - 1
    };
    let (status, body) = match (shared.script)(number) {
        Said::Text(text) => {
            let message = json!({ "role": "assistant", "content": text, "refusal": null });
            let choice = json!({ "index": 0, "message": message, "finish_reason": "stop" });
            (200, json!({ "id": "chatcmpl-1", "choices": [choice] }).to_string())
        }
        Said::Status(status) => (status, json!({ "error": { "message": "as the test says" } }).to_string()),
        Said::Raw(body) => (200, body),
        Said::Silence => std::future::pending().await,
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status.try_into().expect("a status");
    response
}
