//! Arguments of a live call, judged by column type before anything is sent.

use crate::FieldError;
use events::skill::Statement;
use serde_json::{Map, Value};

/// A value that fits its column. The driver encodes it; the database never casts what it was not meant to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    Null,
    Boolean(bool),
    /// integer and bigint, unsigned MySQL ones too
    Integer(i128),
    Float(f64),
    /// string, decimal, date, time, timestamp (UTC, without zone), timestamptz (RFC 3339 in UTC), interval, uuid,
    /// enum, json: canonical text of the column's type
    Text(String),
    Binary(Vec<u8>),
    /// PostgreSQL arrays and MySQL SETs
    Array(Vec<Bound>),
}

/// Values for `statement.binds`, in their order.
///
/// `arguments` come from the model, `context` from the authenticated call.
///
/// # Errors
/// Every argument that is missing, unknown, or does not fit its column, at once; `field` is the parameter's name.
pub fn bind(
    _statement: &Statement,
    _arguments: &Map<String, Value>,
    _context: &Map<String, Value>,
) -> Result<Vec<Bound>, Vec<FieldError>> {
    todo!("the domain helper writes this")
}
