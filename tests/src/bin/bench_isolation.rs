//! What one database costs the calls to others when it is out of reach, and what more calls than it can serve cost those
//! that it serves. Callers, pools and the way are one process; PostgreSQL is beside it.

use domain::arguments::Bound;
use domain::limits::POOL_SIZE;
use domain::statement::{Request, RequestInput, compile};
use events::scoping::Blocked;
use events::skill::{Projected, Source, Statement};
use events::{IntegrationKind, OrganizationId};
use futures_util::future::join_all;
use infra::databases::dial::Dialer;
use infra::databases::driver::Drivers;
use infra::databases::guard::Guard;
use infra::databases::pool::{CredentialSource, PoolKey, Pools};
use infra::databases::{Credentials, Session};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tests::cutter::{Cutter, How};
use tests::engines;

const KIND: IntegrationKind = IntegrationKind::Postgres;
const DATABASES: usize = 10;
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(1);
/// What a statement of the overload takes.
const SLEEP: &str = "0.01";
const OVERLOAD: u32 = 5;

#[derive(Clone)]
struct Caller {
    pools: Arc<Pools>,
    key: PoolKey,
    source: CredentialSource,
    statement: Arc<Statement>,
}

impl Caller {
    fn new(pools: &Arc<Pools>, name: &str, credentials: Credentials, statement: &Arc<Statement>) -> Self {
        let source: CredentialSource = Arc::new(move || {
            let credentials = credentials.clone();
            Box::pin(async move { Ok(credentials) })
        });
        let key = PoolKey { organization: OrganizationId::from(name), kind: KIND, credential_version: 1 };
        Self { pools: pools.clone(), key, source, statement: statement.clone() }
    }

    /// How long it took, when it was served.
    async fn call(&self) -> Option<Duration> {
        let began = Instant::now();
        let binds = [Bound::Integer(1)];
        let read = self.pools.read(&self.key, &self.source, &self.statement, &binds, began + PATIENCE);
        read.await.is_ok().then(|| began.elapsed())
    }

    /// One call after the other, with a little time between them.
    async fn calls(self, pause: Duration) -> (Vec<Duration>, usize) {
        let (mut took, mut failed, began) = (Vec::new(), 0, Instant::now());
        while began.elapsed() < ROUND {
            match self.call().await {
                Some(time) => took.push(time),
                None => failed += 1,
            }
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
        (took, failed)
    }
}

#[tokio::main]
async fn main() {
    let engine = engines::postgres();
    let database = engine.database(
        "CREATE TABLE rooms (id int PRIMARY KEY, note varchar(9)); INSERT INTO rooms VALUES (1, 'a')",
    );
    let credentials = engine.reader(&database);
    let guard = Guard { allowed: vec!["127.0.0.0/8".parse().expect("a range")] };
    let pools = Arc::new(Pools::new(Drivers { dialer: Arc::new(Dialer::new(guard)) }));
    let opened = pools.drivers().open(KIND, &credentials, Session::ReadOnly).await.expect("it opens");
    let quick = Arc::new(frozen(opened).await);

    let cutter = Cutter::before(credentials.port).await;
    let away = Caller::new(&pools, "away", cutter.to(credentials.clone()), &quick);
    let neighbours: Vec<_> = (1..DATABASES)
        .map(|n| Caller::new(&pools, &format!("neighbour-{n}"), credentials.clone(), &quick))
        .collect();
    println!(
        "one of {DATABASES} databases out of reach; ms of the other {} with it and without",
        DATABASES - 1
    );
    for _ in 0..ROUNDS {
        let with = side_by_side(&neighbours, &away).await;
        cutter.strike(How::Silent);
        let without = side_by_side(&neighbours, &away).await;
        cutter.mend();
        println!("  in reach: {with}   away: {without}");
        // Until it is dialled again.
        while away.call().await.is_none() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    let mut slow = Statement::clone(&quick);
    slow.text = format!("SELECT pg_catalog.pg_sleep({SLEEP})::text WHERE $1::int4 = 1");
    slow.hash.push_str(" slow");
    let busy = Caller::new(&pools, "busy", credentials, &Arc::new(slow));
    println!("{OVERLOAD} times what a database serves; calls served a second at its peak and then");
    for _ in 0..ROUNDS {
        let callers = (0..2 * POOL_SIZE).map(|_| tokio::spawn(busy.clone().calls(Duration::ZERO)));
        let done = join_all(callers.collect::<Vec<_>>()).await;
        let peak: usize = done.into_iter().map(|done| done.expect("it does not panic").0.len()).sum();
        let served = overloaded(&busy, peak).await;
        let a_second = |calls: usize| calls as f64 / ROUND.as_secs_f64();
        println!(
            "  peak: {:.0}   overloaded: {:.0}   ratio: {:.2}",
            a_second(peak),
            a_second(served),
            served as f64 / peak as f64
        );
    }
}

async fn side_by_side(neighbours: &[Caller], away: &Caller) -> String {
    let pause = Duration::from_millis(20);
    let others: Vec<_> = (0..2 * POOL_SIZE).map(|_| tokio::spawn(away.clone().calls(pause))).collect();
    let callers: Vec<_> = neighbours.iter().map(|caller| tokio::spawn(caller.clone().calls(pause))).collect();
    let (mut took, mut failed) = (Vec::new(), 0);
    for done in join_all(callers).await {
        let (times, failures) = done.expect("it does not panic");
        took.extend(times);
        failed += failures;
    }
    join_all(others).await;
    took.sort_unstable();
    let at = |percent: usize| took[took.len() * percent / 100].as_secs_f64() * 1000.0;
    format!("p50 {:.2} p99 {:.2}, {} calls, {failed} failed", at(50), at(99), took.len())
}

/// Calls that come by the clock, whatever becomes of those before.
async fn overloaded(busy: &Caller, peak: usize) -> usize {
    let calls = peak as u32 * OVERLOAD;
    let began = tokio::time::Instant::now();
    let mut running = Vec::new();
    for n in 0..calls {
        tokio::time::sleep_until(began + ROUND * n / calls).await;
        let busy = busy.clone();
        running.push(tokio::spawn(async move { busy.call().await.is_some() }));
    }
    join_all(running).await.into_iter().filter(|served| *served.as_ref().expect("it does not panic")).count()
}

/// Reads one row by its key, as the compiler freezes it.
async fn frozen(mut connection: Box<dyn infra::databases::driver::Connection>) -> Statement {
    let catalog = connection.introspect(&|_| {}).await.expect("it is read");
    let input = RequestInput {
        param: "id".into(),
        arg: "id".into(),
        required: Some(true),
        description: None,
        source: Source::Model,
        value: None,
    };
    let request = Request {
        operation: "rooms.read".into(),
        inputs: vec![input],
        projection: vec![Projected { path: vec!["rooms".into(), "note".into()], leaf: "note".into() }],
        ..Request::default()
    };
    compile(&catalog, &Blocked::default(), &request).expect("it compiles").1
}
