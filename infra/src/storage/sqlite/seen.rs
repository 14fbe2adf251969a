//! What the log does, measured.

use crate::storage::{AppendError, Committed};
use crate::telemetry::{Appended, Measured, span, tell};
use std::future::Future;
use std::time::Instant;

pub(super) async fn appending(
    events: usize,
    work: impl Future<Output = Result<Committed, AppendError>>,
) -> Result<Committed, AppendError> {
    let mut span = span("append");
    let started = Instant::now();
    let done = work.await;
    let ending = match &done {
        Ok(Committed { replayed: false, .. }) => Appended::Committed,
        Ok(_) => Appended::Repeated,
        Err(AppendError::StreamMoved { .. } | AppendError::HeadMoved { .. }) => Appended::Moved,
        Err(AppendError::BadSize { .. }) => Appended::Refused,
        Err(AppendError::Store(_)) => Appended::Failed,
    };
    if ending == Appended::Failed {
        span.fail("store_unavailable");
    }
    let events = if ending == Appended::Committed { events as u64 } else { 0 };
    tell(Measured::Appended { took: started.elapsed(), events, ending });
    done
}
