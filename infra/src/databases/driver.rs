//! What a driver does for the rest of the system. PostgreSQL and MySQL each fill this in with files of the same
//! names: connect, introspect, execute, errors.

use super::DatabaseError;
use super::error::Fault;
use crate::databases::dial::Dialer;
use crate::secret::Secret;
use async_trait::async_trait;
use domain::arguments::Bound;
use domain::catalog::Catalog;
use events::IntegrationKind;
use events::integration::SslMode;
use events::skill::Statement;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// All that is needed to log in. Never a URL: host, port, database and user are fields of their own.
#[derive(Clone)]
pub struct Credentials {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    pub password: Secret,
    pub sslmode: SslMode,
    pub ca_pem: Option<String>,
}

/// What a connection may do, settled when it is opened. Both run in UTC with statement and lock timeouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Session {
    ReadOnly,
    ReadWrite,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// `PostgreSQL`, `MySQL` or `MariaDB`.
    pub engine: String,
    /// Digits and points only.
    pub version: String,
    /// Sessions are not our own: a pooler hands each transaction to any of its connections.
    pub pooled: bool,
}

/// What the planner says of a frozen statement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub uses_index: Option<String>,
    pub estimated_rows: Option<u64>,
}

/// Rows in the order of `statement.columns`, values as the contract writes them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    pub rows: Vec<Vec<Value>>,
    /// More rows, or more bytes, than the statement's limit or the result budget.
    pub truncated: bool,
}

/// What a write did. Anything but one matched row was rolled back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Written {
    pub matched: u64,
    pub changed: u64,
    /// The written row, for statements with a projection.
    pub rows: Rows,
}

/// What an engine can be asked about a transaction by, on another connection, when nobody saw its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "engine", rename_all = "camelCase")]
pub enum Trace {
    /// Text, as the engine gives and takes it. A number of a transaction says something in its own cluster and on its
    /// own timeline only: after a failover that lost it, another transaction may bear the same one.
    Postgres { cluster: String, timeline: String, transaction: String },
    /// There a transaction has no number that outlives it. That its connection is gone says that it has ended; whether
    /// the row is as it left it, `look` says.
    Mysql { machine: String, account: String, connection: u64, look: Option<Look> },
    /// An engine that speaks PostgreSQL's protocol and cannot say it.
    Nothing,
}

/// Counts the rows that are exactly as a write left its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    pub text: String,
    pub parameters: Vec<LookedFor>,
    /// With this, the rows it counts are one at most only if these columns hold a unique key of this table.
    pub key: Option<BoundKey>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundKey {
    /// None for the session's own database.
    pub schema: Option<String>,
    pub table: String,
    /// Those that were written and are not NULL.
    pub columns: Vec<String>,
}

/// A parameter as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookedFor {
    pub kind: u8,
    pub unsigned: bool,
    pub value: Option<Vec<u8>>,
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Committed,
    RolledBack,
    /// It may still end either way: to be asked again.
    Open,
    /// The engine does not know, and will not.
    Unknowable,
}

/// Told of a transaction that did what it was to do, when all that is left is to commit it.
#[async_trait]
pub trait BeforeCommit: Sync {
    /// # Errors
    /// Whatever keeps it from being committed: it is rolled back, and the write fails with this.
    async fn about_to_commit(&self, trace: Trace, written: &Written) -> Result<(), DatabaseError>;
}

/// How a read-only session answered an attempted write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOnlyProof {
    /// The engine's refusal: its SQLSTATE.
    pub refused_with: Option<[u8; 5]>,
    /// Without the session setting the role could write: some table grants INSERT, UPDATE or DELETE.
    pub role_can_write: bool,
}

/// Puts a catalog together off the threads that serve calls: with thousands of tables it takes a second.
///
/// # Errors
/// `ServerError` when this process is stopping.
pub(super) async fn assembled(
    work: impl FnOnce() -> Catalog + Send + 'static,
) -> Result<Catalog, DatabaseError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| {
        DatabaseError::new(Fault::ServerError, "The schema was not put together. Discover it again.")
    })
}

