//! `GET /events/stream`: the log from a position on, then what happens as it happens.

use super::events::{EventItem, position, wanted_types};
use crate::body::schema;
use crate::caller::Caller;
use crate::endpoint::{Context, Endpoint, Frames, Function, QueryParameter, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use crate::services::Services;
use bytes::Bytes;
use domain::limits::{STREAM_BATCH, STREAMS_MAX};
use events::{Recorded, Seq};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Method, header};
use infra::storage::StoreError;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// How long a client waits before it resumes.
const RETRY: &str = "retry: 1000\n\n";
/// A comment, which clients pass over.
const HEARTBEAT: &str = ":\n\n";

pub static ENDPOINT: Endpoint = Endpoint {
    name: "events-stream",
    method: Method::GET,
    path: "/events/stream",
    scope: Scope::AuditRead,
    summary: "Server-sent events, the whole log first unless told after which: id is seq, event the type, data the \
              event with ids alone, as webhooks get it",
    query: &[
        QueryParameter { name: "after", required: false, meaning: "Starts after this sequence number" },
        QueryParameter { name: "types", required: false, meaning: "Comma list of event types" },
    ],
    request: None,
    response: schema::<EventItem>,
    shape: Shape::Stream,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function::STREAM,
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let types = wanted_types(context.query("types"))?;
    let at = match context.header("last-event-id") {
        Some(last) => position("Last-Event-ID", last)?,
        None => position("after", context.query("after").unwrap_or("0"))?,
    };
    let head = context.services.log.head(&context.caller.organization).await?;
    if at > head {
        // Of another organization or of a log that is lost: to wait for it would hide that.
        return Err(Problem::field("after", format!("the log ends at {head}")));
    }
    let open = context.services.streams.try_take(context.caller.organization.clone()).ok_or_else(|| {
        let detail = format!("{STREAMS_MAX} streams of this organization are open; close one");
        Problem::new(Code::RateLimited, detail).with_header(header::RETRY_AFTER, HeaderValue::from(5))
    })?;
    let subscriber = Subscriber {
        ends: Instant::now() + context.services.config.stream_ends_after,
        types: types.map(|types| types.into_iter().map(str::to_owned).collect()),
        services: context.services,
        caller: context.caller,
        headers: context.headers,
        at,
        begun: false,
        _open: open,
    };
    Ok(Reply::stream(subscriber.frames()))
}

struct Subscriber {
    services: Arc<Services>,
    caller: Caller,
    headers: HeaderMap,
    /// What was sent last.
    at: Seq,
    types: Option<HashSet<String>>,
    ends: Instant,
    begun: bool,
    _open: OwnedSemaphorePermit,
}

impl Subscriber {
    fn frames(self) -> Frames {
        Box::pin(stream::unfold(self, |mut subscriber| async move {
            let frame = subscriber.next().await?;
            Some((frame, subscriber))
        }))
    }

    /// None at the end: the time is over, the server stops, the key is in force no longer, or the log cannot be read.
    /// The client resumes, and is told then what is wrong.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.begun {
            self.begun = true;
            return Some(Bytes::from_static(RETRY.as_bytes()));
        }
        let organization = self.caller.organization.clone();
        loop {
            if Instant::now() >= self.ends || self.services.stopping.is_cancelled() {
                return None;
            }
            let batch = match self.services.log.read(&organization, self.at, STREAM_BATCH).await {
                Ok(batch) => batch,
                Err(error) => return self.lost(&error),
            };
            let silent = batch.is_empty() && !self.news().await?;
            // Before anything is sent: what was recorded after a key was revoked is not for its holder. A state from
            // memory would do for calls, but may be older than what was just read.
            self.caller = self.services.authenticate(&self.headers, &ENDPOINT).await.ok()?;
            if silent {
                return Some(Bytes::from_static(HEARTBEAT.as_bytes()));
            }
            if let Some(last) = batch.last() {
                self.at = last.seq;
                return Some(self.render(&batch));
            }
        }
    }

    /// Waits for the log to move on, false when the silence grew too long before. None when the log cannot be read.
    async fn news(&self) -> Option<bool> {
        let silence = self.services.config.stream_heartbeat;
        let moved = self.services.log.beyond(&self.caller.organization, self.at, silence);
        tokio::select! {
            moved = moved => match moved {
                Ok(head) => Some(head > self.at),
                Err(error) => self.lost(&error),
            },
            // The loop looks why.
            () = tokio::time::sleep_until(self.ends) => Some(true),
            () = self.services.stopping.cancelled() => Some(true),
        }
    }

    fn lost<T>(&self, error: &StoreError) -> Option<T> {
        tracing::warn!(organization = %self.caller.organization, %error, "a stream of events ends");
        None
    }

    /// An id without data moves the client's position past events of other types.
    fn render(&self, batch: &[Recorded]) -> Bytes {
        let mut text = String::new();
        for event in batch {
            let wanted = self.types.as_ref().is_none_or(|types| types.contains(event.event.name()));
            if wanted {
                let (seq, name) = (event.seq, event.event.name());
                text.push_str(&format!("id: {seq}\nevent: {name}\ndata: {}\n\n", event.to_wire()));
            } else if event.seq == self.at {
                text.push_str(&format!("id: {}\n\n", event.seq));
            }
        }
        Bytes::from(text)
    }
}
