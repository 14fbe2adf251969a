//! Reads that are asked once more: elsewhere too because they are late, or again because their connection was lost.

use super::super::elsewhere::{Elsewhere, Question};
use super::super::lanes::Plan as Planned;
use super::super::reads;
use super::super::slots::Want;
use super::sharing::{part, took};
use super::*;
use crate::databases::dial::Dialer;
use crate::databases::guard::Guard;
use crate::telemetry::{self, AskedAgain};
use serde_json::{Value, json};
use std::future::pending;
use tokio::time::{sleep, timeout};

type Answer = BoxFuture<'static, Result<Rows, DatabaseError>>;

fn fault(fault: Fault) -> DatabaseError {
    DatabaseError::new(fault, "")
}

fn rows(value: &str) -> Rows {
    Rows { rows: vec![vec![json!(value)]], truncated: false }
}

fn after(millis: u64, result: Result<Rows, DatabaseError>) -> impl Fn() -> Answer + Send + Sync {
    move || {
        let result = result.clone();
        Box::pin(async move {
            sleep(Duration::from_millis(millis)).await;
            result
        })
    }
}

/// The way to a database that cannot be dialled; all that can be read from are the connections that are there.
struct Scene {
    pool: Arc<Pool>,
    open: Arc<AtomicUsize>,
    drivers: Drivers,
    source: CredentialSource,
    dialled: Arc<AtomicUsize>,
}

impl Scene {
    fn new() -> Self {
        let pool = Arc::new(Pool::default());
        pool.state().lanes.learn(Duration::from_secs(60), Duration::from_micros(500));
        let dialled = Arc::new(AtomicUsize::new(0));
        let counted = dialled.clone();
        let source: CredentialSource = Arc::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Box::pin(async { Err(fault(Fault::ConnectRefused)) })
        });
        let drivers = Drivers { dialer: Arc::new(Dialer::new(Guard { allowed: Vec::new() })) };
        Self { pool, open: Arc::new(AtomicUsize::new(0)), drivers, source, dialled }
    }

    /// To be dropped into the pool: of several the last one is used first.
    fn connection(&self, reads: impl Fn() -> Answer + Send + Sync + 'static) -> Checkout {
        self.connected(Fake::new(&self.open), reads)
    }

    fn connected(&self, mut fake: Fake, reads: impl Fn() -> Answer + Send + Sync + 'static) -> Checkout {
        let waiting = Pool::checkout(&self.pool, Session::ReadOnly, now());
        let mut checkout = waiting.now_or_never().unwrap().unwrap();
        assert!(checkout.is_empty());
        checkout.closed = false;
        fake.reads = Some(Box::new(reads));
        checkout.fill(Box::new(fake));
        checkout
    }

    async fn read(&self, time: Duration) -> Result<Vec<Vec<Value>>, Fault> {
        self.read_with(Duration::from_millis(5), time).await
    }

    async fn read_with(&self, patience: Duration, time: Duration) -> Result<Vec<Vec<Value>>, Fault> {
        let way = Way {
            pool: self.pool.clone(),
            kind: IntegrationKind::Postgres,
            drivers: &self.drivers,
            source: &self.source,
        };
        let plan = Planned { want: Want::Share, patience: Some(patience) };
        let question = Question {
            kind: IntegrationKind::Postgres,
            statement: Arc::new(crate::databases::mysql::scripted::any_read()),
            binds: Vec::new(),
            deadline: now() + time,
            answered: AtomicBool::new(false),
        };
        let read = timeout(Duration::from_secs(30), reads::read(&way, plan, Arc::new(question)));
        read.await.expect("an answer").map(|rows| rows.rows).map_err(|error| error.fault)
    }
}

/// What has been asked again by this process: late, and lost.
fn asked_again() -> (usize, usize) {
    static COUNTS: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];
    struct Counting;
    impl telemetry::Listener for Counting {
        fn measured(&self, what: Measured) {
            if let Measured::AskedAgain { why, .. } = what {
                COUNTS[usize::from(why == AskedAgain::Lost)].fetch_add(1, Ordering::SeqCst);
            }
        }
    }
    telemetry::listen(Arc::new(Counting));
    (COUNTS[0].load(Ordering::SeqCst), COUNTS[1].load(Ordering::SeqCst))
}

