//! Live reads of several callers on one connection. A task of its own sends all that wait at once and hands out the
//! answers in that order; what was asked for meanwhile travels with the next ones.

use super::arguments;
use super::engine::Engine;
use super::errors;
use super::execute::PreparedStatements;
use super::failure::{Failure, Result as WireResult};
use super::link::{Link, Prepared};
use super::packets::{self, ColumnDefinition, Parameter};
use super::rows::RowSink;
use super::{CLOSE_TIMEOUT, Mysql};
use crate::databases::driver::Reader;
use crate::databases::flights::Flights;
use crate::databases::{DatabaseError, Rows};
use async_trait::async_trait;
use bytes::Bytes;
use domain::arguments::Bound;
use domain::limits;
use events::skill::Statement;
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{timeout, timeout_at};

/// Of one answer; what has more is cut in any case, for no type's JSON is a quarter of what it is on the wire.
const KEPT_BYTES: usize = 4 * limits::RESULT_BYTES;
/// So much is sent before an answer is read: a server that waits for us to read its answers reads nothing itself.
const SENT_BYTES: usize = 64 * 1024;

pub(super) struct MysqlReader {
    requests: mpsc::UnboundedSender<Request>,
    task: Task,
    prepared: Mutex<PreparedStatements>,
    flights: Arc<Flights>,
    shares: bool,
    /// An answer could not be read: whatever comes next on it is not to be believed.
    broken: AtomicBool,
}

/// A command, and who waits for its answer.
struct Request {
    payload: Vec<u8>,
    answer: Answer,
}

enum Answer {
    /// Closing a statement has none.
    None,
    Prepared(oneshot::Sender<WireResult<Prepared>>),
    /// Up to so many rows, and no more bytes than an answer may need; those that come after them are read and dropped.
    Rows(usize, oneshot::Sender<Answered>),
}

/// The rows of an execution, still undecoded, and how it ended.
struct Answered {
    definitions: Vec<ColumnDefinition>,
    rows: Vec<Bytes>,
    end: WireResult<()>,
}

impl MysqlReader {
    pub fn new(connection: Mysql) -> Self {
        let Mysql { link, origin, engine, prepared, usable, .. } = connection;
        let (requests, asked) = mpsc::unbounded_channel();
        let task = tokio::spawn(serve(link, asked));
        Self {
            requests,
            task: Task(task),
            prepared: Mutex::new(prepared),
            flights: Flights::new(move || origin.clone().kill_later()),
            // MySQL's protocol does not say whether commands may be sent ahead of answers. MariaDB's own connectors
            // do; Amazon Aurora, which says that it is MySQL, hung on it (MariaDB's CONJ-386).
            shares: engine == Engine::MariaDb,
            broken: AtomicBool::new(!usable),
        }
    }

    fn prepared(&self) -> MutexGuard<'_, PreparedStatements> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(&self, statement: &Statement, parameters: &[Parameter]) -> WireResult<Answered> {
        let prepared = self.keep(statement, parameters.len()).await?;
        let answered = self.execute(statement, prepared, parameters).await?;
        match answered.end {
            // The server dropped its side: nothing ran, and preparing anew mends it.
            Err(Failure::Refused(error)) if errors::wants_preparation(error) => {
                self.prepared().remove(&statement.hash, prepared);
                self.close_statement(prepared);
                let prepared = Box::pin(self.keep(statement, parameters.len())).await?;
                Box::pin(self.execute(statement, prepared, parameters)).await
            }
            _ => Ok(answered),
        }
    }

    async fn execute(
        &self,
        statement: &Statement,
        prepared: Prepared,
        parameters: &[Parameter],
    ) -> WireResult<Answered> {
        let most = statement.limit as usize + 1;
        let payload = packets::execute(prepared.statement, parameters);
        self.ask(payload, |answer| Answer::Rows(most, answer)).await
    }

    async fn keep(&self, statement: &Statement, parameters: usize) -> WireResult<Prepared> {
        let kept = self.prepared().get(&statement.hash);
        if let Some(prepared) = kept {
            return Ok(prepared);
        }
        // Boxed, as all that is rare on the way of a read.
        let asked = self.ask(packets::prepare(&statement.text), Answer::Prepared);
        let prepared = Box::pin(asked).await??;
        if prepared.parameters != parameters {
            self.close_statement(prepared);
            return Err(Failure::Violation("another number of placeholders than the statement has"));
        }
        let evicted = self.prepared().insert(&statement.hash, prepared);
        for evicted in evicted.into_iter().flatten() {
            self.close_statement(evicted);
        }
        Ok(prepared)
    }

    async fn ask<T>(
        &self,
        payload: Vec<u8>,
        kind: impl FnOnce(oneshot::Sender<T>) -> Answer,
    ) -> WireResult<T> {
        let (answer, answered) = oneshot::channel();
        let flight = self.flights.depart();
        let sent = self.requests.send(Request { payload, answer: kind(answer) });
        let answered = if sent.is_ok() { answered.await.ok() } else { None };
        flight.land();
        answered.ok_or(Failure::Lost)
    }

    /// It travels with whatever is asked next; a connection that has ended needs it no more.
    fn close_statement(&self, prepared: Prepared) {
        let payload = packets::close(prepared.statement);
        self.requests.send(Request { payload, answer: Answer::None }).ok();
    }

    /// Whether the connection can go on after this failure.
    fn note(&self, failure: Failure) {
        self.broken.fetch_or(forgive(failure).is_err(), Ordering::Relaxed);
    }

    fn found(&self, statement: &Statement, answered: WireResult<Answered>) -> Result<Rows, DatabaseError> {
        let mut rows = RowSink::new(statement);
        let end = answered.and_then(|answered| {
            for row in answered.rows {
                rows.push(&answered.definitions, row)?;
            }
            answered.end
        });
        match end {
            Ok(()) => rows.finish(),
            // More bytes than the budget: what is left of an answer that was cut anyway is not waited for.
            Err(failure @ Failure::Violation(_)) if rows.is_cut() => {
                self.note(failure);
                rows.finish()
            }
            Err(failure) => {
                self.note(failure);
                Err(errors::running(failure))
            }
        }
    }
}

