//! A part of a request that is seen in its trace. Costs a look at a thread-local when the request is not sampled.

use super::request::of_current;
use std::fmt;

/// Of W3C Trace Context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(pub [u8; 16]);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Spans of one sampled request.
pub trait Spans: Send + Sync {
    /// Begins a part of the request. `to_outside` when it waits for somebody else's server.
    fn begin(&self, name: &'static str, to_outside: bool) -> Box<dyn OpenSpan>;
}

/// Ends when it is dropped. Its attributes are words of our own code: text that was made at run time has no way into a
/// span, so no argument, row or credential has.
pub trait OpenSpan: Send {
    fn set(&mut self, key: &'static str, word: &'static str);
    /// `kind` is a stable code, such as that of a fault.
    fn fail(&mut self, kind: &'static str);
}

/// A span, or nothing where the request is not sampled.
#[must_use = "it ends when it is dropped"]
pub struct Span(Option<Box<dyn OpenSpan>>);

/// A part of the current request that is done in this process.
pub fn span(name: &'static str) -> Span {
    Span(of_current(|request| request.spans.as_ref().map(|spans| spans.begin(name, false))).flatten())
}

impl Span {
    /// A part that waits for somebody else's server.
    pub fn to_outside(name: &'static str) -> Self {
        Self(of_current(|request| request.spans.as_ref().map(|spans| spans.begin(name, true))).flatten())
    }

    pub fn with(mut self, key: &'static str, word: &'static str) -> Self {
        if let Some(span) = &mut self.0 {
            span.set(key, word);
        }
        self
    }

    pub fn fail(&mut self, kind: &'static str) {
        if let Some(span) = &mut self.0 {
            span.fail(kind);
        }
    }
}
