//! What a pool does, measured and traced.

use crate::databases::DatabaseError;
use crate::telemetry::{Measured, Span, operation_name, span, system_name, tell};
use events::IntegrationKind;
use events::skill::Action;
use std::future::Future;
use std::time::Instant;

/// Pools, their connections, who waits for one, and databases that nobody dials for a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub pools: usize,
    pub used: usize,
    pub idle: usize,
    pub waiting: usize,
    pub open_breakers: usize,
}

impl Usage {
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            pools: self.pools + other.pools,
            used: self.used + other.used,
            idle: self.idle + other.idle,
            waiting: self.waiting + other.waiting,
            open_breakers: self.open_breakers + other.open_breakers,
        }
    }
}

pub(super) async fn checkout<T>(
    kind: IntegrationKind,
    work: impl Future<Output = Result<T, DatabaseError>>,
) -> Result<T, DatabaseError> {
    let mut span = span("checkout").with("db.system.name", system_name(kind));
    let started = Instant::now();
    let done = work.await;
    tell(Measured::Checkout { kind, took: started.elapsed(), got_it: done.is_ok() });
    note(&mut span, &done);
    done
}

pub(super) async fn opening<T>(
    kind: IntegrationKind,
    work: impl Future<Output = Result<T, DatabaseError>>,
) -> Result<T, DatabaseError> {
    let mut span = Span::to_outside("connect").with("db.system.name", system_name(kind));
    let started = Instant::now();
    let done = work.await;
    let fault = done.as_ref().err().map(|error| error.fault);
    tell(Measured::Opened { kind, took: started.elapsed(), fault });
    note(&mut span, &done);
    done
}

pub(super) async fn statement<T>(
    kind: IntegrationKind,
    action: Action,
    work: impl Future<Output = Result<T, DatabaseError>>,
) -> Result<T, DatabaseError> {
    let operation = operation_name(action);
    let mut span = Span::to_outside(operation)
        .with("db.system.name", system_name(kind))
        .with("db.operation.name", operation);
    let started = Instant::now();
    let done = work.await;
    let fault = done.as_ref().err().map(|error| error.fault);
    tell(Measured::Statement { kind, action, took: started.elapsed(), fault });
    note(&mut span, &done);
    done
}

fn note<T>(span: &mut Span, done: &Result<T, DatabaseError>) {
    if let Err(error) = done {
        span.fail(error.fault.as_str());
    }
}
