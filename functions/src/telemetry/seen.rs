//! One request, from its first byte to its answer's.

use super::traceparent::{Trace, is_given};
use super::{Answered, Route, listener};
use crate::endpoint::{Endpoint, Measured};
use events::RequestId;
use http::{HeaderMap, StatusCode};
use infra::telemetry::{Request, Spans, during};
use std::sync::Arc;
use std::time::Instant;

/// A request that is traced, sampled or not.
pub struct Begun {
    pub trace: Trace,
    pub span: Option<Arc<dyn ServerSpan>>,
}

/// The span of a whole request. It ends when nothing of the request goes on.
pub trait ServerSpan: Spans {
    fn answered(&self, request_id: &RequestId, status: StatusCode, measured: Option<Measured>);
}

pub struct Seen {
    endpoint: &'static Endpoint,
    started: Instant,
    request: Request,
    trace: Option<Trace>,
    /// The caller has sent a `traceparent`, and is told ours.
    was_given: bool,
    span: Option<Arc<dyn ServerSpan>>,
}

impl Seen {
    pub fn begin(endpoint: &'static Endpoint, headers: &HeaderMap, request_id: RequestId) -> Self {
        let started = Instant::now();
        let begun = listener().and_then(|listener| {
            listener.in_flight(1);
            listener.begins(endpoint, headers)
        });
        let (trace, span) = match begun {
            Some(Begun { trace, span }) => (Some(trace), span),
            None => (Trace::given(headers, &request_id), None),
        };
        let spans = span.clone().map(|span| span as Arc<dyn Spans>);
        let request = Request { id: request_id, trace: trace.map(|trace| trace.id), spans };
        Self { endpoint, started, request, trace, was_given: is_given(headers), span }
    }

    pub fn request(&self) -> &Request {
        &self.request
    }

    pub fn started(&self) -> Instant {
        self.started
    }

    /// Puts where we stand into the answer's head, for a caller who traces or was sampled.
    pub fn mark(&self, headers: &mut HeaderMap) {
        if let Some(trace) = self.trace.filter(|_| self.was_given || self.span.is_some()) {
            trace.write(headers);
        }
    }

    /// Tells what came of it, and has `log` do so in the request's name.
    pub fn answered(&self, status: StatusCode, measured: Option<Measured>, log: impl FnOnce()) {
        if let Some(span) = &self.span {
            span.answered(&self.request.id, status, measured);
        }
        if let Some(listener) = listener() {
            listener.answered(&Answered {
                route: Route::Api(self.endpoint.path),
                method: &self.endpoint.method,
                status,
                took: self.started.elapsed(),
                call: measured.map(|measured| (self.endpoint.name, measured)),
            });
        }
        during(self.request.clone(), log);
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        if let Some(listener) = listener() {
            listener.in_flight(-1);
        }
    }
}
