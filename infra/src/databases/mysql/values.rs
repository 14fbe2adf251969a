//! Values of answers: from the binary protocol to the JSON that the contract describes.

use super::failure::{Failure, Result};
use super::packets::{ColumnDefinition, Cursor};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use events::skill::{FieldType, Shape};
use mysql_common::constants::ColumnType;
use serde_json::{Number, Value};
use std::fmt::Write as _;

/// A value as the wire has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Raw {
    Null,
    Integer(i128),
    Single(f32),
    Double(f64),
    Bytes(Bytes),
    Date(Moment),
    Time(Span),
}

/// A date, with a time of day when the column has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    pub year: u16,
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    pub micros: u32,
}

/// MySQL's TIME: up to 838 hours, forward or back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub negative: bool,
    pub days: u32,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    pub micros: u32,
}

/// Takes a row of the binary protocol apart.
pub(super) fn read_row(
    definitions: &[ColumnDefinition],
    mut row: Cursor,
    mut visit: impl FnMut(&ColumnDefinition, Raw) -> Result<()>,
) -> Result<()> {
    if row.u8()? != 0 {
        return Err(Failure::Violation("a row that does not start like one"));
    }
    let nulls = row.take((definitions.len() + 2).div_ceil(8))?;
    for (at, definition) in definitions.iter().enumerate() {
        let bit = at + 2;
        let raw =
            if nulls[bit / 8] & (1 << (bit % 8)) != 0 { Raw::Null } else { read(definition, &mut row)? };
        visit(definition, raw)?;
    }
    if !row.0.is_empty() {
        return Err(Failure::Violation("a row that is longer than its columns"));
    }
    Ok(())
}

fn read(definition: &ColumnDefinition, row: &mut Cursor) -> Result<Raw> {
    use ColumnType::*;
    let unsigned = definition.unsigned;
    let kind = ColumnType::try_from(definition.kind).map_err(|_| Failure::Violation("an unknown type"))?;
    Ok(match kind {
        MYSQL_TYPE_TINY => {
            let byte = row.u8()?;
            Raw::Integer(if unsigned { byte.into() } else { (byte as i8).into() })
        }
        MYSQL_TYPE_SHORT | MYSQL_TYPE_YEAR => {
            let word = row.u16()?;
            Raw::Integer(if unsigned { word.into() } else { (word as i16).into() })
        }
        MYSQL_TYPE_LONG | MYSQL_TYPE_INT24 => {
            let long = row.u32()?;
            Raw::Integer(if unsigned { long.into() } else { (long as i32).into() })
        }
        MYSQL_TYPE_LONGLONG => {
            let long = row.u64()?;
            Raw::Integer(if unsigned { long.into() } else { (long as i64).into() })
        }
        MYSQL_TYPE_FLOAT => Raw::Single(f32::from_bits(row.u32()?)),
        MYSQL_TYPE_DOUBLE => Raw::Double(f64::from_bits(row.u64()?)),
        MYSQL_TYPE_DATE | MYSQL_TYPE_NEWDATE | MYSQL_TYPE_DATETIME | MYSQL_TYPE_TIMESTAMP => {
            Raw::Date(read_moment(row)?)
        }
        MYSQL_TYPE_TIME => Raw::Time(read_span(row)?),
        MYSQL_TYPE_NULL => Raw::Null,
        MYSQL_TYPE_DECIMAL
        | MYSQL_TYPE_NEWDECIMAL
        | MYSQL_TYPE_VARCHAR
        | MYSQL_TYPE_BIT
        | MYSQL_TYPE_JSON
        | MYSQL_TYPE_ENUM
        | MYSQL_TYPE_SET
        | MYSQL_TYPE_TINY_BLOB
        | MYSQL_TYPE_MEDIUM_BLOB
        | MYSQL_TYPE_LONG_BLOB
        | MYSQL_TYPE_BLOB
        | MYSQL_TYPE_VAR_STRING
        | MYSQL_TYPE_STRING
        | MYSQL_TYPE_GEOMETRY
        | MYSQL_TYPE_VECTOR => Raw::Bytes(row.text()?),
        MYSQL_TYPE_TIMESTAMP2
        | MYSQL_TYPE_DATETIME2
        | MYSQL_TYPE_TIME2
        | MYSQL_TYPE_TYPED_ARRAY
        | MYSQL_TYPE_UNKNOWN => return Err(Failure::Violation("a type that answers never have")),
    })
}

