//! One pool: places for connections, and the warm ones that wait.

use super::breaker::Breaker;
use crate::databases::driver::{Connection, Session};
use crate::databases::error::Fault;
use crate::databases::{DatabaseError, afterwards};
use domain::limits;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

/// When a caller may try again that found all connections busy.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How many holds the average of how long a place is held looks back on, about.
const HELD_WEIGHT: u64 = 8;

/// Every connection in use holds a permit, first come first served; idle ones hold none, so a pool is full when
/// permits taken and idle connections make up its size.
pub(super) struct Pool {
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    closed: AtomicBool,
    /// A task looks after idle connections.
    watched: AtomicBool,
    breaker: Breaker,
    /// How many wait for a place.
    line: AtomicUsize,
    /// Microseconds that a place is held, about: the moving average of the last ones.
    held: AtomicU64,
}

/// The most recently used is last, and taken first: the others grow old and are closed.
struct Idle {
    connection: Box<dyn Connection>,
    session: Session,
    since: Instant,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(limits::POOL_SIZE)),
            idle: Mutex::default(),
            closed: AtomicBool::new(false),
            watched: AtomicBool::new(false),
            breaker: Breaker::default(),
            line: AtomicUsize::new(0),
            held: AtomicU64::new(0),
        }
    }
}

impl Pool {
    /// A place in the pool, with a warm connection in it where there is one.
    pub(super) async fn checkout(
        pool: &Arc<Self>,
        session: Session,
        patience: Instant,
    ) -> Result<Checkout, DatabaseError> {
        let permit = match pool.permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_busy) => {
                let _place = Place::in_line(pool, patience).ok_or_else(busy)?;
                match timeout_at(patience.into(), pool.permits.clone().acquire_owned()).await {
                    Ok(Ok(permit)) => permit,
                    Ok(Err(_)) | Err(_) => return Err(busy()),
                }
            }
        };
        let connection = pool.take(session);
        Ok(Checkout {
            pool: pool.clone(),
            session,
            warm: connection.is_some(),
            connection,
            permit: Some(permit),
            since: Instant::now(),
        })
    }

    /// A connection that broke while it waited is dropped here: nothing runs on it.
    fn take(&self, session: Session) -> Option<Box<dyn Connection>> {
        let mut idle = self.idle();
        while let Some(at) = idle.iter().rposition(|idle| idle.session == session) {
            let found = idle.remove(at);
            if found.connection.is_usable() {
                return Some(found.connection);
            }
        }
        None
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.line.load(Ordering::Relaxed)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No connection waits here any more, and none comes back.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let idle = std::mem::take(&mut *self.idle());
        close_all(idle);
    }

    /// Lossy when two end at once, which an average can bear.
    pub(super) fn was_held(&self, time: Duration) {
        let before = self.held.load(Ordering::Relaxed);
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let after = before - before / HELD_WEIGHT + time / HELD_WEIGHT;
        self.held.store(after, Ordering::Relaxed);
    }

    fn put_back(self: &Arc<Self>, connection: Box<dyn Connection>, session: Session) {
        let mut idle = self.idle();
        // Read under the lock, so that `close` sees this connection or this sees the flag.
        if self.closed.load(Ordering::Acquire) {
            drop(idle);
            close_all(vec![Idle { connection, session, since: Instant::now() }]);
            return;
        }
        idle.push(Idle { connection, session, since: Instant::now() });
        drop(idle);
        if !self.watched.swap(true, Ordering::AcqRel)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(watch(Arc::downgrade(self)));
        }
    }
}

/// Closes what was idle for too long, and ends when nothing is left.
async fn watch(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(limits::POOL_IDLE / 2).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut idle = pool.idle();
        let (old, young): (Vec<_>, Vec<_>) =
            idle.drain(..).partition(|idle| idle.since.elapsed() >= limits::POOL_IDLE);
        *idle = young;
        let done = idle.is_empty();
        if done {
            // Under the lock: who puts one back after this starts another watch.
            pool.watched.store(false, Ordering::Release);
        }
        drop(idle);
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

/// A call in the line before the pool. The line is first come first served.
struct Place<'a>(&'a Pool);

impl<'a> Place<'a> {
    /// None where waiting is of no use: whoever joined could not be served in time, by what the last ones took.
    fn in_line(pool: &'a Pool, patience: Instant) -> Option<Self> {
        let place = Self(pool);
        let before = pool.line.fetch_add(1, Ordering::Relaxed) as u64;
        let turns = before / limits::POOL_SIZE as u64;
        let wait = Duration::from_micros(pool.held.load(Ordering::Relaxed).saturating_mul(turns));
        (before < limits::POOL_LINE as u64 && Instant::now() + wait <= patience).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.line.fetch_sub(1, Ordering::Relaxed);
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

/// A place in the pool. When it is given back, a healthy connection waits for the next call; a broken one is closed
/// first and only then makes room for another.
pub(super) struct Checkout {
    pool: Arc<Pool>,
    session: Session,
    connection: Option<Box<dyn Connection>>,
    permit: Option<OwnedSemaphorePermit>,
    /// The connection had waited in the pool, and may have died there without a sign.
    warm: bool,
    since: Instant,
}

impl Checkout {
    pub(super) fn is_empty(&self) -> bool {
        self.connection.is_none()
    }

    pub(super) fn breaker(&self) -> &Breaker {
        &self.pool.breaker
    }

    pub(super) fn connection(&mut self) -> &mut dyn Connection {
        match &mut self.connection {
            Some(connection) => connection.as_mut(),
            // `Pools::checkout` fills an empty place before it hands it on.
            None => unreachable!("a checkout is used before it was filled"),
        }
    }

    /// Whether a warm connection turned out to be dead: then nothing happened, and once more on a new one is safe.
    pub(super) fn may_run_again<T>(&self, result: &Result<T, DatabaseError>) -> bool {
        self.warm && matches!(result, Err(error) if error.fault == Fault::ConnectionLost)
    }

    /// Makes sure that another connection does not exceed the pool's size: its own old one goes, and, when the rest
    /// is taken by idle ones of the other session, the one that waited longest.
    pub(super) async fn make_room(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.close().await;
        }
        let oldest = {
            let mut idle = self.pool.idle();
            let in_use = limits::POOL_SIZE - self.pool.permits.available_permits();
            (in_use + idle.len() > limits::POOL_SIZE && !idle.is_empty()).then(|| idle.remove(0))
        };
        if let Some(oldest) = oldest {
            oldest.connection.close().await;
        }
    }

    pub(super) fn fill(&mut self, connection: Box<dyn Connection>) {
        self.connection = Some(connection);
        self.warm = false;
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        self.pool.was_held(self.since.elapsed());
        let Some(connection) = self.connection.take() else { return };
        if connection.is_usable() {
            self.pool.put_back(connection, self.session);
            return;
        }
        let permit = self.permit.take();
        afterwards::spawn(async move {
            connection.close().await;
            drop(permit);
        });
    }
}
