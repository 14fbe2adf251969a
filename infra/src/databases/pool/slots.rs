//! One pool: places for connections, the warm ones that wait, those that reads share, and the line before it.

use super::breaker::Breaker;
use super::checkout::Checkout;
use super::lanes::{Lanes, Part, Share};
use super::seen::Usage;
use crate::databases::driver::{Connection, Reader, Session};
use crate::databases::error::Fault;
use crate::databases::{DatabaseError, afterwards};
use domain::limits;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::timeout_at;

/// When a caller may try again that found all connections busy.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How many turns the average of how long one takes looks back on, about.
const HELD_WEIGHT: u64 = 8;

/// Every connection that is open holds a place or is idle; those in use, being opened or being closed hold one.
#[derive(Default)]
pub(super) struct Pool {
    state: Mutex<State>,
    breaker: Breaker,
    /// Microseconds that a turn takes, about: the moving average of the last ones.
    held: AtomicU64,
}

#[derive(Default)]
pub(super) struct State {
    /// No connection waits here any more, and none comes back.
    closed: bool,
    /// A task looks after idle connections.
    watched: bool,
    pub(super) taken: usize,
    /// A connection is being opened for a read that is late.
    pub(super) dialling: bool,
    /// The most recently used is last, and taken first: the others grow old and are closed.
    pub(super) idle: Vec<Idle>,
    pub(super) lanes: Lanes,
    /// First come first served: who comes while others wait stands behind them.
    line: VecDeque<Waiting>,
}

pub(super) struct Idle {
    connection: Warm,
    since: Instant,
}

struct Waiting {
    want: Want,
    turn: oneshot::Sender<Turn>,
}

/// What a caller needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// To read, on a connection that others read from too.
    Share,
    /// A connection for himself.
    Alone(Session),
}

impl Want {
    fn session(self) -> Session {
        match self {
            Want::Share => Session::ReadOnly,
            Want::Alone(session) => session,
        }
    }
}

/// What he gets.
pub(super) enum Turn {
    Share(Share),
    Alone(Checkout),
}

/// A connection that is logged in, of the one session or the other.
pub(super) enum Warm {
    Reads(Arc<dyn Reader>),
    Writes(Box<dyn Connection>),
}

impl Warm {
    fn session(&self) -> Session {
        match self {
            Warm::Reads(_) => Session::ReadOnly,
            Warm::Writes(_) => Session::ReadWrite,
        }
    }

    fn is_usable(&self) -> bool {
        match self {
            Warm::Reads(reader) => reader.is_usable(),
            Warm::Writes(connection) => connection.is_usable(),
        }
    }

    pub(super) async fn close(self) {
        match self {
            Warm::Reads(reader) => reader.close().await,
            Warm::Writes(connection) => connection.close().await,
        }
    }
}

