//! Reads that are late: asked on another connection too, and the first answer counts.

use super::checkout::Checkout;
use super::lanes::Share;
use super::seen;
use super::slots::{Pool, Want};
use crate::databases::driver::Session;
use crate::databases::{DatabaseError, Rows, afterwards};
use domain::arguments::Bound;
use domain::limits;
use events::IntegrationKind;
use events::skill::{Action, Statement};
use futures_util::future::{BoxFuture, Either, select};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How long a read goes on whose answer came from elsewhere. It keeps its part in the connection meanwhile, so that
/// nobody joins one that does not answer; then it is stopped, and the connection given up.
const TIME_OF_THE_SECOND: Duration = Duration::from_millis(500);

/// What is asked, for as long as somebody asks it.
pub(super) struct Question {
    pub kind: IntegrationKind,
    pub statement: Arc<Statement>,
    pub binds: Vec<Bound>,
    pub deadline: Instant,
    pub answered: AtomicBool,
}

/// How it ended on one connection.
pub(super) struct Asked {
    pub result: Result<Rows, DatabaseError>,
    /// The connection was lost with another's read, or had died before: once more is safe, and may help.
    pub may_run_again: bool,
}

impl From<DatabaseError> for Asked {
    fn from(error: DatabaseError) -> Self {
        Self { result: Err(error), may_run_again: false }
    }
}

/// It needs nobody to wait for it.
pub(super) type Asking = BoxFuture<'static, Asked>;

pub(super) fn ask(share: Share, question: Arc<Question>) -> Asking {
    Box::pin(async move {
        let Question { kind, statement, binds, deadline, .. } = question.as_ref();
        let reading = share.reader().read(statement, binds, *deadline);
        let result = seen::statement(*kind, Action::Read, reading).await;
        let may_run_again = share.note(&statement.hash, &result);
        Asked { result, may_run_again }
    })
}

/// The first answer of two, and of two failures that of the first. What was refused is an answer where it was asked first:
/// the second may have failed for reasons of its own.
pub(super) async fn sooner(first: Asking, second: Asking, question: &Question) -> Asked {
    let (asked, other) = match select(first, second).await {
        Either::Left((asked, second)) if asked.may_run_again => {
            let other = second.await;
            return if other.result.is_ok() { other } else { asked };
        }
        Either::Right((asked, first)) if asked.result.is_err() => return first.await,
        Either::Left(won) | Either::Right(won) => won,
    };
    question.answered.store(true, Ordering::Relaxed);
    afterwards::spawn(timeout(TIME_OF_THE_SECOND, other));
    asked
}

/// Where a read is asked once more.
pub(super) enum Elsewhere {
    Share(Share),
    Warm(Checkout),
    New(Checkout, Dialling),
}

/// To be held while a connection is opened for a read that is late.
pub(super) struct Dialling(Arc<Pool>);

impl Drop for Dialling {
    fn drop(&mut self) {
        self.0.state().dialling = false;
    }
}

impl Pool {
    /// Where a read is asked too that is late in `lane`, if nobody else needs the place: on a warm connection, with
    /// others on another one, or, where others may be in its way, on a new one that is still to be opened.
    pub(super) fn elsewhere(pool: &Arc<Self>, lane: u64, want: Want) -> Option<Elsewhere> {
        let mut state = pool.state();
        if state.somebody_waits() || !state.lanes.may_ask_twice() {
            return None;
        }
        let now = Instant::now();
        let mut found = None;
        if state.taken < limits::POOL_SIZE {
            let warm = state.take(Session::ReadOnly);
            found = warm.map(|warm| Elsewhere::Warm(state.place(pool, want, Some(warm), now)));
        }
        if found.is_none() && want == Want::Share {
            found = state.lanes.join(pool, now).map(Elsewhere::Share);
        }
        // One at a time: whoever else is late may read from it. And none at the price of one that is warm, or where
        // the database could not be reached.
        let has_room = state.taken + state.idle.len() < limits::POOL_SIZE;
        if found.is_none()
            && has_room
            && state.lanes.was_joined(lane)
            && !state.dialling
            && !pool.breaker().is_open()
        {
            state.dialling = true;
            let place = state.place(pool, want, None, now);
            found = Some(Elsewhere::New(place, Dialling(pool.clone())));
        }
        if found.is_some() {
            state.lanes.asks_twice();
        }
        found
    }
}
