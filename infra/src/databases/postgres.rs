//! PostgreSQL 13 and later. Everything goes through the extended protocol, where a text is one statement.

mod arguments;
mod connect;
mod errors;
mod execute;
mod introspect;
mod prove;
mod session;
mod trace;
mod values;
mod wire;

use super::driver::{BeforeCommit, Connection, Ending, ReadOnlyProof, Reader, ServerInfo, Trace, Written};
use super::flights::Flights;
use super::socket::Budget;
use super::{DatabaseError, Plan, Rows};
use async_trait::async_trait;
use connect::Canceller;
pub use connect::open;
use domain::arguments::Bound;
use domain::catalog::Catalog;
use events::skill::Statement;
use execute::Prepared;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_postgres::Client;
use wire::Wire;

/// One logged-in connection.
pub(super) struct Postgres {
    client: Client,
    /// After the client, which must be gone before it.
    wire: Wire,
    budget: Budget,
    prepared: Mutex<Prepared>,
    canceller: Arc<Canceller>,
    flights: Arc<Flights>,
    server: ServerInfo,
    /// Whether the server says by what a transaction can be asked about later.
    traces: bool,
    /// A pooler stands in between, and sessions are not our own.
    pooled: bool,
    /// It is to be replaced.
    outgrown: AtomicBool,
}

impl Postgres {
    fn may_be_used(&self) -> bool {
        !self.outgrown.load(Ordering::Relaxed) && !self.flights.were_left() && !self.client.is_closed()
    }

    async fn close(self) {
        // A backend whose query was cancelled still occupies the server until the cancel arrived.
        self.canceller.finished().await;
        let Self { client, wire, canceller, flights, .. } = self;
        drop(client);
        if flights.were_left() {
            // Of several that nobody waits for the one was hit, and the server has gone on to the next.
            wire.ended(&canceller).await;
        } else {
            wire.goodbye().await;
        }
    }
}

#[async_trait]
impl Connection for Postgres {
    fn server(&self) -> ServerInfo {
        self.server.clone()
    }

    fn is_usable(&self) -> bool {
        self.may_be_used()
    }

    fn into_reader(self: Box<Self>) -> Arc<dyn Reader> {
        Arc::new(*self)
    }

    async fn write(
        &mut self,
        statement: &Statement,
        binds: &[Bound],
        deadline: Instant,
        before: Option<&dyn BeforeCommit>,
    ) -> Result<Written, DatabaseError> {
        execute::write(self, statement, binds, deadline, before).await
    }

    async fn ending(
        &mut self,
        trace: &Trace,
        _age: Duration,
        deadline: Instant,
    ) -> Result<Ending, DatabaseError> {
        trace::ending(self, trace, deadline).await
    }

    async fn introspect(&mut self, progress: &(dyn Fn(u64) + Send + Sync)) -> Result<Catalog, DatabaseError> {
        introspect::introspect(self, progress).await
    }

    async fn explain(&mut self, statement: &Statement) -> Result<Plan, DatabaseError> {
        prove::explain(self, statement).await
    }

    async fn count_objects(&mut self) -> Result<u64, DatabaseError> {
        prove::count_objects(self).await
    }

    async fn probe_read(&mut self) -> Result<Option<String>, DatabaseError> {
        prove::probe_read(self).await
    }

    async fn prove_read_only(&mut self) -> Result<ReadOnlyProof, DatabaseError> {
        prove::prove_read_only(self).await
    }

    async fn ping(&mut self) -> Result<Duration, DatabaseError> {
        prove::ping(self).await
    }

    async fn close(self: Box<Self>) {
        Self::close(*self).await;
    }
}

#[async_trait]
impl Reader for Postgres {
    fn is_usable(&self) -> bool {
        self.may_be_used()
    }

    /// Through a pooler a read is a transaction of several statements, and another's could come in between.
    fn shares(&self) -> bool {
        !self.pooled
    }

    async fn read(
        &self,
        statement: &Statement,
        binds: &[Bound],
        deadline: Instant,
    ) -> Result<Rows, DatabaseError> {
        execute::read(self, statement, binds, deadline).await
    }

    async fn close(self: Arc<Self>) {
        if let Some(postgres) = Arc::into_inner(self) {
            Self::close(postgres).await;
        }
    }
}
