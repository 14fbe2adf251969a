//! Runs frozen statements.

use super::Postgres;
use super::arguments::Argument;
use super::errors;
use super::session::{self, BEGIN_WRITE};
use super::trace;
use super::values::{Raw, Unreadable, decode};
use crate::databases::driver::{BeforeCommit, Rows, Trace, Written};
use crate::databases::error::{DatabaseError, Fault};
use crate::databases::flights::Flight;
use crate::databases::json_size::JsonSize;
use crate::telemetry::Span;
use domain::arguments::Bound;
use domain::limits;
use events::skill::Statement;
use futures_util::TryStreamExt;
use futures_util::future::{join, join3};
use postgres_types::{ToSql, Type};
use serde_json::Value;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::{MutexGuard, PoisonError};
use std::time::Instant;
use tokio::time::timeout_at;
use tokio_postgres::{Client, Error, Row, RowStream};

/// Statements that stay prepared on one connection. Each costs the server some ten kilobytes.
const PREPARED_MAX: usize = 200;

/// Prepared statements by [`Statement::hash`]; the one that was not used for longest goes first.
#[derive(Default)]
pub(super) struct Prepared {
    entries: HashMap<String, Entry>,
    uses: u64,
}

struct Entry {
    statement: tokio_postgres::Statement,
    last_use: u64,
}

impl Prepared {
    fn get(&mut self, hash: &str) -> Option<tokio_postgres::Statement> {
        self.uses += 1;
        let entry = self.entries.get_mut(hash)?;
        entry.last_use = self.uses;
        Some(entry.statement.clone())
    }

    fn insert(&mut self, hash: &str, statement: tokio_postgres::Statement) {
        if self.entries.len() >= PREPARED_MAX {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.last_use);
            if let Some(hash) = oldest.map(|(hash, _)| hash.clone()) {
                // Dropping the statement closes it on the server.
                self.entries.remove(&hash);
            }
        }
        self.entries.insert(hash.to_owned(), Entry { statement, last_use: self.uses });
    }

    fn remove(&mut self, hash: &str) {
        self.entries.remove(hash);
    }
}

/// A frozen statement as it is sent.
pub(super) enum Ready<'a> {
    Prepared(tokio_postgres::Statement),
    /// Parsed on every call.
    Text(&'a str),
}

impl Ready<'_> {
    /// Sends it when first polled.
    pub(super) async fn run(&self, client: &Client, binds: &[Bound]) -> Result<RowStream, Error> {
        match self {
            Ready::Prepared(prepared) => client.query_raw(prepared, binds.iter().map(Argument)).await,
            // A parameter without a type gets the one that the statement casts it to.
            Ready::Text(text) => {
                let binds = binds.iter().map(|bound| (Argument(bound), Type::UNKNOWN));
                Box::pin(client.query_typed_raw(text, binds)).await
            }
        }
    }
}

/// What a step of a statement can fail with.
pub(super) enum Failure {
    Engine(Error),
    Unreadable(Unreadable),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Engine(error)
    }
}

impl Postgres {
    /// Runs `work` until the deadline; late or dropped, it is cancelled and the connection is used no more.
    pub(super) async fn until<T>(
        &mut self,
        deadline: Instant,
        budget: u64,
        work: impl AsyncFnOnce(&mut Self) -> T,
    ) -> Result<T, DatabaseError> {
        let flight = self.depart(budget);
        // Pinned here, for it is large and would be moved.
        match timeout_at(deadline.into(), pin!(work(self))).await {
            Ok(done) => {
                flight.land();
                Ok(done)
            }
            Err(_elapsed) => Err(errors::by_sqlstate("57014")),
        }
    }

    /// Others under way may have spent some of the `budget`, but a server that sends without end gets twice that at most.
    fn depart(&self, budget: u64) -> Flight {
        let flight = self.flights.depart();
        let others = self.flights.under_way() > 1;
        self.budget.reset(if others { budget.saturating_mul(2) } else { budget });
        flight
    }

    pub(super) fn classify(&self, failure: &Failure) -> DatabaseError {
        if self.outgrown(failure) {
            return errors::by_sqlstate("08000");
        }
        match failure {
            Failure::Engine(error) => errors::classify(error, &self.budget),
            Failure::Unreadable(Unreadable::UnknownType) => errors::by_sqlstate("42804"),
            Failure::Unreadable(Unreadable::Malformed) => DatabaseError::new(
                Fault::ProtocolViolation,
                "A value of the answer could not be read. Check that host and port lead to PostgreSQL.",
            ),
        }
    }

