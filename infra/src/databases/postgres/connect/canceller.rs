//! Ends the query of a connection from outside.

use super::super::wire::Inner;
use super::login::{AlreadySecured, Login};
use super::{Target, secured};
use crate::databases::afterwards;
use crate::databases::dial::Dialer;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::task::JoinHandle;
use tokio::time::timeout_at;
use tokio_postgres::CancelToken;

/// A cancel that takes longer than this does not help any more.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// Fires once at most: a late cancel could hit the next statement, so the connection is not used again after it.
pub(in super::super) struct Canceller {
    dialer: Arc<Dialer>,
    target: Arc<Target>,
    token: CancelToken,
    fired: AtomicBool,
    task: Mutex<Option<JoinHandle<()>>>,
    /// The connection that is cancelled, open until that is done: a pooler forgets by what to cancel once its client has
    /// gone, and the server does not notice that.
    kept: Mutex<Option<Inner>>,
}

impl Canceller {
    pub(super) fn new(dialer: Arc<Dialer>, target: Arc<Target>, token: CancelToken) -> Self {
        Self {
            dialer,
            target,
            token,
            fired: AtomicBool::new(false),
            task: Mutex::default(),
            kept: Mutex::default(),
        }
    }

    pub(in super::super) fn was_fired(&self) -> bool {
        self.fired.load(Ordering::Acquire)
    }

    pub(in super::super) fn keep(&self, connection: Inner) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
    }

    /// Waits until the cancel was delivered or given up.
    pub(in super::super) async fn finished(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // A cancel that panicked is finished as well.
            task.await.ok();
        }
    }

    fn fire(self: &Arc<Self>) {
        if self.fired.swap(true, Ordering::AcqRel) {
            return;
        }
        let this = self.clone();
        let task = afterwards::spawn(async move {
            let deadline = Instant::now() + CANCEL_TIMEOUT;
            // An undelivered cancel leaves the server's own statement timeout.
            timeout_at(deadline.into(), this.deliver(deadline)).await.ok();
            drop(this.kept.lock().unwrap_or_else(PoisonError::into_inner).take());
        });
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = task;
    }

    /// Through the guard and TLS again, like every connection.
    async fn deliver(&self, deadline: Instant) {
        let Ok((stream, _)) = secured(&self.dialer, &self.target, deadline).await else { return };
        let mut stream = Login::staying_open(stream);
        if self.token.cancel_query_raw(&mut stream, AlreadySecured).await.is_ok() {
            // The server closes this socket after it signalled the backend.
            stream.read_u8().await.ok();
        }
    }
}

/// Armed while a statement runs: late or dropped, the statement is cancelled.
pub(in super::super) struct Running {
    canceller: Arc<Canceller>,
    finished: bool,
}

impl Running {
    pub(in super::super) fn start(canceller: &Arc<Canceller>) -> Self {
        Self { canceller: canceller.clone(), finished: false }
    }

    /// The server answered: there is nothing to cancel.
    pub(in super::super) fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.finished {
            self.canceller.fire();
        }
    }
}
