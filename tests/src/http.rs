//! A small client of the API.

use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Clone)]
pub struct Http {
    pub url: String,
    pub key: String,
    client: reqwest::Client,
    seen: Option<Seen>,
    /// The log's position in the last answer that named one.
    position: Option<Arc<AtomicU64>>,
}

/// Every answer that a client and its clones got.
pub type Seen = Arc<Mutex<Vec<Answer>>>;

#[derive(Clone)]
pub struct Answer {
    pub method: Method,
    /// With its query.
    pub path: String,
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    /// The body as it came.
    pub text: String,
    pub body: Value,
}

impl Http {
    pub fn new(url: &str, key: &str) -> Self {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build();
        let client = client.expect("a client without TLS");
        Self { url: url.to_owned(), key: key.to_owned(), client, seen: None, position: None }
    }

    /// The same client, which reads what it wrote wherever it is served: what reads, and the live call, must be
    /// answered from no older state than the last answer it got. All requests are of one organization.
    pub fn following(&self) -> Self {
        Self { position: Some(Arc::default()), ..self.clone() }
    }

    /// The same client, which puts every answer into the list.
    pub fn recording(&self, seen: &Seen) -> Self {
        Self { seen: Some(seen.clone()), ..self.clone() }
    }

    pub fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), position: None, ..self.clone() }
    }

    /// `path` is below `/api/v1`.
    ///
    /// # Panics
    /// When the server cannot be reached, or answers with something that is not JSON.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = self.request(method, &self.positioned(method, path)).bearer_auth(&self.key);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        self.ask(request).await
    }

    /// The path with the position that the answer must not be older than, where there is one and it may be said.
    fn positioned(&self, method: &str, path: &str) -> String {
        let may_be_said = method == "GET" || path.ends_with("/call");
        match self.position.as_ref().filter(|_| may_be_said) {
            Some(position) => {
                let separator = if path.contains('?') { '&' } else { '?' };
                format!("{path}{separator}min_position={}", position.load(Ordering::SeqCst))
            }
            None => path.to_owned(),
        }
    }

    /// A request without a key, to be filled in; `path` is below `/api/v1`.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        self.client.request(method, format!("{}/api/v1{path}", self.url))
    }

    /// A GET of what sits beside the API, at an absolute address or at a path from the root.
    pub async fn beside(&self, address: &str) -> Answer {
        let address =
            if address.starts_with('/') { format!("{}{address}", self.url) } else { address.to_owned() };
        self.ask(self.client.get(address)).await
    }

    /// # Panics
    /// As [`Http::send`].
    pub async fn ask(&self, request: RequestBuilder) -> Answer {
        let request = request.build().expect("a well-formed request");
        let (method, url) = (request.method().clone(), request.url().clone());
        let path = url.query().map_or(url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let response = self.client.execute(request).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap_or_else(|error| panic!("{path}: {error}"));
        let media_type = headers.get("content-type").and_then(|value| value.to_str().ok());
        let body = match media_type {
            Some("text/event-stream") => Value::String(text.clone()),
            _ => serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path}: not JSON: {text}")),
        };
        let answer = Answer { method, path, status, headers, text, body };
        if let Some(known) = &self.position {
            let named = answer.header("x-bindery-position").and_then(|position| position.parse().ok());
            known.fetch_max(named.unwrap_or_default(), Ordering::SeqCst);
        }
        if let Some(seen) = &self.seen {
            seen.lock().expect("not poisoned").push(answer.clone());
        }
        answer
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None, &[]).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, Some(&body), &[]).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send("PATCH", path, Some(&body), &[]).await
    }

    /// With an `Idempotency-Key`.
    pub async fn post_once(&self, path: &str, body: Value, key: &str) -> Answer {
        self.send("POST", path, Some(&body), &[("Idempotency-Key", key)]).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None, &[]).await
    }
}

impl Answer {
    /// The data of a success.
    ///
    /// # Panics
    /// When it is none.
    pub fn data(&self) -> &Value {
        assert!(self.body["success"] == true, "status {}: {}", self.status, self.body);
        &self.body["data"]
    }

    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The code of a refusal with this status.
    ///
    /// # Panics
    /// When the status is another.
    pub fn refusal(&self, status: u16) -> &str {
        assert_eq!(self.status, status, "{} {}: {}", self.method, self.path, self.text);
        self.code()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
