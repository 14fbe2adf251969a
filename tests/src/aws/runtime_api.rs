//! The Lambda Runtime API, as one running function sees it: it asks for the next event, and posts what became of it.
//!
//! AWS's own runtime interface emulator is not used here: an invocation that overlaps another one ends it with a
//! panic, it needs two ports chosen beforehand, and it hides the function's process, which tests kill. What starts
//! and times functions for measurements (`bench_cold`) does use it.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// An answer of more than this is refused, unless it is streamed.
const ANSWER_BYTES: usize = 6 * 1024 * 1024;

const EXTENSION: &str = "0fd54a3c-8f3b-4a57-9d4c-5f2b3a1e7c11";

pub struct Invocation {
    /// A UUID.
    pub request_id: String,
    pub event: Bytes,
    /// How long the function may take.
    pub timeout: Duration,
    pub outcome: oneshot::Sender<Outcome>,
}

/// What a function posted for an event.
pub enum Outcome {
    Answered(Bytes),
    /// As it is made: JSON with status and headers, eight zero bytes, and the body.
    Streaming(mpsc::Receiver<Bytes>),
    /// What the runtime says of an error that the handler gave back.
    Failed(Value),
}

/// How far the function's start came.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    Starting,
    /// It asked for its first event.
    Ready,
    Failed(Value),
}

pub struct RuntimeApi {
    pub address: SocketAddr,
    pub phase: watch::Receiver<Phase>,
    invocations: mpsc::UnboundedSender<Invocation>,
    serving: JoinHandle<()>,
}

struct Shared {
    waiting: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    running: Mutex<HashMap<String, oneshot::Sender<Outcome>>>,
    phase: watch::Sender<Phase>,
    arn: String,
    extension: Extension,
}

/// What the process does once its answer has left: it is not given another event before it asks for one here too.
struct Extension {
    is_registered: AtomicBool,
    /// A permit while it waits for an event.
    idle: Semaphore,
    invoked: mpsc::UnboundedSender<()>,
    events: tokio::sync::Mutex<mpsc::UnboundedReceiver<()>>,
}

impl Extension {
    fn new() -> Self {
        let (invoked, events) = mpsc::unbounded_channel();
        let (is_registered, events) = (AtomicBool::new(false), tokio::sync::Mutex::new(events));
        Self { is_registered, idle: Semaphore::new(0), invoked, events }
    }

    async fn hears_of_an_invocation(&self) {
        if self.is_registered.load(Ordering::Acquire) {
            self.idle.acquire().await.expect("it is never closed").forget();
            let _ = self.invoked.send(());
        }
    }
}

impl RuntimeApi {
    /// For one process of the function.
    pub async fn serve(function: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (invocations, waiting) = mpsc::unbounded_channel();
        let (phase, seen) = watch::channel(Phase::Starting);
        let shared = Arc::new(Shared {
            waiting: tokio::sync::Mutex::new(waiting),
            running: Mutex::default(),
            phase,
            arn: format!("arn:aws:lambda:eu-central-1:123456789012:function:{function}"),
            extension: Extension::new(),
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .route("/2020-01-01/extension/register", post(register))
            .route("/2020-01-01/extension/event/next", get(next_of_extension))
            .with_state(shared);
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("a listener that is open");
        });
        Self { address, phase: seen, invocations, serving }
    }

    /// Hands the event to the process as soon as it asks for one.
    pub fn invoke(&self, invocation: Invocation) {
        // A process that is gone drops the invocation, and with it the outcome's sender.
        let _ = self.invocations.send(invocation);
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    shared.phase.send_replace(Phase::Ready);
    let Some(invocation) = shared.waiting.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    shared.extension.hears_of_an_invocation().await;
    let Invocation { request_id, event, timeout, outcome } = invocation;
    let deadline = (SystemTime::now() + timeout).duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    let trace = format!("Root=1-{:08x}-{}", deadline / 1000, &request_id.replace('-', "")[..24]);
    let answer = Response::builder()
        .header("Content-Type", "application/json")
        .header("Lambda-Runtime-Aws-Request-Id", &request_id)
        .header("Lambda-Runtime-Deadline-Ms", deadline.to_string())
        .header("Lambda-Runtime-Invoked-Function-Arn", &shared.arn)
        .header("Lambda-Runtime-Trace-Id", trace)
        .body(Body::from(event))
        .expect("well-formed headers");
    shared.running.lock().expect("not poisoned").insert(request_id, outcome);
    answer
}

async fn register(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if !headers.contains_key("lambda-extension-name") {
        return StatusCode::BAD_REQUEST.into_response();
    }
    shared.extension.is_registered.store(true, Ordering::Release);
    ([("lambda-extension-identifier", EXTENSION)], "{}").into_response()
}

async fn next_of_extension(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if headers.get("lambda-extension-identifier").is_none_or(|id| id.as_bytes() != EXTENSION.as_bytes()) {
        return StatusCode::FORBIDDEN.into_response();
    }
    shared.extension.idle.add_permits(1);
    match shared.extension.events.lock().await.recv().await {
        Some(()) => r#"{"eventType":"INVOKE"}"#.into_response(),
        None => StatusCode::GONE.into_response(),
    }
}

impl Shared {
    fn outcome_of(&self, id: &str) -> Option<oneshot::Sender<Outcome>> {
        self.running.lock().expect("not poisoned").remove(id)
    }
}

async fn response(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> StatusCode {
    let Some(outcome) = shared.outcome_of(&id) else { return StatusCode::BAD_REQUEST };
    let mode = headers.get("lambda-runtime-function-response-mode");
    if mode.is_none_or(|mode| mode.as_bytes() != b"streaming") {
        let Ok(body) = axum::body::to_bytes(body, ANSWER_BYTES).await else {
            return StatusCode::PAYLOAD_TOO_LARGE;
        };
        let _ = outcome.send(Outcome::Answered(body));
        return StatusCode::ACCEPTED;
    }
    let (sender, receiver) = mpsc::channel(8);
    let _ = outcome.send(Outcome::Streaming(receiver));
    let mut chunks = body.into_data_stream();
    while let Some(Ok(chunk)) = chunks.next().await {
        // Whoever listened has gone: the rest is of no use, and the function is told so by the closed connection.
        if sender.send(chunk).await.is_err() {
            break;
        }
    }
    StatusCode::ACCEPTED
}

async fn error(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    let Some(outcome) = shared.outcome_of(&id) else { return StatusCode::BAD_REQUEST };
    let _ = outcome.send(Outcome::Failed(said(&body)));
    StatusCode::ACCEPTED
}

async fn init_error(State(shared): State<Arc<Shared>>, body: Bytes) -> StatusCode {
    shared.phase.send_replace(Phase::Failed(said(&body)));
    StatusCode::ACCEPTED
}

fn said(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()))
}
