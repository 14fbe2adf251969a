//! Which request is being answered, for log lines and spans of whatever is called meanwhile.

use super::span::{Spans, TraceId};
use events::RequestId;
use std::future::Future;
use std::sync::Arc;
use tokio::task::futures::TaskLocalFuture;

#[derive(Clone)]
pub struct Request {
    pub id: RequestId,
    /// The caller's, or our own where requests are traced.
    pub trace: Option<TraceId>,
    /// None where this one is not sampled.
    pub spans: Option<Arc<dyn Spans>>,
}

tokio::task_local! {
    static CURRENT: Request;
}

/// Runs this as part of the request. What it spawns is no part of it, unless it is told to be.
pub fn within<F: Future>(request: Request, work: F) -> TaskLocalFuture<Request, F> {
    CURRENT.scope(request, work)
}

/// The same for what does not wait.
pub fn during<T>(request: Request, work: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(request, work)
}

/// The same in a task of its own, which goes on with what was asked for.
pub async fn carried<F: Future>(request: Option<Request>, work: F) -> F::Output {
    match request {
        Some(request) => within(request, work).await,
        None => work.await,
    }
}

/// To be carried into a task.
pub fn current() -> Option<Request> {
    of_current(Request::clone)
}

pub fn of_current<T>(look: impl FnOnce(&Request) -> T) -> Option<T> {
    CURRENT.try_with(look).ok()
}
