//! What a process tells of itself beside its log: measurements to whoever listens, spans of the requests that are
//! traced, and which request a log line belongs to. As there is one log for a process, there is one listener; functions
//! on AWS and tools have none, and then nothing is done with what is told.

mod request;
mod span;

pub use request::{Request, carried, current, during, of_current, within};
pub use span::{OpenSpan, Span, Spans, TraceId, span};

use crate::databases::error::Fault;
use events::IntegrationKind;
use events::skill::Action;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Something that was measured. Everything that tells one measurement from another has few values: no organization, no
/// key, nothing that a customer named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// A statement of a live call ended on a connection.
    Statement { kind: IntegrationKind, action: Action, took: Duration, fault: Option<Fault> },
    /// Somebody waited for a place in a pool, and got it or gave up.
    Checkout { kind: IntegrationKind, took: Duration, got_it: bool },
    /// A connection was opened for a pool, or could not be.
    Opened { kind: IntegrationKind, took: Duration, fault: Option<Fault> },
    /// A read of a live call was asked once more.
    AskedAgain { kind: IntegrationKind, why: AskedAgain },
    /// A database failed so often that nobody dials it for a while.
    BreakerOpened { kind: IntegrationKind },
    /// The log took a command, or did not.
    Appended { took: Duration, events: u64, ending: Appended },
    /// A transaction of the store, which commands may share, was made durable.
    Committed { took: Duration },
}

/// Why a read was asked once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AskedAgain {
    /// No answer had come: it is asked on another connection too.
    Late,
    /// Its connection had died before, or went with another's read.
    Lost,
}

/// How a command ended that was to be appended to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Appended {
    Committed,
    /// It was in the log already.
    Repeated,
    /// What it was decided on has moved; it is decided again.
    Moved,
    Refused,
    Failed,
}

/// As OpenTelemetry names a customer's engine. MariaDB counts as MySQL, whose protocol it is reached by.
pub fn system_name(kind: IntegrationKind) -> &'static str {
    match kind {
        IntegrationKind::Postgres => "postgresql",
        IntegrationKind::Mysql => "mysql",
    }
}

pub fn operation_name(action: Action) -> &'static str {
    match action {
        Action::Read => "SELECT",
        Action::Insert => "INSERT",
        Action::Update => "UPDATE",
    }
}

pub trait Listener: Send + Sync {
    fn measured(&self, what: Measured);
}

static LISTENER: OnceLock<Arc<dyn Listener>> = OnceLock::new();

/// From now on this one is told. False when there is one already, which stays.
pub fn listen(listener: Arc<dyn Listener>) -> bool {
    LISTENER.set(listener).is_ok()
}

pub fn tell(what: Measured) {
    if let Some(listener) = LISTENER.get() {
        listener.measured(what);
    }
}
