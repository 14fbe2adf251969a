//! Statements over a connection that is logged in: always prepared, always the binary protocol, even for our own
//! constants. COM_QUERY, which takes several statements in some configurations, is not in this driver.

use super::failure::{Failure, Result};
use super::packets::{self, ColumnDefinition, Cursor, Done, ExecuteReply, Parameter, PrepareReply};
use super::values::{Raw, read_row};
use super::wire::Wire;
use bytes::Bytes;
use std::time::Instant;

pub(super) struct Link {
    wire: Wire,
    /// Closing a statement has no answer; it travels with the next command.
    closing: Vec<Vec<u8>>,
}

/// A statement that the server holds ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prepared {
    pub statement: u32,
    pub parameters: usize,
}

/// What an execution came to. Rows went to its visitor before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Executed {
    Done(Done),
    Rows,
}

impl Link {
    pub fn new(wire: Wire) -> Self {
        Self { wire, closing: Vec::new() }
    }

    pub fn limit(&mut self, deadline: Instant, bytes: u64) {
        self.wire.limit(deadline, bytes);
    }

    pub fn extend_deadline(&mut self, deadline: Instant) {
        self.wire.extend_deadline(deadline);
    }

    pub async fn prepare(&mut self, text: &str) -> Result<Prepared> {
        self.send(&packets::prepare(text)).await?;
        self.read_prepared().await
    }

    pub async fn read_prepared(&mut self) -> Result<Prepared> {
        self.wire.next_answer();
        let reply = PrepareReply::parse(self.wire.read().await?)?;
        for definitions in [reply.parameters, reply.columns] {
            for _ in 0..definitions {
                ColumnDefinition::parse(self.wire.read().await?)?;
            }
            if definitions > 0 {
                self.expect_end().await?;
            }
        }
        Ok(Prepared { statement: reply.statement, parameters: usize::from(reply.parameters) })
    }

    /// Every row goes to `visit` as it comes, still undecoded; a failure of `visit` leaves the connection unusable.
    pub async fn execute(
        &mut self,
        prepared: Prepared,
        parameters: &[Parameter],
        visit: &mut (dyn FnMut(&[ColumnDefinition], Bytes) -> Result<()> + Send),
    ) -> Result<Executed> {
        self.send(&packets::execute(prepared.statement, parameters)).await?;
        self.read_executed(&mut Vec::new(), visit).await
    }

    /// Leaves the columns in `definitions`, which is empty before.
    pub async fn read_executed(
        &mut self,
        definitions: &mut Vec<ColumnDefinition>,
        visit: &mut (dyn FnMut(&[ColumnDefinition], Bytes) -> Result<()> + Send),
    ) -> Result<Executed> {
        self.wire.next_answer();
        let columns = match ExecuteReply::parse(self.wire.read().await?)? {
            ExecuteReply::Done(done) => return Ok(Executed::Done(done)),
            ExecuteReply::Columns(columns) => columns,
        };
        for _ in 0..columns {
            definitions.push(ColumnDefinition::parse(self.wire.read().await?)?);
        }
        self.expect_end().await?;
        loop {
            let payload = self.wire.read().await?;
            if packets::end(&payload)?.is_some() {
                return Ok(Executed::Rows);
            }
            visit(definitions, payload)?;
        }
    }

    pub fn close_statement(&mut self, prepared: Prepared) {
        self.closing.push(packets::close(prepared.statement));
    }

    /// One of our own statements that answers without rows.
    pub async fn run(&mut self, text: &str) -> Result<Done> {
        let prepared = self.prepare(text).await?;
        let executed = self.execute(prepared, &[], &mut |_, _| Ok(())).await;
        self.close_statement(prepared);
        match executed? {
            Executed::Done(done) => Ok(done),
            Executed::Rows => Err(Failure::Violation("rows where none were asked for")),
        }
    }

    /// One of our own queries; its rows as text and numbers.
    pub async fn query(&mut self, text: &str, parameters: &[Parameter]) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        self.query_each(text, parameters, &mut |record| records.push(record)).await?;
        Ok(records)
    }

    /// The same, each row as it comes.
    pub async fn query_each(
        &mut self,
        text: &str,
        parameters: &[Parameter],
        visit: &mut (dyn FnMut(Record) + Send),
    ) -> Result<()> {
        let prepared = self.prepare(text).await?;
        let executed = self
            .execute(prepared, parameters, &mut |definitions, payload| {
                let mut cells = Vec::with_capacity(definitions.len());
                read_row(definitions, Cursor(payload), |_, raw| {
                    cells.push(Cell::from(raw));
                    Ok(())
                })?;
                visit(Record(cells));
                Ok(())
            })
            .await;
        self.close_statement(prepared);
        executed.map(drop)
    }

    /// The names of a query's columns and its first row, `None` when there is none.
    pub async fn first_named(
        &mut self,
        prepared: Prepared,
        parameters: &[Parameter],
    ) -> Result<Vec<(String, Cell)>> {
        let mut first = Vec::new();
        self.execute(prepared, parameters, &mut |definitions, payload| {
            if first.is_empty() {
                read_row(definitions, Cursor(payload), |definition, raw| {
                    let name = String::from_utf8_lossy(&definition.name).to_lowercase();
                    first.push((name, Cell::from(raw)));
                    Ok(())
                })?;
            }
            Ok(())
        })
        .await?;
        Ok(first)
    }

    /// Says goodbye and closes TLS in order.
    pub async fn quit(self) {
        self.wire.finish(&[packets::COM_QUIT]).await;
    }

    async fn send(&mut self, payload: &[u8]) -> Result<()> {
        self.send_all([payload].into_iter()).await
    }

    /// Commands whose answers are read one after the other, in this order.
    pub async fn send_all(&mut self, payloads: impl Iterator<Item = &[u8]> + Send) -> Result<()> {
        let closing = std::mem::take(&mut self.closing);
        self.wire.commands(&closing, payloads).await
    }

    async fn expect_end(&mut self) -> Result<()> {
        match packets::end(&self.wire.read().await?)? {
            Some(()) => Ok(()),
            None => Err(Failure::Violation("more definitions than were announced")),
        }
    }
}

/// A row of one of our own queries.
#[derive(Clone, Debug)]
pub(super) struct Record(Vec<Cell>);

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Integer(i128),
    Text(String),
}

impl From<Raw> for Cell {
    fn from(raw: Raw) -> Self {
        match raw {
            Raw::Null => Cell::Null,
            Raw::Integer(number) => Cell::Integer(number),
            Raw::Bytes(bytes) => Cell::Text(String::from_utf8_lossy(&bytes).into_owned()),
            // None of our own queries asks for such columns.
            Raw::Single(_) | Raw::Double(_) | Raw::Date(_) | Raw::Time(_) => Cell::Null,
        }
    }
}

impl Cell {
    pub fn text(&self) -> Option<&str> {
        match self {
            Cell::Text(text) => Some(text),
            Cell::Null | Cell::Integer(_) => None,
        }
    }

    pub fn number(&self) -> Option<u64> {
        match self {
            Cell::Integer(number) => u64::try_from(*number).ok(),
            Cell::Text(text) => text.parse().ok(),
            Cell::Null => None,
        }
    }
}

impl Record {
    /// The text in a column, empty when it is NULL.
    pub fn text(&self, column: usize) -> &str {
        self.0.get(column).and_then(Cell::text).unwrap_or_default()
    }

    pub fn optional(&self, column: usize) -> Option<&str> {
        self.0.get(column).and_then(Cell::text)
    }

    pub fn number(&self, column: usize) -> Option<u64> {
        self.0.get(column).and_then(Cell::number)
    }
}