impl Pool {
    /// A part in a connection that others read from, or a place with a warm connection in it where there is one.
    pub(super) async fn turn(pool: &Arc<Self>, want: Want, patience: Instant) -> Result<Turn, DatabaseError> {
        let (waiting, turn) = {
            let mut state = pool.state();
            let now = Instant::now();
            if state.line.is_empty()
                && let Some(turn) = state.grant(pool, want, now)
            {
                return Ok(turn);
            }
            if !pool.is_served_in_time(&state, now, patience) {
                return Err(busy());
            }
            let (sender, turn) = oneshot::channel();
            state.line.push_back(Waiting { want, turn: sender });
            (InLine { pool, served: false }, turn)
        };
        let mut waiting = waiting;
        match timeout_at(patience.into(), turn).await {
            Ok(Ok(turn)) => {
                waiting.served = true;
                Ok(turn)
            }
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }

    /// A place for a connection that nobody shares.
    pub(super) async fn checkout(
        pool: &Arc<Self>,
        session: Session,
        patience: Instant,
    ) -> Result<Checkout, DatabaseError> {
        match Self::turn(pool, Want::Alone(session), patience).await? {
            Turn::Alone(checkout) => Ok(checkout),
            Turn::Share(_) => unreachable!("a share for who did not ask for one"),
        }
    }

    /// False where waiting is of no use: whoever joined could not be served in time, by what the last ones took.
    fn is_served_in_time(&self, state: &State, now: Instant, patience: Instant) -> bool {
        let before = state.line.len();
        let at_once = (state.taken - state.lanes.len() + state.lanes.reads()).max(limits::POOL_SIZE);
        let turns = (before / at_once) as u64;
        let wait = Duration::from_micros(self.held.load(Ordering::Relaxed).saturating_mul(turns));
        before < limits::POOL_LINE && now + wait <= patience
    }

    pub(super) fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// The connection that waited longest, if there is one too many.
    pub(super) fn surplus(&self) -> Option<Warm> {
        let mut state = self.state();
        let too_many = state.taken + state.idle.len() > limits::POOL_SIZE && !state.idle.is_empty();
        too_many.then(|| state.idle.remove(0).connection)
    }

    pub(super) fn usage(&self) -> Usage {
        let state = self.state();
        Usage {
            pools: 1,
            used: state.taken,
            idle: state.idle.len(),
            waiting: state.line.len(),
            open_breakers: self.breaker.is_open().into(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn close(&self) {
        let idle = {
            let mut state = self.state();
            state.closed = true;
            std::mem::take(&mut state.idle)
        };
        close_all(idle);
    }

    /// Lossy when two end at once, which an average can bear.
    pub(super) fn was_held(&self, time: Duration) {
        let before = self.held.load(Ordering::Relaxed);
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let after = before - before / HELD_WEIGHT + time / HELD_WEIGHT;
        self.held.store(after, Ordering::Relaxed);
    }

    /// The end of a read. The connection, if nobody else reads from it.
    pub(super) fn leave(self: &Arc<Self>, part: &Part, now: Instant) -> Option<Arc<dyn Reader>> {
        let mut state = self.state();
        let last = state.lanes.leave(part, now);
        let somebody_joins = last.is_none() && state.somebody_waits();
        drop(state);
        if somebody_joins {
            self.serve();
        }
        last
    }

    /// Serves who waits, as far as there is room.
    pub(super) fn serve(self: &Arc<Self>) {
        // Given back when the lock is free again, for that takes it.
        let mut unwanted = Vec::new();
        let mut state = self.state();
        while let Some(first) = state.line.front() {
            let want = first.want;
            let turn = if first.turn.is_closed() { None } else { state.grant(self, want, Instant::now()) };
            match (state.line.pop_front(), turn) {
                (Some(first), Some(turn)) => unwanted.extend(first.turn.send(turn).err()),
                (Some(first), None) if !first.turn.is_closed() => {
                    state.line.push_front(first);
                    break;
                }
                _ => {}
            }
        }
        drop(state);
    }

    /// A connection's place becomes free. A healthy connection waits for the next call; a broken one is closed first.
    pub(super) fn give_back(self: &Arc<Self>, connection: Option<Warm>) {
        let Some(connection) = connection else { return self.vacate() };
        if !connection.is_usable() {
            // Without a runtime the socket is closed by dropping it.
            let place = Place(self.clone());
            afterwards::spawn(async move {
                connection.close().await;
                drop(place);
            });
            return;
        }
        let mut state = self.state();
        let idle = Idle { connection, since: Instant::now() };
        if state.closed {
            drop(state);
            close_all(vec![idle]);
            return self.vacate();
        }
        state.idle.push(idle);
        state.taken -= 1;
        let watched = std::mem::replace(&mut state.watched, true);
        let somebody_waits = state.somebody_waits();
        drop(state);
        if !watched && let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(watch(Arc::downgrade(self)));
        }
        if somebody_waits {
            self.serve();
        }
    }

    fn vacate(self: &Arc<Self>) {
        self.state().taken -= 1;
        self.serve();
    }
}

impl State {
    pub(super) fn somebody_waits(&self) -> bool {
        !self.line.is_empty()
    }

    fn grant(&mut self, pool: &Arc<Pool>, want: Want, now: Instant) -> Option<Turn> {
        if want == Want::Share
            && let Some(share) = self.lanes.join(pool, now)
        {
            return Some(Turn::Share(share));
        }
        if self.taken >= limits::POOL_SIZE {
            return None;
        }
        let connection = self.take(want.session());
        Some(Turn::Alone(self.place(pool, want, connection, now)))
    }

    pub(super) fn place(
        &mut self,
        pool: &Arc<Pool>,
        want: Want,
        connection: Option<Warm>,
        now: Instant,
    ) -> Checkout {
        self.taken += 1;
        Checkout {
            pool: pool.clone(),
            warm: connection.is_some(),
            connection,
            session: want.session(),
            closed: want != Want::Share,
            since: now,
            holds_place: true,
        }
    }

    /// A connection that broke while it waited is dropped here: nothing runs on it.
    pub(super) fn take(&mut self, session: Session) -> Option<Warm> {
        while let Some(at) = self.idle.iter().rposition(|idle| idle.connection.session() == session) {
            let found = self.idle.remove(at);
            if found.connection.is_usable() {
                return Some(found.connection);
            }
        }
        None
    }
}

/// Closes what was idle for too long, and ends when nothing is left.
async fn watch(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(limits::POOL_IDLE / 2).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut state = pool.state();
        let (old, young): (Vec<_>, Vec<_>) =
            state.idle.drain(..).partition(|idle| idle.since.elapsed() >= limits::POOL_IDLE);
        state.idle = young;
        let done = state.idle.is_empty();
        if done {
            // Under the lock: who puts one back after this starts another watch.
            state.watched = false;
        }
        drop(state);
        close_all(old);
        if done {
            return;
        }
    }
}

fn close_all(idle: Vec<Idle>) {
    for idle in idle {
        // Without a runtime the sockets are closed by dropping them.
        afterwards::spawn(idle.connection.close());
    }
}

/// Becomes free when it is dropped.
struct Place(Arc<Pool>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.vacate();
    }
}

/// A call in the line before the pool.
struct InLine<'a> {
    pool: &'a Arc<Pool>,
    served: bool,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        if !self.served {
            self.pool.state().line.retain(|waiting| !waiting.turn.is_closed());
            // Who stands behind may have room where this one had none.
            self.pool.serve();
        }
    }
}

fn busy() -> DatabaseError {
    let mut error = DatabaseError::new(
        Fault::TooManyConnections,
        "All connections to this database are busy. Try again in a moment, or make its statements faster.",
    );
    error.retry_after = Some(RETRY_AFTER);
    error
}
