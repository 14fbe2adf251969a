//! Seven ways for a network to fail in six phases of a connection, on both engines: every read ends in time and says
//! what is so, and no connection is left behind.

use crate::cutter::{Break, Cutter, How, Point};
use crate::engines::{Engine, engine};
use domain::arguments::Bound;
use domain::catalog::Catalog;
use domain::statement::{Request, RequestInput, compile};
use events::scoping::Blocked;
use events::skill::{Projected, Source, Statement};
use events::{IntegrationKind, OrganizationId};
use futures_util::future::join_all;
use infra::databases::dial::Dialer;
use infra::databases::driver::Drivers;
use infra::databases::error::Fault;
use infra::databases::guard::Guard;
use infra::databases::pool::{CredentialSource, PoolKey, Pools};
use infra::databases::{Credentials, DatabaseError, Session};
use std::sync::Arc;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(3);
const BEYOND: Duration = Duration::from_secs(1);
const GONE_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Dial,
    Tls,
    Login,
    /// The first one of a new connection.
    Statement,
    Answer,
    /// Between two statements.
    Idle,
}

const PHASES: [Phase; 6] =
    [Phase::Dial, Phase::Tls, Phase::Login, Phase::Statement, Phase::Answer, Phase::Idle];
const FAULTS: [How; 7] =
    [How::Refused, How::Silent, How::Reset, How::HalfClosed, How::Trickling, How::Late, How::Garbled];

impl Phase {
    fn is_warm(self) -> bool {
        matches!(self, Phase::Statement | Phase::Answer | Phase::Idle)
    }
}

/// What one cell of the matrix works on.
struct Cell {
    kind: IntegrationKind,
    phase: Phase,
    how: How,
    pools: Pools,
    key: PoolKey,
    source: CredentialSource,
    statement: Arc<Statement>,
    cutter: Arc<Cutter>,
}

impl Cell {
    async fn read(&self) -> Result<usize, DatabaseError> {
        let deadline = Instant::now() + DEADLINE;
        let rows =
            self.pools.read(&self.key, &self.source, &self.statement, &[Bound::Integer(1)], deadline).await;
        rows.map(|rows| rows.rows.len())
    }

    /// A way that breaks in the read that follows.
    async fn prepare(&self) {
        let (kind, how) = (self.kind, self.how);
        let break_at = |flight, point| Break { flight, point, how, part: 50 };
        match self.phase {
            Phase::Dial => {
                self.cutter.arm(break_at(0, Point::Before));
                if how == How::Refused {
                    self.cutter.refuses().await;
                }
            }
            // PostgreSQL is asked for TLS first; MySQL greets, and both come in one flight.
            Phase::Tls => {
                self.cutter.arm(break_at(if kind == IntegrationKind::Postgres { 2 } else { 1 }, Point::Sent))
            }
            Phase::Login => {
                self.cutter.arm(break_at(if kind == IntegrationKind::Postgres { 3 } else { 2 }, Point::Sent))
            }
            Phase::Statement => {
                self.pools.warm(&self.key, &self.source, Instant::now() + DEADLINE).await.expect("it opens");
                self.cutter.arm(break_at(1, Point::Sent));
            }
            Phase::Answer => {
                assert_eq!(self.read().await, Ok(1));
                self.cutter.arm(break_at(1, Point::WithinAnswer));
            }
            Phase::Idle => {
                assert_eq!(self.read().await, Ok(1));
                self.cutter.strike(how);
                if how == How::Refused {
                    self.cutter.refuses().await;
                }
            }
        }
    }

    fn is_right(&self, ended: &Result<usize, Fault>) -> bool {
        let warm = self.phase.is_warm();
        match self.how {
            How::Late => *ended == Ok(1),
            How::Silent | How::Trickling if warm => *ended == Err(Fault::StatementTimeout),
            How::Silent | How::Trickling => *ended == Err(Fault::ConnectTimeout),
            // Nothing had happened, and a new connection is as good.
            How::Reset | How::HalfClosed | How::Closed if warm => *ended == Ok(1),
            // It may be gone before its address can be looked at.
            How::Reset if self.phase == Phase::Dial => {
                matches!(ended, Err(Fault::ConnectionLost | Fault::ConnectRefused))
            }
            How::Reset | How::HalfClosed | How::Closed => *ended == Err(Fault::ConnectionLost),
            How::Refused if warm || self.phase == Phase::Dial => *ended == Err(Fault::ConnectRefused),
            How::Refused => *ended == Err(Fault::ConnectionLost),
            How::Garbled => *ended == Err(Fault::ProtocolViolation),
        }
    }

