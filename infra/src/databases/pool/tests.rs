mod late;
mod sharing;

use super::*;
use crate::databases::Plan;
use crate::databases::driver::{Connection, ReadOnlyProof, Reader, ServerInfo};
use async_trait::async_trait;
use domain::catalog::Catalog;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Notify;

/// What a connection answers to a read.
type Reads = Box<dyn Fn() -> BoxFuture<'static, Result<Rows, DatabaseError>> + Send + Sync>;

/// A connection that counts itself.
struct Fake {
    open: Arc<AtomicUsize>,
    usable: Arc<AtomicBool>,
    /// Closing waits for this, as it does while a cancel is under way.
    closing: Option<Arc<Notify>>,
    reads: Option<Reads>,
}

impl Fake {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::SeqCst);
        Self { open: open.clone(), usable: Arc::new(AtomicBool::new(true)), closing: None, reads: None }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

const UNUSED: &str = "no statement is to be run on it";

#[async_trait]
impl Connection for Fake {
    fn server(&self) -> ServerInfo {
        unreachable!("{UNUSED}")
    }
    fn is_usable(&self) -> bool {
        self.usable.load(Ordering::SeqCst)
    }
    fn into_reader(self: Box<Self>) -> Arc<dyn Reader> {
        Arc::new(*self)
    }
    async fn ending(&mut self, _: &Trace, _: Duration, _: Instant) -> Result<Ending, DatabaseError> {
        unreachable!("{UNUSED}")
    }
    async fn write(
        &mut self,
        _: &Statement,
        _: &[Bound],
        _: Instant,
        _: Option<&dyn BeforeCommit>,
    ) -> Result<Written, DatabaseError> {
        unreachable!("{UNUSED}")
    }
    async fn introspect(&mut self, _: &(dyn Fn(u64) + Send + Sync)) -> Result<Catalog, DatabaseError> {
        unreachable!("{UNUSED}")
    }
    async fn explain(&mut self, _: &Statement) -> Result<Plan, DatabaseError> {
        unreachable!("{UNUSED}")
    }
    async fn count_objects(&mut self) -> Result<u64, DatabaseError> {
        unreachable!("{UNUSED}")
    }
    async fn probe_read(&mut self) -> Result<Option<String>, DatabaseError> {
        unreachable!("{UNUSED}")
    }
    async fn prove_read_only(&mut self) -> Result<ReadOnlyProof, DatabaseError> {
        unreachable!("{UNUSED}")
    }
    async fn ping(&mut self) -> Result<Duration, DatabaseError> {
        unreachable!("{UNUSED}")
    }
    async fn close(self: Box<Self>) {
        if let Some(closing) = &self.closing {
            closing.notified().await;
        }
    }
}

#[async_trait]
impl Reader for Fake {
    fn is_usable(&self) -> bool {
        self.usable.load(Ordering::SeqCst)
    }
    fn shares(&self) -> bool {
        true
    }
    async fn read(&self, _: &Statement, _: &[Bound], _: Instant) -> Result<Rows, DatabaseError> {
        self.reads.as_ref().expect(UNUSED)().await
    }
    async fn close(self: Arc<Self>) {
        if let Some(closing) = &self.closing {
            closing.notified().await;
        }
    }
}

/// What happens in another task.
async fn until(done: impl Fn() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < give_up, "it does not happen");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn now() -> Instant {
    Instant::now()
}

/// A place with a new connection in it, as `Pools::checkout` makes it.
async fn filled(pool: &Arc<Pool>, session: Session, open: &Arc<AtomicUsize>) -> Checkout {
    let mut checkout = Pool::checkout(pool, session, now()).await.unwrap();
    if checkout.is_empty() {
        checkout.make_room().await;
        checkout.fill(Box::new(Fake::new(open)));
    }
    checkout
}

#[tokio::test]
async fn reads_and_writes_share_one_cap_and_idle_ones_make_room() {
    let (pool, open) = (Arc::new(Pool::default()), Arc::new(AtomicUsize::new(0)));
    let mut reads = Vec::new();
    for _ in 0..limits::POOL_SIZE {
        reads.push(filled(&pool, Session::ReadOnly, &open).await);
    }
    let busy = Pool::checkout(&pool, Session::ReadOnly, now()).await.err().unwrap();
    assert_eq!(busy.fault, Fault::TooManyConnections);
    assert!(busy.retry_after.is_some());
    drop(reads);
    assert_eq!(open.load(Ordering::SeqCst), limits::POOL_SIZE);
    let mut writes = Vec::new();
    for taken in 1..=limits::POOL_SIZE {
        writes.push(filled(&pool, Session::ReadWrite, &open).await);
        assert_eq!(open.load(Ordering::SeqCst), limits::POOL_SIZE, "after {taken} writes");
    }
}

#[tokio::test]
async fn a_warm_connection_is_used_again_in_its_own_session_only() {
    let (pool, open) = (Arc::new(Pool::default()), Arc::new(AtomicUsize::new(0)));
    drop(filled(&pool, Session::ReadOnly, &open).await);
    assert!(Pool::checkout(&pool, Session::ReadWrite, now()).await.unwrap().is_empty());
    let again = Pool::checkout(&pool, Session::ReadOnly, now()).await.unwrap();
    assert!(!again.is_empty());
    let lost: Result<(), _> = Err(DatabaseError::new(Fault::ConnectionLost, ""));
    assert!(again.may_run_again(&lost), "it may have died while it waited");
    let in_doubt: Result<(), _> = Err(DatabaseError::new(Fault::InDoubt, ""));
    assert!(!again.may_run_again(&in_doubt));
    let fresh = filled(&pool, Session::ReadOnly, &open).await;
    assert!(!fresh.may_run_again(&lost), "what fails on a new connection fails again");
}