const LONG: Duration = Duration::from_secs(600);

/// Tells when it is dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn the_first_answer_counts_and_the_other_read_keeps_its_connection_for_a_while() {
    let scene = Scene::new();
    let given_up = Arc::new(AtomicBool::new(false));
    let dropped = given_up.clone();
    let silent = scene.connection(move || {
        let guard = Dropped(dropped.clone());
        Box::pin(async move {
            let _guard = guard;
            pending().await
        })
    });
    let quick = scene.connection(after(0, Ok(rows("quick"))));
    drop(quick);
    drop(silent);
    let (late, _) = asked_again();
    assert_eq!(scene.read(LONG).await, Ok(rows("quick").rows));
    assert!(asked_again().0 > late, "it is counted");
    assert_eq!((scene.pool.usage().used, scene.pool.usage().idle), (1, 1), "nobody is given the silent one");
    until(|| given_up.load(Ordering::SeqCst)).await;
    assert_eq!(scene.pool.usage().used, 0);
    assert_eq!(scene.dialled.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn who_is_behind_a_slow_one_reads_with_others_where_all_places_are_taken() {
    let scene = Scene::new();
    let quick: Vec<_> =
        (1..limits::POOL_SIZE).map(|_| scene.connection(after(0, Ok(rows("quick"))))).collect();
    let slow = scene.connection(|| Box::pin(pending())).share();
    let mut reading = Box::pin(scene.read_with(Duration::from_millis(600), LONG));
    assert!(reading.as_mut().now_or_never().is_none());
    assert_eq!(scene.pool.state().lanes.reads(), 2, "it is behind the slow one");
    // By now that one is late, and another connection has been read from for a short time.
    scene.pool.state().lanes.learn(Duration::from_millis(500), Duration::from_micros(500));
    sleep(Duration::from_millis(550)).await;
    drop(quick);
    let taken = all_taken_but(&scene.pool, 1).await;
    let other = part(&scene.pool, &scene.open).await;
    assert_ne!(other.part().lane, slow.part().lane);
    assert_eq!(scene.pool.usage().used, limits::POOL_SIZE);
    assert_eq!(reading.await, Ok(rows("quick").rows));
    drop(taken);
}

#[tokio::test]
async fn a_refusal_is_an_answer_where_it_was_asked_first() {
    let scene = Scene::new();
    let refusing = scene.connection(after(50, Err(fault(Fault::PermissionDenied))));
    let silent = scene.connection(|| Box::pin(pending()));
    drop(silent);
    drop(refusing);
    assert_eq!(scene.read(LONG).await, Err(Fault::PermissionDenied));
}

#[tokio::test]
async fn what_fails_elsewhere_does_not_count_while_the_first_may_answer() {
    let scene = Scene::new();
    let late = scene.connection(after(100, Ok(rows("late"))));
    let refusing = scene.connection(after(0, Err(fault(Fault::PermissionDenied))));
    drop(refusing);
    drop(late);
    assert_eq!(scene.read(LONG).await, Ok(rows("late").rows));
}

#[tokio::test]
async fn what_is_lost_is_answered_by_the_other() {
    let scene = Scene::new();
    let lost = scene.connection(after(50, Err(fault(Fault::ConnectionLost))));
    let later = scene.connection(after(100, Ok(rows("later"))));
    drop(later);
    drop(lost);
    assert_eq!(scene.read(LONG).await, Ok(rows("later").rows));
}

#[tokio::test]
async fn what_is_lost_is_asked_again_and_at_last_on_a_new_connection() {
    let broken = |scene: &Scene| {
        let fake = Fake::new(&scene.open);
        let usable = fake.usable.clone();
        scene.connected(fake, move || {
            usable.store(false, Ordering::SeqCst);
            Box::pin(async { Err(fault(Fault::ConnectionLost)) })
        })
    };
    let scene = Scene::new();
    let (one, whole) = (broken(&scene), scene.connection(after(0, Ok(rows("whole")))));
    drop(whole);
    drop(one);
    let (_, lost) = asked_again();
    assert_eq!(scene.read(LONG).await, Ok(rows("whole").rows));
    assert!(asked_again().1 > lost, "it is counted");

    let scene = Scene::new();
    let all = [broken(&scene), broken(&scene), broken(&scene)];
    drop(all);
    assert_eq!(scene.read(LONG).await, Err(Fault::ConnectRefused));
    assert_eq!(scene.dialled.load(Ordering::SeqCst), 1, "not with what was warm");
}

#[tokio::test]
async fn who_had_a_turn_is_not_told_that_all_are_busy() {
    let scene = Scene::new();
    let mut fake = Fake::new(&scene.open);
    // Its place is not free before it is closed, and it never is.
    fake.closing = Some(Arc::new(Notify::new()));
    let usable = fake.usable.clone();
    let lost = scene.connected(fake, move || {
        usable.store(false, Ordering::SeqCst);
        Box::pin(async { Err(fault(Fault::ConnectionLost)) })
    });
    let mut taken = Vec::new();
    while scene.pool.usage().used < limits::POOL_SIZE {
        taken.push(Pool::checkout(&scene.pool, Session::ReadWrite, now()).await.unwrap());
    }
    drop(lost);
    assert_eq!(scene.read(Duration::from_millis(200)).await, Err(Fault::StatementTimeout));
}

#[tokio::test]
async fn a_connection_is_opened_for_who_is_late_only_where_that_helps() {
    let elsewhere = |scene: &Scene, lane| Pool::elsewhere(&scene.pool, lane, Want::Share);
    let scene = Scene::new();
    let first = scene.connection(after(0, Ok(rows("any")))).share();
    let lane = first.part().lane;
    let late = |scene: &Scene| {
        scene.pool.state().lanes.learn(Duration::from_millis(1), Duration::from_micros(500));
        std::thread::sleep(Duration::from_millis(4));
    };
    late(&scene);
    assert!(elsewhere(&scene, lane).is_none(), "nobody is in its way");
    scene.pool.state().lanes.learn(Duration::from_secs(60), Duration::from_micros(500));
    let second = part(&scene.pool, &scene.open).await;
    assert_eq!(second.part().lane, lane);
    late(&scene);
    let Some(Elsewhere::New(checkout, dialling)) = elsewhere(&scene, lane) else { panic!("it may help") };
    assert!(elsewhere(&scene, lane).is_none(), "one at a time");
    drop((checkout, dialling));
    assert!(matches!(elsewhere(&scene, lane), Some(Elsewhere::New(..))));
    for _ in 0..5 {
        let refused: Result<(), _> = Err(fault(Fault::ConnectRefused));
        scene.pool.breaker().observe(&refused, now());
    }
    assert!(elsewhere(&scene, lane).is_none(), "nobody dials it");

    let scene = Scene::new();
    let first = scene.connection(after(0, Ok(rows("any")))).share();
    let lane = first.part().lane;
    let second = part(&scene.pool, &scene.open).await;
    assert_eq!(second.part().lane, lane);
    late(&scene);
    let mut warm = Vec::new();
    while scene.pool.usage().used < limits::POOL_SIZE {
        let mut checkout = Pool::checkout(&scene.pool, Session::ReadWrite, now()).await.unwrap();
        checkout.fill(Box::new(Fake::new(&scene.open)));
        warm.push(checkout);
    }
    drop(warm);
    assert!(elsewhere(&scene, lane).is_none(), "a write may need the connections that are warm");
}

#[tokio::test]
async fn only_so_many_ask_twice_and_none_while_others_wait() {
    let scene = Scene::new();
    let slow = scene.connection(|| Box::pin(pending()));
    drop(scene.connection(after(0, Ok(rows("any")))));
    let lane = slow.share().part().lane;
    // Given back at once.
    let places = || std::iter::from_fn(|| Pool::elsewhere(&scene.pool, lane, Want::Share)).count();
    assert_eq!(places(), limits::READS_AT_ONCE);
    for _ in 0..31 {
        took(&scene.pool, &scene.open, "any", 1, true).await;
    }
    assert_eq!(places(), 1);
    for _ in 0..160 {
        took(&scene.pool, &scene.open, "any", 1, true).await;
    }
    let _taken = all_taken(&scene.pool).await;
    let mut waiting = Box::pin(Pool::turn(&scene.pool, Want::Alone(Session::ReadWrite), now() + LONG));
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(places(), 0);
}
