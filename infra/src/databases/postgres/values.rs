//! Binary values as the contract writes them.

mod numbers;
mod times;

#[cfg(test)]
mod tests;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use postgres_types::{FromSql, Kind, Type};
use serde_json::Value;
use std::error::Error;

/// A column's bytes as they came, whatever its type.
pub(super) struct Raw<'a>(pub(super) Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, bytes: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Some(bytes)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Why a value cannot be shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// The bytes are not what the type says.
    Malformed,
    /// The statement should have asked for text: the column has changed its type since.
    UnknownType,
}

/// Arrays have at most six dimensions in PostgreSQL; a domain over a domain over … is bounded likewise.
const DEPTH_MAX: usize = 16;

pub(super) fn decode(kind: &Type, raw: Raw<'_>) -> Result<Value, Unreadable> {
    match raw.0 {
        None => Ok(Value::Null),
        Some(bytes) => value(kind, bytes, 0),
    }
}

fn value(kind: &Type, bytes: &[u8], depth: usize) -> Result<Value, Unreadable> {
    if depth > DEPTH_MAX {
        return Err(Unreadable::Malformed);
    }
    match kind.kind() {
        Kind::Simple => simple(kind, bytes),
        Kind::Enum(_) => text(bytes),
        Kind::Domain(base) => value(base, bytes, depth + 1),
        Kind::Array(element) => array(element, bytes, depth + 1),
        _ => Err(Unreadable::UnknownType),
    }
}

fn simple(kind: &Type, bytes: &[u8]) -> Result<Value, Unreadable> {
    match *kind {
        Type::BOOL => Ok(Value::Bool(fixed::<1>(bytes)? != [0])),
        Type::INT2 => Ok(i16::from_be_bytes(fixed(bytes)?).into()),
        Type::INT4 => Ok(i32::from_be_bytes(fixed(bytes)?).into()),
        Type::INT8 => Ok(i64::from_be_bytes(fixed(bytes)?).to_string().into()),
        Type::FLOAT4 => Ok(numbers::float4(f32::from_be_bytes(fixed(bytes)?))),
        Type::FLOAT8 => Ok(numbers::float8(f64::from_be_bytes(fixed(bytes)?))),
        Type::NUMERIC => numbers::numeric(bytes).map(Value::String),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => text(bytes),
        Type::DATE => Ok(times::date(i32::from_be_bytes(fixed(bytes)?)).into()),
        Type::TIME => times::time(i64::from_be_bytes(fixed(bytes)?)).map(Value::String),
        Type::TIMESTAMP => Ok(times::timestamp(i64::from_be_bytes(fixed(bytes)?), "").into()),
        Type::TIMESTAMPTZ => Ok(times::timestamp(i64::from_be_bytes(fixed(bytes)?), "Z").into()),
        Type::INTERVAL => times::interval(fixed(bytes)?).map(Value::String),
        Type::UUID => Ok(uuid::Uuid::from_bytes(fixed(bytes)?).to_string().into()),
        Type::JSON => json(bytes),
        Type::JSONB => match bytes {
            [1, rest @ ..] => json(rest),
            _ => Err(Unreadable::Malformed),
        },
        Type::BYTEA => Ok(STANDARD.encode(bytes).into()),
        // citext is text with another way to compare.
        _ if kind.name() == "citext" => text(bytes),
        _ => Err(Unreadable::UnknownType),
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Unreadable> {
    bytes.try_into().map_err(|_| Unreadable::Malformed)
}

fn text(bytes: &[u8]) -> Result<Value, Unreadable> {
    std::str::from_utf8(bytes).map(Value::from).map_err(|_| Unreadable::Malformed)
}

/// What our parser does not take (nested beyond 128, numbers beyond a double) stays the text that it is.
fn json(bytes: &[u8]) -> Result<Value, Unreadable> {
    serde_json::from_slice(bytes).or_else(|_| text(bytes))
}

/// Takes numbers off the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Unreadable> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Unreadable::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn i16(&mut self) -> Result<i16, Unreadable> {
        Ok(i16::from_be_bytes(fixed(self.take(2)?)?))
    }

    fn i32(&mut self) -> Result<i32, Unreadable> {
        Ok(i32::from_be_bytes(fixed(self.take(4)?)?))
    }
}

fn array(element: &Type, bytes: &[u8], depth: usize) -> Result<Value, Unreadable> {
    let mut reader = Reader(bytes);
    let dimensions = reader.i32()?;
    let _has_nulls = reader.i32()?;
    let _element_oid = reader.i32()?;
    if !(0..=6).contains(&dimensions) {
        return Err(Unreadable::Malformed);
    }
    let mut lengths = Vec::new();
    for _ in 0..dimensions {
        lengths.push(usize::try_from(reader.i32()?).map_err(|_| Unreadable::Malformed)?);
        let _lower_bound = reader.i32()?;
    }
    if lengths.is_empty() {
        return Ok(Value::Array(Vec::new()));
    }
    let array = dimension(element, &mut reader, &lengths, depth)?;
    if reader.0.is_empty() { Ok(array) } else { Err(Unreadable::Malformed) }
}

/// Nothing is allocated by a length that the server only claims.
fn dimension(
    element: &Type,
    reader: &mut Reader<'_>,
    lengths: &[usize],
    depth: usize,
) -> Result<Value, Unreadable> {
    let Some((length, inner)) = lengths.split_first() else {
        return match reader.i32()? {
            -1 => Ok(Value::Null),
            length => {
                let length = usize::try_from(length).map_err(|_| Unreadable::Malformed)?;
                value(element, reader.take(length)?, depth)
            }
        };
    };
    let mut items = Vec::new();
    for _ in 0..*length {
        // A dimension of nothing below one of many would repeat without using up bytes.
        if reader.0.is_empty() {
            return Err(Unreadable::Malformed);
        }
        items.push(dimension(element, reader, inner, depth)?);
    }
    Ok(Value::Array(items))
}