#[async_trait]
pub trait Connection: Send {
    fn server(&self) -> ServerInfo;

    /// Whether a write may still use it.
    fn is_usable(&self) -> bool;

    /// From here on it runs reads, and nothing else.
    fn into_reader(self: Box<Self>) -> Arc<dyn Reader>;

    /// Runs a frozen write in a transaction of its own and commits it only when it matched exactly one row, and
    /// whoever is told before agrees.
    ///
    /// # Errors
    /// [`super::error::Fault::InDoubt`] when the answer to COMMIT was lost; every other error means nothing changed.
    async fn write(
        &mut self,
        statement: &Statement,
        binds: &[Bound],
        deadline: Instant,
        before: Option<&dyn BeforeCommit>,
    ) -> Result<Written, DatabaseError>;

    /// What became of a transaction that ran on another connection and was about to be committed `age` ago. Answers
    /// only what the engine knows for certain.
    async fn ending(
        &mut self,
        trace: &Trace,
        age: Duration,
        deadline: Instant,
    ) -> Result<Ending, DatabaseError>;

    /// The whole schema, in a fixed number of queries. `progress` gets tables so far.
    async fn introspect(&mut self, progress: &(dyn Fn(u64) + Send + Sync)) -> Result<Catalog, DatabaseError>;

    /// Prepares and explains without running.
    async fn explain(&mut self, statement: &Statement) -> Result<Plan, DatabaseError>;

    /// Number of tables and views that the user can see.
    async fn count_objects(&mut self) -> Result<u64, DatabaseError>;

    /// Reads one row of the first readable table; `None` when no table is readable. The name of that table.
    async fn probe_read(&mut self) -> Result<Option<String>, DatabaseError>;

    /// Attempts a write that would touch no row; never DDL, which MariaDB would run.
    async fn prove_read_only(&mut self) -> Result<ReadOnlyProof, DatabaseError>;

    /// One single-row SELECT, timed.
    async fn ping(&mut self) -> Result<Duration, DatabaseError>;

    /// Closes in order; a dropped connection is closed by the socket.
    async fn close(self: Box<Self>);
}

/// A connection that runs live reads.
#[async_trait]
pub trait Reader: Send + Sync {
    fn is_usable(&self) -> bool;

    /// Whether it takes a read while another one is under way. They are sent at once and answered in that order.
    fn shares(&self) -> bool;

    /// Runs a frozen read: one round trip once it is prepared on this connection.
    ///
    /// # Errors
    /// [`super::error::Fault::ConnectionLost`] also when another read, to be stopped, took the connection with it: it may
    /// run again elsewhere.
    async fn read(
        &self,
        statement: &Statement,
        binds: &[Bound],
        deadline: Instant,
    ) -> Result<Rows, DatabaseError>;

    /// Closes in order, if nobody else holds it; a dropped connection is closed by the socket.
    async fn close(self: Arc<Self>);
}

/// Progress of opening a connection, so that sql/test can say which check failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Resolve, judge, dial, TLS.
    ReachabilityTls,
    /// Login and session settings.
    Authentication,
}

/// A failed opening and the phase it failed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenError {
    pub phase: Phase,
    pub error: DatabaseError,
}

/// Opens connections of every kind.
#[derive(Clone)]
pub struct Drivers {
    pub dialer: Arc<Dialer>,
}

impl Drivers {
    pub async fn open(
        &self,
        kind: IntegrationKind,
        credentials: &Credentials,
        session: Session,
    ) -> Result<Box<dyn Connection>, OpenError> {
        match kind {
            IntegrationKind::Postgres => super::postgres::open(&self.dialer, credentials, session).await,
            IntegrationKind::Mysql => super::mysql::open(&self.dialer, credentials, session).await,
        }
    }
}