    fn prepared(&self) -> MutexGuard<'_, Prepared> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What can be run without asking the server first.
    fn at_hand<'a>(&self, hash: &str, text: &'a str) -> Option<Ready<'a>> {
        if self.pooled {
            return Some(Ready::Text(text));
        }
        self.prepared().get(hash).map(Ready::Prepared)
    }

    async fn ready<'a>(&self, hash: &str, text: &'a str) -> Result<Ready<'a>, Failure> {
        if let Some(ready) = self.at_hand(hash, text) {
            return Ok(ready);
        }
        // Boxed, as all that is rare on the way of a call: it is not moved with room for it.
        let prepared = Box::pin(self.client.prepare(text)).await?;
        self.prepared().insert(hash, prepared.clone());
        Ok(Ready::Prepared(prepared))
    }

    /// None where the server is no PostgreSQL but speaks like one.
    async fn ready_trace(&mut self) -> Result<Option<Ready<'static>>, Failure> {
        if !self.traces {
            return Ok(None);
        }
        match self.ready(trace::NAME, trace::TRACE).await {
            Ok(ready) => Ok(Some(ready)),
            Err(failure) if trace::is_unknown_here(&failure) => {
                self.traces = false;
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }
}

pub(super) async fn read(
    postgres: &Postgres,
    statement: &Statement,
    binds: &[Bound],
    deadline: Instant,
) -> Result<Rows, DatabaseError> {
    if deadline <= Instant::now() {
        return Err(errors::by_sqlstate("57014"));
    }
    let run = async {
        match read_once(postgres, statement, binds).await {
            // The table was altered since the statement was prepared here. A read may simply run again.
            Err(Failure::Engine(error)) if !postgres.pooled && errors::is_stale_preparation(&error) => {
                postgres.prepared().remove(&statement.hash);
                Box::pin(read_once(postgres, statement, binds)).await
            }
            done => done,
        }
    };
    match timeout_at(deadline.into(), pin!(run)).await {
        Ok(done) => done.map_err(|failure| postgres.classify(&failure).among(&postgres.flights)),
        Err(_elapsed) => Err(errors::by_sqlstate("57014")),
    }
}

async fn read_once(postgres: &Postgres, statement: &Statement, binds: &[Bound]) -> Result<Rows, Failure> {
    let ready = match postgres.at_hand(&statement.hash, &statement.text) {
        Some(ready) => ready,
        None => {
            let flight = postgres.depart(limits::SOCKET_BUDGET_BYTES);
            let ready = Box::pin(postgres.ready(&statement.hash, &statement.text)).await;
            flight.land();
            ready?
        }
    };
    let flight = postgres.depart(limits::SOCKET_BUDGET_BYTES);
    let client = &postgres.client;
    let read = async { Ok(collect(ready.run(client, binds).await?, statement.limit).await?.rows) };
    let done = session::read_only(client, postgres.pooled, read).await;
    flight.land();
    done
}

struct Collected {
    rows: Rows,
    affected: u64,
}

/// Reads to the end, since only there an error or the count shows, and keeps what the limits allow.
async fn collect(rows: RowStream, limit: u32) -> Result<Collected, Failure> {
    let mut rows = pin!(rows);
    let mut kept = Rows::default();
    let mut size = JsonSize::default();
    while let Some(row) = rows.try_next().await? {
        if kept.truncated {
            continue;
        }
        // What is far beyond the budget as it came is not worth decoding.
        if kept.rows.len() >= limit as usize || row.raw_size_bytes() > 2 * limits::RESULT_BYTES {
            kept.truncated = true;
            continue;
        }
        let values = decode_row(&row)?;
        if size.fits(&values, &kept.rows, limits::RESULT_BYTES) {
            kept.rows.push(values);
        } else {
            kept.truncated = true;
        }
    }
    let affected = rows.rows_affected().unwrap_or(0);
    Ok(Collected { rows: kept, affected })
}