fn read_moment(row: &mut Cursor) -> Result<Moment> {
    let length = row.u8()?;
    let mut moment = Moment::default();
    if !matches!(length, 0 | 4 | 7 | 11) {
        return Err(Failure::Violation("a date of unknown length"));
    }
    if length >= 4 {
        (moment.year, moment.month, moment.day) = (row.u16()?, row.u8()?, row.u8()?);
    }
    if length >= 7 {
        (moment.hour, moment.minute, moment.second) = (row.u8()?, row.u8()?, row.u8()?);
    }
    if length == 11 {
        moment.micros = row.u32()?;
    }
    Ok(moment)
}

fn read_span(row: &mut Cursor) -> Result<Span> {
    let length = row.u8()?;
    let mut span = Span::default();
    if !matches!(length, 0 | 8 | 12) {
        return Err(Failure::Violation("a time of unknown length"));
    }
    if length >= 8 {
        span.negative = row.u8()? != 0;
        span.days = row.u32()?;
        (span.hour, span.minute, span.second) = (row.u8()?, row.u8()?, row.u8()?);
    }
    if length == 12 {
        span.micros = row.u32()?;
    }
    Ok(span)
}

/// The JSON of a value, by what its column is in the catalog and, where that leaves it open, by what the wire says.
pub(super) fn to_json(shape: &Shape, definition: &ColumnDefinition, raw: Raw) -> Value {
    match raw {
        Raw::Null => Value::Null,
        Raw::Integer(number) => integer(shape, number),
        // Through its shortest text, or 0.1 would read 0.10000000149011612.
        Raw::Single(number) => float(number.to_string().parse().unwrap_or_default()),
        Raw::Double(number) => float(number),
        Raw::Date(moment) => date(shape.field_type, definition.kind, moment),
        Raw::Time(span) => Value::String(span.to_text()),
        Raw::Bytes(bytes) if definition.kind == ColumnType::MYSQL_TYPE_BIT as u8 => {
            let number = bytes.iter().fold(0i128, |number, byte| (number << 8) | i128::from(*byte));
            integer(shape, number)
        }
        Raw::Bytes(bytes) => from_bytes(shape, definition, &bytes),
    }
}

fn integer(shape: &Shape, number: i128) -> Value {
    match shape.field_type {
        FieldType::Boolean => Value::Bool(number != 0),
        FieldType::Integer => i64::try_from(number).map_or_else(|_| text(number), Value::from),
        FieldType::String
        | FieldType::Bigint
        | FieldType::Decimal
        | FieldType::Float
        | FieldType::Date
        | FieldType::Time
        | FieldType::Timestamp
        | FieldType::Timestamptz
        | FieldType::Interval
        | FieldType::Uuid
        | FieldType::Json
        | FieldType::Binary
        | FieldType::Enum
        | FieldType::Array
        | FieldType::Other => text(number),
    }
}

fn text(value: impl ToString) -> Value {
    Value::String(value.to_string())
}