#[async_trait]
impl Reader for MysqlReader {
    fn is_usable(&self) -> bool {
        !self.broken.load(Ordering::Relaxed) && !self.flights.were_left() && !self.requests.is_closed()
    }

    fn shares(&self) -> bool {
        self.shares
    }

    async fn read(
        &self,
        statement: &Statement,
        binds: &[Bound],
        deadline: Instant,
    ) -> Result<Rows, DatabaseError> {
        let parameters = arguments::encode_all(statement, binds)?;
        if !self.is_usable() {
            return Err(errors::running(Failure::Lost));
        }
        if deadline <= Instant::now() {
            return Err(errors::timed_out());
        }
        match timeout_at(deadline.into(), pin!(self.run(statement, &parameters))).await {
            Ok(answered) => self.found(statement, answered).map_err(|error| error.among(&self.flights)),
            Err(_elapsed) => Err(errors::timed_out()),
        }
    }

    async fn close(self: Arc<Self>) {
        let Some(reader) = Arc::into_inner(self) else { return };
        let usable = reader.is_usable();
        let Self { requests, mut task, .. } = reader;
        drop(requests);
        // The task says goodbye, now that nobody can ask any more.
        if usable {
            timeout(CLOSE_TIMEOUT, &mut task.0).await.ok();
        }
    }
}

/// Ends with whoever holds it.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Serves requests until nobody can ask any more, or the connection is of no use: then whoever waits for an answer
/// hears that there is none.
async fn serve(mut link: Link, mut requests: mpsc::UnboundedReceiver<Request>) {
    let mut asked = VecDeque::new();
    let mut batch = Vec::new();
    loop {
        if asked.is_empty() {
            let Some(request) = requests.recv().await else { break };
            asked.push_back(request);
            // Whoever else is about to ask comes first: one write and, often, one read serve all of them.
            yield_now().await;
        }
        while let Ok(request) = requests.try_recv() {
            asked.push_back(request);
        }
        let mut bytes = 0;
        while let Some(request) =
            asked.pop_front_if(|next| bytes == 0 || bytes + next.payload.len() <= SENT_BYTES)
        {
            bytes += request.payload.len();
            batch.push(request);
        }
        let within = limits::SOCKET_BUDGET_BYTES.saturating_mul(batch.len().min(2) as u64);
        link.limit(Instant::now() + limits::STATEMENT_TIMEOUT_HARD, within);
        let sent = link.send_all(batch.iter().map(|request| request.payload.as_slice())).await;
        let mut state = sent;
        for Request { answer, .. } in batch.drain(..) {
            match answer {
                Answer::None => {}
                Answer::Prepared(asker) => {
                    let prepared = match state {
                        Ok(()) => link.read_prepared().await,
                        Err(failure) => Err(failure),
                    };
                    state = prepared.map(drop).or_else(forgive);
                    close_if(state, &mut requests);
                    // Who asked may be gone.
                    asker.send(prepared).ok();
                }
                Answer::Rows(most, asker) => {
                    let mut answered = Answered { definitions: Vec::new(), rows: Vec::new(), end: state };
                    if state.is_ok() {
                        answered.end = read_rows(&mut link, most, &mut answered).await;
                        state = answered.end.or_else(forgive);
                    }
                    close_if(state, &mut requests);
                    asker.send(answered).ok();
                }
            }
        }
        if state.is_err() {
            return;
        }
    }
    link.quit().await;
}

/// Keeps `most` rows of an answer and reads it to its end.
async fn read_rows(link: &mut Link, most: usize, answered: &mut Answered) -> WireResult<()> {
    let Answered { definitions, rows, .. } = answered;
    let mut bytes = 0;
    let keep = &mut |_: &[ColumnDefinition], row: Bytes| {
        if rows.len() < most && bytes <= KEPT_BYTES {
            bytes += row.len();
            rows.push(row);
        }
        Ok(())
    };
    link.read_executed(definitions, keep).await.map(drop)
}

/// What the server refuses is an answer, unless it ends the connection with it.
fn forgive(failure: Failure) -> WireResult<()> {
    match failure {
        Failure::Refused(error) if !errors::ends_connection(error) => Ok(()),
        _ => Err(failure),
    }
}

/// Before the failure is told, so that whoever hears of it finds the connection closed.
fn close_if(state: WireResult<()>, requests: &mut mpsc::UnboundedReceiver<Request>) {
    if state.is_err() {
        requests.close();
    }
}
