//! The socket of a connection, moved by whoever waits for an answer: no task of its own stands between a statement
//! and the server, which would cost two wake-ups, often on another core, for each statement.

use super::Postgres;
use super::connect::{Canceller, Socket};
use futures_util::future::poll_fn;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::Connection;

/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

pub(super) type Inner = Box<Connection<Socket, Socket>>;

/// None once the connection is of no use: it ended, or it was left in the middle of an answer.
pub(super) struct Wire(Mutex<Option<Inner>>);

impl Wire {
    pub(super) fn new(connection: Connection<Socket, Socket>) -> Self {
        Self(Mutex::new(Some(Box::new(connection))))
    }

    /// Looks whether the server has closed it, without waiting.
    pub(super) fn is_open(&self) -> bool {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        advance(&mut inner, &mut idle());
        inner.is_some()
    }

    /// After the client is gone: tells the server that nothing more comes.
    pub(super) async fn goodbye(mut self) {
        let Some(mut connection) = self.inner().take() else { return };
        // A server that does not take it any more is left to find the closed socket.
        timeout(GOODBYE, poll_fn(|context| step(&mut connection, context))).await.ok();
    }

    fn inner(&mut self) -> &mut Option<Inner> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Postgres {
    /// Runs `work`, which waits for nothing but answers to what it sends by the client. Dropped before its end, it
    /// leaves the connection of no use.
    pub(super) async fn drive<T>(&mut self, work: impl AsyncFnOnce(&mut Self) -> T) -> T {
        let mut taken = Taken { wire: self.wire.inner().take(), canceller: self.canceller.clone() };
        let done = {
            let mut work = pin!(work(self));
            poll_fn(|context| {
                // The work is polled again whenever the socket moved, so it needs no waking.
                if let Poll::Ready(done) = work.as_mut().poll(&mut idle()) {
                    return Poll::Ready(done);
                }
                advance(&mut taken.wire, context);
                work.as_mut().poll(&mut idle())
            })
            .await
        };
        // The next statement must not wake the task that waited for this one.
        advance(&mut taken.wire, &mut idle());
        *self.wire.inner() = taken.wire.take();
        done
    }
}

/// The connection while something runs on it.
struct Taken {
    wire: Option<Inner>,
    canceller: Arc<Canceller>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(wire) = self.wire.take() {
            self.canceller.keep(wire);
        }
    }
}

/// A connection that has ended is dropped: then its client fails whatever waits for an answer.
fn advance(wire: &mut Option<Inner>, context: &mut Context<'_>) {
    if wire.as_mut().is_some_and(|connection| step(connection, context).is_ready()) {
        *wire = None;
    }
}

/// Sends and receives what is there. Ready when the connection has ended. Notices are server text: they are dropped
/// here and never logged.
fn step(connection: &mut Inner, context: &mut Context<'_>) -> Poll<()> {
    loop {
        match connection.poll_message(context) {
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
            Poll::Pending => return Poll::Pending,
        }
    }
}

fn idle() -> Context<'static> {
    Context::from_waker(Waker::noop())
}