fn float(number: f64) -> Value {
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

fn from_bytes(shape: &Shape, definition: &ColumnDefinition, bytes: &[u8]) -> Value {
    match shape.field_type {
        FieldType::Binary => Value::String(STANDARD.encode(bytes)),
        FieldType::Json => serde_json::from_slice(bytes).unwrap_or_else(|_| lossy(bytes)),
        FieldType::Array => {
            let members = String::from_utf8_lossy(bytes);
            Value::Array(members.split(',').filter(|member| !member.is_empty()).map(Value::from).collect())
        }
        FieldType::Other if definition.binary => Value::String(STANDARD.encode(bytes)),
        FieldType::Float => String::from_utf8_lossy(bytes).parse().map_or_else(|_| lossy(bytes), float),
        FieldType::String
        | FieldType::Integer
        | FieldType::Bigint
        | FieldType::Decimal
        | FieldType::Boolean
        | FieldType::Date
        | FieldType::Time
        | FieldType::Timestamp
        | FieldType::Timestamptz
        | FieldType::Interval
        | FieldType::Uuid
        | FieldType::Enum
        | FieldType::Other => lossy(bytes),
    }
}

fn lossy(bytes: &[u8]) -> Value {
    Value::String(String::from_utf8_lossy(bytes).into_owned())
}

/// MySQL's zero dates, and dates with a zero month or day, are no dates: NULL.
fn date(field_type: FieldType, kind: u8, moment: Moment) -> Value {
    if moment.month == 0 || moment.day == 0 {
        return Value::Null;
    }
    let mut text = format!("{:04}-{:02}-{:02}", moment.year, moment.month, moment.day);
    if kind == ColumnType::MYSQL_TYPE_DATE as u8 || kind == ColumnType::MYSQL_TYPE_NEWDATE as u8 {
        return Value::String(text);
    }
    // Writing to a String cannot fail.
    let _ = write!(text, "T{:02}:{:02}:{:02}", moment.hour, moment.minute, moment.second);
    push_fraction(&mut text, moment.micros);
    if field_type == FieldType::Timestamptz {
        // The session runs in UTC.
        text.push('Z');
    }
    Value::String(text)
}

impl Span {
    fn to_text(self) -> String {
        let hours = u64::from(self.days) * 24 + u64::from(self.hour);
        let sign = if self.negative { "-" } else { "" };
        let mut text = format!("{sign}{hours:02}:{:02}:{:02}", self.minute, self.second);
        push_fraction(&mut text, self.micros);
        text
    }
}

fn push_fraction(text: &mut String, micros: u32) {
    if micros > 0 {
        let digits = format!("{micros:06}");
        text.push('.');
        text.push_str(digits.trim_end_matches('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn json_of(field_type: FieldType, kind: ColumnType, raw: Raw) -> Value {
        let shape = Shape {
            field_type,
            native_type: String::new(),
            integer_bytes: None,
            unsigned: false,
            max_length: None,
            precision: None,
            enum_values: Vec::new(),
            set: false,
            element: None,
        };
        let definition =
            ColumnDefinition { name: Bytes::new(), kind: kind as u8, unsigned: false, binary: false };
        to_json(&shape, &definition, raw)
    }

    #[test]
    fn zero_dates_are_null_and_others_are_written_as_the_contract_says() {
        let kind = ColumnType::MYSQL_TYPE_DATETIME;
        let moment = Moment { year: 2024, month: 2, day: 29, hour: 1, minute: 2, second: 3, micros: 40 };
        let of = |field_type, moment| json_of(field_type, kind, Raw::Date(moment));
        assert_eq!(of(FieldType::Timestamp, Moment::default()), Value::Null);
        assert_eq!(of(FieldType::Timestamp, Moment { month: 0, ..moment }), Value::Null);
        assert_eq!(of(FieldType::Timestamp, moment), json!("2024-02-29T01:02:03.00004"));
        assert_eq!(of(FieldType::Timestamptz, Moment { micros: 0, ..moment }), json!("2024-02-29T01:02:03Z"));
        let date = json_of(FieldType::Date, ColumnType::MYSQL_TYPE_DATE, Raw::Date(moment));
        assert_eq!(date, json!("2024-02-29"));
    }

    #[test]
    fn a_time_may_go_back_for_days() {
        let span = Span { negative: true, days: 34, hour: 22, minute: 59, second: 59, micros: 0 };
        let time = json_of(FieldType::Time, ColumnType::MYSQL_TYPE_TIME, Raw::Time(span));
        assert_eq!(time, json!("-838:59:59"));
    }

    #[test]
    fn numbers_that_a_double_cannot_hold_are_text() {
        let long = Raw::Integer(u64::MAX.into());
        let kind = ColumnType::MYSQL_TYPE_LONGLONG;
        assert_eq!(json_of(FieldType::Bigint, kind, long), json!("18446744073709551615"));
        assert_eq!(json_of(FieldType::Integer, kind, Raw::Integer(-7)), json!(-7));
        assert_eq!(json_of(FieldType::Boolean, kind, Raw::Integer(2)), json!(true));
        assert_eq!(json_of(FieldType::Float, ColumnType::MYSQL_TYPE_FLOAT, Raw::Single(0.1)), json!(0.1));
    }

    #[test]
    fn sets_are_arrays_and_bits_are_numbers() {
        let of = |field_type, kind, bytes| json_of(field_type, kind, Raw::Bytes(Bytes::from_static(bytes)));
        let set = ColumnType::MYSQL_TYPE_STRING;
        assert_eq!(of(FieldType::Array, set, b"x,z"), json!(["x", "z"]));
        assert_eq!(of(FieldType::Array, set, b""), json!([]));
        assert_eq!(of(FieldType::Integer, ColumnType::MYSQL_TYPE_BIT, &[0x0A, 0xBC]), json!(2748));
        assert_eq!(of(FieldType::Boolean, ColumnType::MYSQL_TYPE_BIT, &[1]), json!(true));
        assert_eq!(of(FieldType::Json, ColumnType::MYSQL_TYPE_BLOB, b"{\"a\":1}"), json!({ "a": 1 }));
    }
}
