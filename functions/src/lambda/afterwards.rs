//! What a function does after its answer has left. The platform stops a process once its runtime and each of its
//! extensions ask for the next event, and hands the answer on before that: so the process is an extension of itself,
//! which asks when the records of the call are kept.

use crate::calls::recorder::Recorder;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use lambda_runtime_api_client::Client;
use lambda_runtime_api_client::body::Body;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const REGISTER: &str = "/2020-01-01/extension/register";
const NEXT: &str = "/2020-01-01/extension/event/next";
static NAME: HeaderName = HeaderName::from_static("lambda-extension-name");
static ID: HeaderName = HeaderName::from_static("lambda-extension-identifier");
const CALLED: HeaderValue = HeaderValue::from_static("bindery-records");

pub struct Afterwards {
    answered: UnboundedSender<Option<Arc<Recorder>>>,
    goes_on: Arc<AtomicBool>,
}

/// Tells at its end that the invocation is answered, whatever became of it: the platform would wait for ever.
pub struct Answered<'a> {
    afterwards: &'a Afterwards,
    pub records: Option<Arc<Recorder>>,
}

impl Drop for Answered<'_> {
    fn drop(&mut self) {
        // When nobody listens any more, the next answer is told so by `begin`.
        let _ = self.afterwards.answered.send(self.records.take());
    }
}

impl Afterwards {
    /// Must be called before the function asks for its first event. None where the platform takes no extension: then
    /// records are kept before the answer leaves.
    pub async fn register() -> Option<Self> {
        let client = Client::builder().build().ok()?;
        let request =
            Request::post(REGISTER).header(&NAME, CALLED).body(Body::from(r#"{"events":["INVOKE"]}"#));
        let registered = match client.call(request.expect("a well-formed request")).await {
            Ok(response) if response.status() == StatusCode::OK => response.headers().get(&ID).cloned(),
            Ok(_) | Err(_) => None,
        };
        let Some(id) = registered else {
            tracing::warn!(
                "no extension may be registered here: answers wait for the records of their calls"
            );
            return None;
        };
        let (answered, invocations) = unbounded_channel();
        let goes_on = Arc::new(AtomicBool::new(true));
        tokio::spawn(keep_after_each(client, id, invocations, goes_on.clone()));
        Some(Self { answered, goes_on })
    }

    /// For each invocation, and once. None when there is nobody left to do anything afterwards.
    pub fn begin(&self) -> Option<Answered<'_>> {
        self.goes_on.load(Ordering::Acquire).then_some(Answered { afterwards: self, records: None })
    }
}

async fn keep_after_each(
    client: Client,
    id: HeaderValue,
    mut invocations: UnboundedReceiver<Option<Arc<Recorder>>>,
    goes_on: Arc<AtomicBool>,
) {
    loop {
        let request = Request::builder().method(Method::GET).uri(NEXT).header(&ID, id.clone());
        let next = client.call(request.body(Body::empty()).expect("a well-formed request")).await;
        if !next.is_ok_and(|response| response.status() == StatusCode::OK) {
            break;
        }
        let Some(records) = invocations.recv().await else { break };
        if let Some(records) = records {
            records.flush().await;
        }
    }
    goes_on.store(false, Ordering::Release);
    tracing::warn!("the platform has no more events for the extension: answers wait for their records again");
    // One that was answered meanwhile relied on this task.
    while let Ok(records) = invocations.try_recv() {
        if let Some(records) = records {
            records.flush().await;
        }
    }
}
