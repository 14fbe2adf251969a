//! The socket of a connection, moved by a task of its own, so that statements of several callers travel together.

use super::connect::{CANCELLED_AGAIN, Canceller, Socket};
use crate::databases::afterwards;
use futures_util::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::task::{AbortHandle, JoinHandle, yield_now};
use tokio::time::timeout;
use tokio_postgres::Connection;

/// How long a connection may stay after its client is gone: to say goodbye, and for the end of a statement that is
/// being cancelled. A pooler forgets by what to cancel once the socket is closed, and the server does not notice that.
const GOODBYE: Duration = Duration::from_secs(2);

/// Dropped after its client, it tells the server that nothing more comes.
pub(super) struct Wire {
    task: Option<JoinHandle<()>>,
}

impl Wire {
    pub(super) fn start(connection: Connection<Socket, Socket>) -> Self {
        Self { task: Some(tokio::spawn(run(Box::new(connection)))) }
    }

    /// Dropping it, and waiting until the server was told.
    pub(super) async fn goodbye(mut self) {
        if let Some(task) = self.task.take() {
            ended(task).await;
        }
    }

    /// The same where nobody waits for what is still under way: it is cancelled, one statement after the other.
    pub(super) async fn ended(mut self, canceller: &Canceller) {
        let Some(mut task) = self.task.take() else { return };
        let _ending = Ending(task.abort_handle());
        let give_up = Instant::now() + GOODBYE;
        while timeout(CANCELLED_AGAIN, &mut task).await.is_err() && Instant::now() < give_up {
            canceller.again(give_up).await;
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let Some(task) = self.task.take() else { return };
        let abort = task.abort_handle();
        if afterwards::spawn(ended(task)).is_none() {
            abort.abort();
        }
    }
}

/// Ends the task when this is dropped: a wait that is given up must not leave it running.
struct Ending(AbortHandle);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn ended(task: JoinHandle<()>) {
    let _ending = Ending(task.abort_handle());
    // A server that does not take it any more is left to find the closed socket.
    timeout(GOODBYE, task).await.ok();
}

/// Until the client is gone and all that it asked for is answered, or the connection has ended: then its client fails
/// whatever waits for an answer.
async fn run(mut connection: Box<Connection<Socket, Socket>>) {
    loop {
        let ended = poll_fn(|context| Poll::Ready(step(&mut connection, context).is_ready())).await;
        if ended {
            return;
        }
        woken().await;
        // Whoever else is about to send, or is being answered, comes first: one write and one read serve all of them.
        yield_now().await;
    }
}

/// Pending once: until whatever [`step`] has registered for happens.
async fn woken() {
    let mut first = true;
    poll_fn(|_| if std::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) }).await;
}

/// Sends and receives what is there. Ready when the connection has ended. Notices are server text: they are dropped
/// here and never logged.
fn step(connection: &mut Connection<Socket, Socket>, context: &mut Context<'_>) -> Poll<()> {
    loop {
        match connection.poll_message(context) {
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
            Poll::Pending => return Poll::Pending,
        }
    }
}
