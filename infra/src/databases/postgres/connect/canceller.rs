//! Ends the query of a connection from outside.

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

/// Fires once at most: a late cancel could hit another statement, so nothing is sent on the connection after it.
pub(in super::super) struct Canceller {
    dialer: Arc<Dialer>,
    target: Arc<Target>,
    token: CancelToken,
    fired: AtomicBool,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Canceller {
    pub(super) fn new(dialer: Arc<Dialer>, target: Arc<Target>, token: CancelToken) -> Self {
        Self { dialer, target, token, fired: AtomicBool::new(false), task: Mutex::default() }
    }

    /// Waits until the cancel was delivered or given up.
    pub(in super::super) async fn finished(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // A cancel that panicked is finished as well.
            task.await.ok();
        }
    }

    pub(super) fn fire(self: &Arc<Self>) {
        if self.fired.swap(true, Ordering::AcqRel) {
            return;
        }
        let this = self.clone();
        let task = afterwards::spawn(async move {
            let deadline = Instant::now() + CANCEL_TIMEOUT;
            // An undelivered cancel leaves the server's own statement timeout.
            timeout_at(deadline.into(), this.deliver(deadline)).await.ok();
        });
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = task;
    }

    /// Once more, where no other statement can be hit.
    pub(in super::super) async fn again(&self, give_up: Instant) {
        timeout_at(give_up.into(), self.deliver(give_up)).await.ok();
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
