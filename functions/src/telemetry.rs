//! What requests tell of themselves, beside what [`infra::telemetry`] has of databases and the log.

#[cfg(any(test, feature = "embedded"))]
mod attributes;
#[cfg(any(test, feature = "embedded"))]
mod bound;
#[cfg(any(test, feature = "embedded"))]
mod exporting;
#[cfg(any(test, feature = "embedded"))]
mod looking;
#[cfg(any(test, feature = "embedded"))]
mod meters;
#[cfg(any(test, feature = "embedded"))]
mod observed;
#[cfg(any(test, feature = "embedded"))]
mod scrape;
mod seen;
#[cfg(any(test, feature = "embedded"))]
mod spans;
#[cfg(any(test, feature = "embedded"))]
mod started;
mod traceparent;

#[cfg(any(test, feature = "embedded"))]
pub use scrape::serve_metrics;
pub use seen::{Begun, Seen, ServerSpan};
#[cfg(any(test, feature = "embedded"))]
pub use started::Telemetry;
pub use traceparent::Trace;

use crate::endpoint::{Endpoint, Measured};
use http::{HeaderMap, Method, StatusCode};
use infra::databases::driver::Ending;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A request and how it was answered.
#[derive(Clone, Copy)]
pub struct Answered<'a> {
    pub route: Route,
    pub method: &'a Method,
    pub status: StatusCode,
    pub took: Duration,
    /// The endpoint's name and what came of it, when it was a live call.
    pub call: Option<(&'static str, Measured)>,
}

/// What was asked for, of which there are few.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// Below the base of the API.
    Api(&'static str),
    Beside(&'static str),
    Nothing,
}

/// What is counted apart from requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    RateRefused {
        whose: &'static str,
    },
    WebhookTried {
        took: Duration,
        delivered: bool,
    },
    WebhookParked,
    /// A customer's database was asked what became of a write.
    AskedOfWrite {
        ending: Ending,
    },
}

pub trait Listener: Send + Sync {
    /// None where requests are not traced.
    fn begins(&self, endpoint: &'static Endpoint, headers: &HeaderMap) -> Option<Begun>;
    /// By how many more, or fewer, requests are answered now.
    fn in_flight(&self, change: i64);
    fn answered(&self, answered: &Answered<'_>);
    fn happened(&self, what: Happened);
}

static LISTENER: OnceLock<Arc<dyn Listener>> = OnceLock::new();

/// From now on this one is told. False when there is one already, which stays.
pub fn listen(listener: Arc<dyn Listener>) -> bool {
    LISTENER.set(listener).is_ok()
}

fn listener() -> Option<&'static dyn Listener> {
    LISTENER.get().map(AsRef::as_ref)
}

pub fn tell(what: Happened) {
    if let Some(listener) = listener() {
        listener.happened(what);
    }
}

/// A request that no endpoint got.
pub fn answered_beside(answered: &Answered<'_>) {
    if let Some(listener) = listener() {
        listener.answered(answered);
    }
}
