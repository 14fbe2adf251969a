//! Frozen writes, between an implicit BEGIN and our COMMIT, and the end of statements that run too long.

use super::Mysql;
use super::arguments;
use super::connect::{MACHINE, establish, phase_end};
use super::errors;
use super::failure::{Failure, Result as WireResult};
use super::link::{Cell, Executed, Prepared};
use super::packets::{ColumnDefinition, Done, Parameter};
use super::rows::RowSink;
use super::trace;
use crate::databases::afterwards;
use crate::databases::dial::Dialer;
use crate::databases::driver::{BeforeCommit, Credentials, Plan};
use crate::databases::flights::Flight;
use crate::databases::{DatabaseError, Rows, Session, Written};
use crate::telemetry::Span;
use bytes::Bytes;
use domain::arguments::Bound;
use domain::limits;
use events::skill::Statement;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Prepared statements kept on one connection. Servers allow 16,382 in all.
const PREPARED_MAX: usize = 200;
const COMMIT: &str = "COMMIT";
const ROLLBACK: &str = "ROLLBACK";
/// How long the answer to a COMMIT may come after the deadline: not knowing is worse than waiting a little.
const COMMIT_GRACE: Duration = Duration::from_millis(250);

/// The server's handles of frozen statements, by statement hash.
#[derive(Default)]
pub(super) struct PreparedStatements {
    by_hash: HashMap<String, (Prepared, u64)>,
    uses: u64,
}

impl PreparedStatements {
    pub fn get(&mut self, hash: &str) -> Option<Prepared> {
        self.uses += 1;
        let (prepared, last_use) = self.by_hash.get_mut(hash)?;
        *last_use = self.uses;
        Some(*prepared)
    }

    /// The handles that have to go: the one whose last use is longest ago, and an earlier one of the same statement.
    pub fn insert(&mut self, hash: &str, prepared: Prepared) -> [Option<Prepared>; 2] {
        let mut evicted = None;
        if self.by_hash.len() >= PREPARED_MAX {
            let oldest = self.by_hash.iter().min_by_key(|(_, (_, last_use))| *last_use);
            if let Some(hash) = oldest.map(|(hash, _)| hash.clone()) {
                evicted = self.by_hash.remove(&hash).map(|(prepared, _)| prepared);
            }
        }
        self.uses += 1;
        let earlier = self.by_hash.insert(hash.to_owned(), (prepared, self.uses));
        [evicted, earlier.map(|(prepared, _)| prepared)]
    }

    /// Not if another one has been kept since.
    pub fn remove(&mut self, hash: &str, prepared: Prepared) {
        if self.by_hash.get(hash).is_some_and(|(kept, _)| *kept == prepared) {
            self.by_hash.remove(hash);
        }
    }
}

/// Where a connection came from, for stopping what runs on it.
pub(super) struct Origin {
    pub dialer: Arc<Dialer>,
    pub credentials: Credentials,
    /// The server's number of the connection.
    pub connection: u64,
    pub machine: String,
    pub killed: AtomicBool,
}

impl Origin {
    /// Ends the connection from another one, when its caller has gone on. Once is enough: all that it runs goes with it.
    pub fn kill_later(self: Arc<Self>) {
        if self.killed.swap(true, Ordering::Relaxed) {
            return;
        }
        afterwards::spawn(async move {
            if let Err(failure) = kill(&self).await {
                tracing::warn!(?failure, "a statement that ran too long could not be killed");
            }
        });
    }
}

/// Ends the connection, its statement and its transaction, from a second connection through the same guard.
async fn kill(origin: &Origin) -> WireResult<()> {
    let mut link = establish(&origin.dialer, &origin.credentials).await?;
    link.limit(phase_end(), limits::SOCKET_BUDGET_BYTES);
    let rows = link.query(MACHINE, &[]).await?;
    if rows.first().is_none_or(|row| row.text(0) != origin.machine) {
        return Err(Failure::Violation("the address leads to another machine now"));
    }
    match link.run(&format!("KILL CONNECTION {}", origin.connection)).await {
        // no such connection: it ended by itself
        Err(Failure::Refused(error)) if error.code == 1094 => {}
        other => other.map(drop)?,
    }
    link.quit().await;
    Ok(())
}