    /// Connections that came this way, as the server sees them.
    async fn on_the_server(&self, engine: &'static Engine) -> usize {
        let ports: Vec<_> = self.cutter.ports().iter().map(u16::to_string).collect();
        let counted = match self.kind {
            IntegrationKind::Postgres => format!(
                "SELECT count(*) FROM pg_stat_activity WHERE client_port = ANY ('{{{}}}'::int[])",
                ports.join(",")
            ),
            IntegrationKind::Mysql => {
                let hosts: Vec<_> = ports.iter().map(|port| format!("'127.0.0.1:{port}'")).collect();
                let hosts = if hosts.is_empty() { "''".to_owned() } else { hosts.join(",") };
                format!("SELECT count(*) FROM information_schema.PROCESSLIST WHERE HOST IN ({hosts})")
            }
        };
        let database = if self.kind == IntegrationKind::Postgres { "postgres" } else { "mysql" };
        // It runs a program, and the other cells' reads are timed.
        let counted = tokio::task::spawn_blocking(move || engine.admin_sql(database, &counted)).await;
        counted.expect("it does not panic").trim().parse().expect("a number")
    }

    async fn come_down_to(&self, engine: &'static Engine, most: usize) -> Result<(), String> {
        let since = Instant::now();
        loop {
            let open = self.on_the_server(engine).await;
            if open <= most {
                return Ok(());
            }
            if since.elapsed() > GONE_WITHIN {
                return Err(format!("{open} connections are left on the server, {most} at most are ours"));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn run(self) -> Result<(), String> {
        let engine = engine(self.kind);
        self.prepare().await;
        let started = Instant::now();
        let ended = self.read().await.map_err(|error| error.fault);
        let took = started.elapsed();
        if took > DEADLINE + BEYOND {
            return Err(format!("took {took:?}"));
        }
        if !self.is_right(&ended) {
            return Err(format!("ended as {ended:?}"));
        }
        if !self.cutter.mend() {
            return Err("the way never broke".to_owned());
        }
        let healed = Instant::now();
        while self.read().await != Ok(1) {
            if healed.elapsed() > GONE_WITHIN {
                return Err("cannot be read when the way is mended".to_owned());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        // The one that waits in the pool, and none when that is closed.
        self.come_down_to(engine, 1).await?;
        self.pools.evict(&self.key.organization, self.kind, self.key.credential_version + 1);
        self.come_down_to(engine, 0).await
    }
}

fn pools() -> Pools {
    let guard = Guard { allowed: vec!["127.0.0.0/8".parse().expect("a range")] };
    Pools::new(Drivers { dialer: Arc::new(Dialer::new(guard)) })
}

/// Reads one row by its key, as the compiler freezes it.
fn frozen(catalog: &Catalog) -> Statement {
    let request = Request {
        operation: "rooms.read".into(),
        inputs: vec![RequestInput {
            param: "id".into(),
            arg: "id".into(),
            required: Some(true),
            description: None,
            source: Source::Model,
            value: None,
        }],
        projection: vec![Projected { path: vec!["rooms".into(), "note".into()], leaf: "note".into() }],
        ..Request::default()
    };
    compile(catalog, &Blocked::default(), &request).expect("it compiles").1
}

async fn every_fault_in_every_phase_ends_in_time_and_leaves_nothing(kind: IntegrationKind) {
    let engine = engine(kind);
    let note = "a note that is long enough to be cut in two";
    let database = engine.database(&format!(
        "CREATE TABLE rooms (id int PRIMARY KEY, note varchar(80)); INSERT INTO rooms VALUES (1, '{note}')"
    ));
    let credentials = engine.reader(&database);
    let opened = pools().drivers().open(kind, &credentials, Session::ReadOnly).await;
    let catalog = opened.expect("it opens").introspect(&|_| {}).await.expect("it is read");
    let statement = Arc::new(frozen(&catalog));
    let cells: Vec<_> = PHASES.iter().flat_map(|phase| FAULTS.map(|how| (*phase, how))).collect();
    let mut wrong = Vec::new();
    // A third of them side by side: most of the time they wait.
    for some in cells.chunks(cells.len() / 3) {
        let ran = some.iter().map(|(phase, how)| {
            let (credentials, statement) = (credentials.clone(), statement.clone());
            let (phase, how) = (*phase, *how);
            tokio::spawn(async move {
                let cell = cell(kind, phase, how, credentials, statement).await;
                cell.run().await.map_err(|what| format!("{kind}, {phase:?}, {how:?}: {what}"))
            })
        });
        let ran = join_all(ran).await.into_iter();
        wrong.extend(ran.filter_map(|ran| ran.expect("no cell panics").err()));
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cells.len(), wrong.join("\n"));
}

async fn cell(
    kind: IntegrationKind,
    phase: Phase,
    how: How,
    credentials: Credentials,
    statement: Arc<Statement>,
) -> Cell {
    let cutter = Cutter::before(credentials.port).await;
    let credentials = cutter.to(credentials);
    let source: CredentialSource = Arc::new(move || {
        let credentials = credentials.clone();
        Box::pin(async move { Ok(credentials) })
    });
    let key = PoolKey { organization: OrganizationId::from("cell"), kind, credential_version: 1 };
    Cell { kind, phase, how, pools: pools(), key, source, statement, cutter }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_in_every_phase_ends_in_time_and_leaves_nothing_on_postgres() {
    every_fault_in_every_phase_ends_in_time_and_leaves_nothing(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_in_every_phase_ends_in_time_and_leaves_nothing_on_mariadb() {
    every_fault_in_every_phase_ends_in_time_and_leaves_nothing(IntegrationKind::Mysql).await;
}
