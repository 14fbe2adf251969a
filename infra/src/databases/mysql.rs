//! MySQL 8.0 and later, MariaDB 10.6 and later, over a client of our own.
//!
//! Neither sqlx nor mysql_async can dial an address that was judged before while TLS verifies the host's name, trust
//! the given CA and no other, verify a chain without a name (`verify-ca`) with rustls 0.23, and count bytes below TLS.
//! Both also bring habits that are right for a trusted server: LOCAL INFILE, socket paths that the server names, logins
//! that give the password away. What is left of the protocol when those are absent is small: packets, four commands,
//! three logins. `mysql_common` supplies the login hashes, the constants and the two packets with many fields.
//!
//! MySQL 8 is in no registry that the tests can reach. What only MySQL has (caching_sha2_password,
//! max_execution_time, transaction_read_only) is tested against scripted servers; all else runs against MariaDB.

mod arguments;
mod connect;
mod engine;
mod errors;
mod execute;
mod failure;
mod introspect;
mod link;
mod login;
mod packets;
mod prove;
mod reader;
mod rows;
#[cfg(test)]
pub(crate) mod scripted;
mod trace;
mod values;
mod wire;

use super::DatabaseError;
use super::dial::Dialer;
use super::driver::{
    BeforeCommit, Connection, Credentials, Ending, OpenError, Plan, ReadOnlyProof, Reader, ServerInfo,
    Session, Trace, Written,
};
use super::flights::Flights;
use async_trait::async_trait;
use domain::arguments::Bound;
use domain::catalog::Catalog;
use engine::Engine;
use events::skill::Statement;
use execute::{Origin, PreparedStatements};
use link::{Link, Prepared};
use reader::MysqlReader;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// # Errors
/// With the phase in which opening failed.
pub async fn open(
    dialer: &Arc<Dialer>,
    credentials: &Credentials,
    session: Session,
) -> Result<Box<dyn Connection>, OpenError> {
    Ok(Box::new(connect::open(dialer, credentials, session).await?))
}

/// A goodbye that takes longer is not waited for.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

struct Mysql {
    link: Link,
    origin: Arc<Origin>,
    /// One at a time; a reader has its own.
    flights: Arc<Flights>,
    engine: Engine,
    server: ServerInfo,
    session: Session,
    prepared: PreparedStatements,
    ping: Option<Prepared>,
    /// False while a statement is under way, and for good after one that did not end cleanly.
    usable: bool,
}

impl Mysql {
    fn new(link: Link, origin: Arc<Origin>, engine: Engine, server: ServerInfo, session: Session) -> Self {
        let prepared = PreparedStatements::default();
        let killed = origin.clone();
        let flights = Flights::new(move || killed.clone().kill_later());
        Self { link, origin, flights, engine, server, session, prepared, ping: None, usable: true }
    }
}

#[async_trait]
impl Connection for Mysql {
    fn server(&self) -> ServerInfo {
        self.server.clone()
    }

    fn is_usable(&self) -> bool {
        self.usable
    }

    fn into_reader(self: Box<Self>) -> Arc<dyn Reader> {
        Arc::new(MysqlReader::new(*self))
    }

    async fn write(
        &mut self,
        statement: &Statement,
        binds: &[Bound],
        deadline: Instant,
        before: Option<&dyn BeforeCommit>,
    ) -> Result<Written, DatabaseError> {
        self.write_row(statement, binds, deadline, before).await
    }

    async fn ending(
        &mut self,
        trace: &Trace,
        age: Duration,
        deadline: Instant,
    ) -> Result<Ending, DatabaseError> {
        self.ending_of(trace, age, deadline).await
    }

    async fn introspect(&mut self, progress: &(dyn Fn(u64) + Send + Sync)) -> Result<Catalog, DatabaseError> {
        self.read_catalog(progress).await
    }

    async fn explain(&mut self, statement: &Statement) -> Result<Plan, DatabaseError> {
        self.explain_frozen(statement).await
    }

    async fn count_objects(&mut self) -> Result<u64, DatabaseError> {
        self.count_tables().await
    }

    async fn probe_read(&mut self) -> Result<Option<String>, DatabaseError> {
        self.read_one_row().await
    }

    async fn prove_read_only(&mut self) -> Result<ReadOnlyProof, DatabaseError> {
        self.attempt_write().await
    }

    async fn ping(&mut self) -> Result<Duration, DatabaseError> {
        self.select_one().await
    }

    async fn close(mut self: Box<Self>) {
        if self.usable {
            self.link.limit(Instant::now() + CLOSE_TIMEOUT, domain::limits::SOCKET_BUDGET_BYTES);
            self.link.quit().await;
        }
    }
}