impl Mysql {
    pub(super) async fn write_row(
        &mut self,
        statement: &Statement,
        binds: &[Bound],
        deadline: Instant,
        before: Option<&dyn BeforeCommit>,
    ) -> Result<Written, DatabaseError> {
        if self.session != Session::ReadWrite {
            return Err(errors::refused(super::failure::ServerError {
                code: 1792,
                sqlstate: Some(*b"25006"),
            }));
        }
        let parameters = arguments::encode_all(statement, binds)?;
        let flight = self.depart(deadline)?;
        let mut rows = RowSink::new(statement);
        // Ready before the write, so that all that can be lost of the commit is the commit itself.
        let executed = match self.keep(COMMIT, COMMIT, 0).await {
            Ok(_) => self.run_frozen(statement, &parameters, &mut rows).await,
            Err(failure) => Err(failure),
        };
        let executed = match executed {
            Ok(executed) => executed,
            Err(failure) => {
                self.conclude(flight, Err::<(), _>(failure)).await?;
                return Err(errors::running(failure));
            }
        };
        let (matched, changed) = match &executed {
            Executed::Done(done) => (done.affected, changed(done)),
            // INSERT … RETURNING
            Executed::Rows => (rows.count, rows.count),
        };
        if matched != 1 {
            self.conclude(flight, Ok(())).await?;
            return Ok(Written { matched, changed: 0, rows: Rows::default() });
        }
        // Whatever is wrong with what came back is found while the write can still be undone.
        let rows = match rows.finish() {
            Ok(rows) => rows,
            Err(error) => {
                self.conclude(flight, Ok(())).await?;
                return Err(error);
            }
        };
        let written = Written { matched, changed, rows };
        let inserted = match &executed {
            Executed::Done(done) => done.inserted,
            Executed::Rows => 0,
        };
        let agreed = match before {
            Some(before) => {
                let trace = trace::of(&self.origin, statement, &parameters, changed, inserted);
                before.about_to_commit(trace, &written).await
            }
            None => Ok(()),
        };
        let in_time = |()| if Instant::now() < deadline { Ok(()) } else { Err(errors::timed_out()) };
        if let Err(error) = agreed.and_then(in_time) {
            self.conclude(flight, Ok(())).await?;
            return Err(error);
        }
        // From here on a kill could hit the commit itself.
        flight.land();
        self.link.extend_deadline(Instant::now() + COMMIT_GRACE);
        let _span = Span::to_outside("COMMIT");
        match self.end_with(COMMIT).await {
            Ok(()) => {
                self.usable = true;
                Ok(written)
            }
            Err(failure) => Err(errors::committing(failure)),
        }
    }

    pub(super) async fn explain_frozen(&mut self, statement: &Statement) -> Result<Plan, DatabaseError> {
        let parameters = arguments::samples(statement)?;
        let flight = self.depart(Instant::now() + limits::STATEMENT_TIMEOUT)?;
        let outcome = self.explain_inside(statement, &parameters).await;
        self.conclude(flight, outcome).await
    }

    async fn explain_inside(&mut self, statement: &Statement, parameters: &[Parameter]) -> WireResult<Plan> {
        let first = match self.explained(statement, parameters).await {
            Ok(first) => first,
            // A read-only session does not even explain a write. That its names are right is still worth knowing.
            Err(Failure::Refused(error)) if error.code == 1792 => {
                let prepared = self.link.prepare(&statement.text).await?;
                self.link.close_statement(prepared);
                let uses_index = statement.uses_index.clone();
                return Ok(Plan { uses_index, estimated_rows: statement.estimated_rows });
            }
            Err(failure) => return Err(failure),
        };
        let cell = |name: &str| first.iter().find(|(column, _)| column == name).map(|(_, cell)| cell);
        let text = |name: &str| cell(name).and_then(|cell| cell.text());
        let mut plan = Plan {
            uses_index: text("key").map(str::to_owned),
            estimated_rows: cell("rows").and_then(|cell| cell.number()),
        };
        // A lookup by a unique key is done while planning; when the sample finds no row the plan has no table.
        if plan.uses_index.is_none() && text("extra").is_some_and(|extra| extra.contains("const table")) {
            plan = Plan { uses_index: statement.uses_index.clone(), estimated_rows: Some(1) };
        }
        Ok(plan)
    }

