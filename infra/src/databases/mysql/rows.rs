//! The rows of an answer, as far as the limits allow.

use super::errors;
use super::failure::Result as WireResult;
use super::packets::{ColumnDefinition, Cursor};
use super::values::{read_row, to_json};
use crate::databases::json_size::JsonSize;
use crate::databases::{DatabaseError, Rows};
use bytes::Bytes;
use domain::limits;
use events::skill::Statement;

/// Collects rows as JSON until the statement's limit or the bytes of an answer are reached.
pub(super) struct RowSink<'a> {
    statement: &'a Statement,
    rows: Rows,
    size: JsonSize,
    pub count: u64,
    misfit: bool,
}

impl<'a> RowSink<'a> {
    pub fn new(statement: &'a Statement) -> Self {
        Self { statement, rows: Rows::default(), size: JsonSize::default(), count: 0, misfit: false }
    }

    pub fn is_cut(&self) -> bool {
        self.rows.truncated
    }

    pub fn push(&mut self, definitions: &[ColumnDefinition], payload: Bytes) -> WireResult<()> {
        self.count += 1;
        if self.misfit || self.rows.truncated {
            return Ok(());
        }
        if definitions.len() != self.statement.columns.len() {
            self.misfit = true;
            return Ok(());
        }
        if self.rows.rows.len() as u64 >= u64::from(self.statement.limit)
            || payload.len() > 4 * limits::RESULT_BYTES
        {
            self.rows.truncated = true;
            return Ok(());
        }
        let mut row = Vec::with_capacity(definitions.len());
        let mut columns = self.statement.columns.iter();
        read_row(definitions, Cursor(payload), |definition, raw| {
            if let Some(column) = columns.next() {
                row.push(to_json(&column.shape, definition, raw));
            }
            Ok(())
        })?;
        if self.size.fits(&row, &self.rows.rows, limits::RESULT_BYTES) {
            self.rows.rows.push(row);
        } else {
            self.rows.truncated = true;
        }
        Ok(())
    }

    pub fn finish(self) -> Result<Rows, DatabaseError> {
        if self.misfit {
            return Err(errors::mismatch(
                "The statement answers with other columns than it was compiled for. Discover the schema again.",
            ));
        }
        Ok(self.rows)
    }
}