fn decode_row(row: &Row) -> Result<Vec<Value>, Failure> {
    let column = |(at, column): (usize, &tokio_postgres::Column)| {
        decode(column.type_(), row.try_get::<_, Raw<'_>>(at)?).map_err(Failure::Unreadable)
    };
    row.columns().iter().enumerate().map(column).collect()
}

pub(super) async fn write(
    postgres: &mut Postgres,
    statement: &Statement,
    binds: &[Bound],
    deadline: Instant,
    before: Option<&dyn BeforeCommit>,
) -> Result<Written, DatabaseError> {
    let run = async |postgres: &mut Postgres| match write_uncommitted(postgres, statement, binds).await {
        // Refused before it ran, and rolled back: it may run again.
        Err(Failure::Engine(error)) if !postgres.pooled && errors::is_stale_preparation(&error) => {
            postgres.prepared().remove(&statement.hash);
            postgres.prepared().remove(trace::NAME);
            write_uncommitted(postgres, statement, binds).await
        }
        done => done,
    };
    // Late or lost before COMMIT is sent means that the server rolls back.
    let done = postgres.until(deadline, limits::SOCKET_BUDGET_BYTES, run).await?;
    let (done, trace) = done.map_err(|failure| postgres.classify(&failure))?;
    let written = Written { matched: done.affected, changed: done.affected, rows: done.rows };
    if written.matched != 1 {
        // A connection that cannot even roll back is closed, which rolls back as well.
        postgres.until(deadline, limits::SOCKET_BUDGET_BYTES, rolled_back).await.ok();
        return Ok(written);
    }
    let agreed = match before {
        Some(before) => {
            // Dropped meanwhile, the connection must not go back to the pool with its transaction open.
            let open = postgres.flights.depart();
            let agreed = before.about_to_commit(trace, &written).await;
            open.land();
            agreed
        }
        None => Ok(()),
    };
    let in_time = |()| if Instant::now() < deadline { Ok(()) } else { Err(errors::by_sqlstate("57014")) };
    if let Err(error) = agreed.and_then(in_time) {
        postgres.until(deadline, limits::SOCKET_BUDGET_BYTES, rolled_back).await.ok();
        return Err(error);
    }
    let _span = Span::to_outside("COMMIT");
    let commit = async |postgres: &mut Postgres| execute(&postgres.client, "COMMIT").await;
    match postgres.until(deadline, limits::SOCKET_BUDGET_BYTES, commit).await {
        Ok(Ok(())) => Ok(written),
        Ok(Err(error)) if errors::leaves_commit_open(&error) => Err(in_doubt()),
        Ok(Err(error)) => Err(errors::classify(&error, &postgres.budget)),
        Err(_late) => Err(in_doubt()),
    }
}

/// BEGIN, the transaction's trace and the statement in one go. If BEGIN failed, the statement fails too: the session
/// is read-only. Through a pooler it might not be, and nothing is sent before the transaction has begun.
async fn write_uncommitted(
    postgres: &mut Postgres,
    statement: &Statement,
    binds: &[Bound],
) -> Result<(Collected, Trace), Failure> {
    let ready = postgres.ready(&statement.hash, &statement.text).await?;
    let traced = postgres.ready_trace().await?;
    let (client, pooled) = (&postgres.client, postgres.pooled);
    let begin = session::begin(client, pooled, BEGIN_WRITE);
    let trace = async {
        match &traced {
            Some(traced) => trace::read(client, traced).await,
            None => Ok(None),
        }
    };
    let ran = async { collect(ready.run(client, binds).await?, statement.limit).await };
    let (begun, trace, ran) = if pooled {
        begin.await?;
        let (trace, ran) = join(trace, ran).await;
        (Ok(()), trace, ran)
    } else {
        join3(begin, trace, ran).await
    };
    if begun.is_ok() && trace.as_ref().is_err_and(trace::is_unknown_here) {
        postgres.traces = false;
        rolled_back(postgres).await;
        return Box::pin(write_uncommitted(postgres, statement, binds)).await;
    }
    let done = match begun {
        Ok(()) => trace.and_then(|trace| Ok((ran?, trace.unwrap_or(Trace::Nothing)))),
        Err(error) => Err(Failure::Engine(error)),
    };
    if done.is_err() {
        rolled_back(postgres).await;
    }
    done
}

async fn rolled_back(postgres: &mut Postgres) {
    // Where this fails the connection is gone, and the transaction with it.
    execute(&postgres.client, "ROLLBACK").await.ok();
}

/// A statement of ours, through the extended protocol.
pub(super) async fn execute(client: &Client, constant: &str) -> Result<(), Error> {
    let mut rows = pin!(client.query_typed_raw(constant, none()).await?);
    while rows.try_next().await?.is_some() {}
    Ok(())
}

pub(super) fn none() -> std::iter::Empty<(&'static (dyn ToSql + Sync), Type)> {
    std::iter::empty()
}

fn in_doubt() -> DatabaseError {
    DatabaseError::new(
        Fault::InDoubt,
        "The connection was lost while the write was being committed: it may have happened. Read the row before \
         trying again.",
    )
}