    /// The first row of the plan: the table that is filtered.
    async fn explained(
        &mut self,
        statement: &Statement,
        parameters: &[Parameter],
    ) -> WireResult<Vec<(String, Cell)>> {
        let prepared = self.link.prepare(&format!("EXPLAIN {}", statement.text)).await?;
        let first = self.link.first_named(prepared, parameters).await;
        self.link.close_statement(prepared);
        first
    }

    async fn run_frozen(
        &mut self,
        statement: &Statement,
        parameters: &[Parameter],
        rows: &mut RowSink<'_>,
    ) -> WireResult<Executed> {
        let visit = &mut |columns: &[ColumnDefinition], row| rows.push(columns, row);
        self.run_kept(&statement.hash, &statement.text, parameters, visit).await
    }

    /// COMMIT or ROLLBACK: one round trip, like every statement that was run here before.
    async fn end_with(&mut self, text: &str) -> WireResult<()> {
        self.run_kept(text, text, &[], &mut |_, _| Ok(())).await.map(drop)
    }

    /// Runs a statement that is prepared once for each connection.
    async fn run_kept(
        &mut self,
        hash: &str,
        text: &str,
        parameters: &[Parameter],
        visit: &mut (dyn FnMut(&[ColumnDefinition], Bytes) -> WireResult<()> + Send),
    ) -> WireResult<Executed> {
        let prepared = self.keep(hash, text, parameters.len()).await?;
        match self.link.execute(prepared, parameters, visit).await {
            // The server dropped its side: nothing ran, and preparing anew mends it.
            Err(Failure::Refused(error)) if errors::wants_preparation(error) => {
                self.prepared.remove(hash, prepared);
                self.link.close_statement(prepared);
                let prepared = Box::pin(self.keep(hash, text, parameters.len())).await?;
                Box::pin(self.link.execute(prepared, parameters, visit)).await
            }
            other => other,
        }
    }

    async fn keep(&mut self, hash: &str, text: &str, parameters: usize) -> WireResult<Prepared> {
        if let Some(prepared) = self.prepared.get(hash) {
            return Ok(prepared);
        }
        let prepared = self.link.prepare(text).await?;
        if prepared.parameters != parameters {
            self.link.close_statement(prepared);
            return Err(Failure::Violation("another number of placeholders than the statement has"));
        }
        for evicted in self.prepared.insert(hash, prepared).into_iter().flatten() {
            self.link.close_statement(evicted);
        }
        Ok(prepared)
    }

    /// From here until [`Self::arrive`] the connection is nobody else's, whatever happens to our future.
    pub(super) fn depart(&mut self, deadline: Instant) -> Result<Flight, DatabaseError> {
        if !self.usable {
            return Err(errors::running(Failure::Lost));
        }
        if deadline <= Instant::now() {
            return Err(errors::timed_out());
        }
        self.usable = false;
        self.link.limit(deadline, limits::SOCKET_BUDGET_BYTES);
        Ok(self.flights.depart())
    }

    /// The end of what [`Self::depart`] began. A writing session has a transaction open after anything it ran: its
    /// locks and its view of the data are given up here.
    pub(super) async fn conclude<T>(
        &mut self,
        flight: Flight,
        outcome: WireResult<T>,
    ) -> Result<T, DatabaseError> {
        let clean = match &outcome {
            Ok(_) => true,
            Err(Failure::Refused(error)) => !errors::ends_connection(*error),
            Err(Failure::Deadline | Failure::Lost | Failure::Violation(_)) => false,
        };
        if clean {
            let rolled_back = match self.session {
                Session::ReadOnly => Ok(()),
                Session::ReadWrite => self.end_with(ROLLBACK).await,
            };
            // Without the rollback the connection is dropped, and the server rolls back by itself.
            self.usable = rolled_back.is_ok();
        }
        match &outcome {
            // Dropping the flight kills what still runs.
            Err(Failure::Deadline) => drop(flight),
            Ok(_) | Err(Failure::Lost | Failure::Violation(_) | Failure::Refused(_)) => flight.land(),
        }
        outcome.map_err(errors::running)
    }
}

/// `Rows matched: 1  Changed: 0  Warnings: 0`; other statements change what they match.
fn changed(done: &Done) -> u64 {
    let after = done.info.split_once("Changed: ").map(|(_, rest)| rest);
    let digits = after.and_then(|rest| rest.split(' ').next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(done.affected)
}
