//! Ends the query of a connection from outside.

use super::login::{AlreadySecured, Login};
use super::{Target, secured};
use crate::databases::afterwards;
use crate::databases::dial::Dialer;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::task::JoinHandle;
use tokio::time::timeout_at;
use tokio_postgres::CancelToken;

/// A cancel that takes longer than this does not help any more.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a cancel has until the next one is sent: the server must have gone on to the next statement.
pub(in super::super) const CANCELLED_AGAIN: Duration = Duration::from_millis(100);

/// A late cancel could hit another statement, so nothing is sent on the connection after the first one.
pub(in super::super) struct Canceller {
    dialer: Arc<Dialer>,
    target: Arc<Target>,
    token: CancelToken,
    firing: Mutex<Firing>,
}

#[derive(Default)]
struct Firing {
    /// Statements that are still to be cancelled.
    wanted: usize,
    task: Option<JoinHandle<()>>,
}

impl Canceller {
    pub(super) fn new(dialer: Arc<Dialer>, target: Arc<Target>, token: CancelToken) -> Self {
        Self { dialer, target, token, firing: Mutex::default() }
    }

    /// Waits until the cancel that is under way was delivered or given up; no other follows.
    pub(in super::super) async fn finished(&self) {
        let task = {
            let mut firing = self.firing();
            firing.wanted = firing.wanted.min(1);
            firing.task.take()
        };
        if let Some(task) = task {
            // A cancel that panicked is finished as well.
            task.await.ok();
        }
    }

    /// Cancels what the server runs. Fired again, it cancels what the server comes to after that.
    pub(super) fn fire(self: &Arc<Self>) {
        let mut firing = self.firing();
        firing.wanted += 1;
        if firing.wanted > 1 {
            return;
        }
        let this = self.clone();
        firing.task = afterwards::spawn(async move {
            loop {
                let deadline = Instant::now() + CANCEL_TIMEOUT;
                // An undelivered cancel leaves the server's own statement timeout.
                timeout_at(deadline.into(), this.deliver(deadline)).await.ok();
                if this.has_fired() {
                    return;
                }
                tokio::time::sleep(CANCELLED_AGAIN).await;
            }
        });
    }

    /// Whether that was the last.
    fn has_fired(&self) -> bool {
        let mut firing = self.firing();
        firing.wanted -= 1;
        firing.wanted == 0
    }

    fn firing(&self) -> MutexGuard<'_, Firing> {
        self.firing.lock().unwrap_or_else(PoisonError::into_inner)
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