#[tokio::test]
async fn a_broken_connection_holds_its_place_until_it_is_closed() {
    let (pool, open) = (Arc::new(Pool::default()), Arc::new(AtomicUsize::new(0)));
    let closing = Arc::new(Notify::new());
    let mut checkouts = Vec::new();
    for _ in 0..limits::POOL_SIZE {
        let mut checkout = Pool::checkout(&pool, Session::ReadOnly, now()).await.unwrap();
        let mut fake = Fake::new(&open);
        fake.closing = Some(closing.clone());
        fake.usable.store(false, Ordering::SeqCst);
        checkout.fill(Box::new(fake));
        checkouts.push(checkout);
    }
    drop(checkouts);
    assert!(Pool::checkout(&pool, Session::ReadOnly, now()).await.is_err());
    // The place is free as soon as the one close is through.
    closing.notify_one();
    let patience = now() + Duration::from_secs(5);
    assert!(Pool::checkout(&pool, Session::ReadOnly, patience).await.unwrap().is_empty());
    assert_eq!(open.load(Ordering::SeqCst), limits::POOL_SIZE - 1);
}

#[tokio::test]
async fn a_connection_that_died_while_it_waited_is_passed_over() {
    let (pool, open) = (Arc::new(Pool::default()), Arc::new(AtomicUsize::new(0)));
    let mut checkout = Pool::checkout(&pool, Session::ReadOnly, now()).await.unwrap();
    let fake = Fake::new(&open);
    let usable = fake.usable.clone();
    checkout.fill(Box::new(fake));
    drop(checkout);
    usable.store(false, Ordering::SeqCst);
    assert!(Pool::checkout(&pool, Session::ReadOnly, now()).await.unwrap().is_empty());
    assert_eq!(open.load(Ordering::SeqCst), 0);
}

/// Callers who wait, once all of them do.
async fn line(pool: &Arc<Pool>, length: usize, patience: Instant) -> Vec<tokio::task::JoinHandle<bool>> {
    let join = |_| {
        let pool = pool.clone();
        tokio::spawn(async move { Pool::checkout(&pool, Session::ReadOnly, patience).await.is_ok() })
    };
    let waiting = (0..length).map(join).collect();
    while pool.usage().waiting < length {
        tokio::task::yield_now().await;
    }
    waiting
}

async fn all_taken(pool: &Arc<Pool>) -> Vec<Checkout> {
    all_taken_but(pool, 0).await
}

async fn all_taken_but(pool: &Arc<Pool>, free: usize) -> Vec<Checkout> {
    let mut taken = Vec::new();
    while pool.usage().used + free < limits::POOL_SIZE {
        taken.push(Pool::checkout(pool, Session::ReadOnly, now()).await.unwrap());
    }
    taken
}

#[tokio::test]
async fn a_full_line_is_answered_at_once_and_everybody_in_it_is_served() {
    let pool = Arc::new(Pool::default());
    let taken = all_taken(&pool).await;
    let patience = now() + Duration::from_secs(60);
    let waiting = line(&pool, limits::POOL_LINE, patience).await;
    let surplus = Pool::checkout(&pool, Session::ReadOnly, patience).now_or_never().unwrap();
    assert_eq!(surplus.err().unwrap().fault, Fault::TooManyConnections);
    drop(taken);
    for served in waiting {
        assert!(served.await.unwrap());
    }
    assert_eq!(pool.usage().waiting, 0);
}

#[tokio::test]
async fn nobody_joins_a_line_that_is_too_slow_for_him() {
    let pool = Arc::new(Pool::default());
    for _ in 0..50 {
        pool.was_held(Duration::from_millis(100));
    }
    let _taken = all_taken(&pool).await;
    let patience = |millis| now() + Duration::from_millis(millis);
    // Two turns of all connections are ahead, 200 ms.
    let waiting = line(&pool, 2 * limits::POOL_SIZE, patience(60_000)).await;
    let hurried = Pool::checkout(&pool, Session::ReadOnly, patience(150)).now_or_never().unwrap();
    let hurried = hurried.err().unwrap();
    assert_eq!((hurried.fault, hurried.retry_after.is_some()), (Fault::TooManyConnections, true));
    assert!(Pool::checkout(&pool, Session::ReadOnly, patience(60_000)).now_or_never().is_none(), "he waits");
    waiting.iter().for_each(|waiting| waiting.abort());
}

#[tokio::test]
async fn a_closed_pool_keeps_no_connection() {
    let (pool, open) = (Arc::new(Pool::default()), Arc::new(AtomicUsize::new(0)));
    let first = filled(&pool, Session::ReadOnly, &open).await;
    drop(filled(&pool, Session::ReadOnly, &open).await);
    assert_eq!(open.load(Ordering::SeqCst), 2);
    pool.close();
    drop(first);
    // Closing is spawned; it needs one turn of the runtime for each.
    until(|| open.load(Ordering::SeqCst) == 0).await;
}
