//! Arguments as typed parameters of the binary protocol. The type comes from the column, never from the JSON value:
//! a number that is compared with a text column would match every row whose text starts with no digit.

use super::errors::mismatch;
use super::packets::{Parameter, with_length};
use crate::databases::DatabaseError;
use domain::arguments::Bound;
use events::skill::{Bind, FieldType, Shape, Statement};
use jiff::civil::DateTime;
use mysql_common::constants::ColumnType;

/// The parameters of a frozen statement, in the order of its placeholders.
///
/// # Errors
/// `SchemaMismatch` when a value is not of its column's kind; the arguments were judged before, so this is a
/// statement that was compiled by another version.
pub(super) fn encode_all(statement: &Statement, binds: &[Bound]) -> Result<Vec<Parameter>, DatabaseError> {
    if binds.len() != statement.binds.len() {
        return Err(mismatch("The statement has another number of placeholders than values."));
    }
    statement
        .binds
        .iter()
        .zip(binds)
        .map(|(bind, bound)| match bind {
            Bind::Given { .. } => flag(bound).ok_or_else(|| mismatch(MISFIT)),
            Bind::Value { parameter } => {
                let parameter = statement.parameters.get(*parameter).ok_or_else(|| mismatch(MISFIT))?;
                encode(&parameter.shape, bound).ok_or_else(|| mismatch(MISFIT))
            }
        })
        .collect()
}

const MISFIT: &str = "A value does not have the kind of its column. Compile the skill again.";

/// A value of each placeholder's type that says nothing, for the planner.
pub(super) fn samples(statement: &Statement) -> Result<Vec<Parameter>, DatabaseError> {
    let values: Vec<Bound> = statement
        .binds
        .iter()
        .map(|bind| match bind {
            Bind::Given { .. } => Bound::Boolean(true),
            Bind::Value { parameter } => {
                statement.parameters.get(*parameter).map_or(Bound::Null, |parameter| sample(&parameter.shape))
            }
        })
        .collect();
    encode_all(statement, &values)
}

fn sample(shape: &Shape) -> Bound {
    match shape.field_type {
        FieldType::Integer | FieldType::Bigint => Bound::Integer(1),
        FieldType::Float => Bound::Float(1.0),
        FieldType::Boolean => Bound::Boolean(true),
        FieldType::Binary => Bound::Binary(vec![1]),
        FieldType::Decimal => Bound::Text("1".into()),
        FieldType::Date => Bound::Text("2000-01-01".into()),
        FieldType::Time => Bound::Text("00:00:01".into()),
        FieldType::Timestamp => Bound::Text("2000-01-01T00:00:00".into()),
        FieldType::Timestamptz => Bound::Text("2000-01-01T00:00:00Z".into()),
        FieldType::Json => Bound::Text("null".into()),
        FieldType::Enum => Bound::Text(shape.enum_values.first().cloned().unwrap_or_default()),
        FieldType::Array => Bound::Array(Vec::new()),
        FieldType::Uuid => Bound::Text("00000000-0000-0000-0000-000000000001".into()),
        FieldType::String | FieldType::Interval | FieldType::Other => Bound::Text("a".into()),
    }
}

/// `None` when the value is not of the column's kind.
pub(super) fn encode(shape: &Shape, bound: &Bound) -> Option<Parameter> {
    match shape.field_type {
        FieldType::Integer | FieldType::Bigint => integer(shape, bound),
        FieldType::Boolean => flag(bound),
        FieldType::Float => float(shape, bound),
        FieldType::Decimal => text(ColumnType::MYSQL_TYPE_NEWDECIMAL, bound),
        FieldType::Date => timed(ColumnType::MYSQL_TYPE_DATE, bound, date),
        FieldType::Time => timed(ColumnType::MYSQL_TYPE_TIME, bound, time),
        FieldType::Timestamp => timed(ColumnType::MYSQL_TYPE_DATETIME, bound, timestamp),
        FieldType::Timestamptz => timed(ColumnType::MYSQL_TYPE_DATETIME, bound, instant),
        FieldType::Binary => binary(bound),
        FieldType::Array => members(shape, bound),
        FieldType::String
        | FieldType::Interval
        | FieldType::Uuid
        | FieldType::Json
        | FieldType::Enum
        | FieldType::Other => text(ColumnType::MYSQL_TYPE_VAR_STRING, bound),
    }
}

fn typed(kind: ColumnType, value: Option<Vec<u8>>) -> Option<Parameter> {
    Some(Parameter { kind: kind as u8, unsigned: false, value })
}

fn integer(shape: &Shape, bound: &Bound) -> Option<Parameter> {
    let kind = ColumnType::MYSQL_TYPE_LONGLONG as u8;
    match bound {
        Bound::Null => Some(Parameter { kind, unsigned: shape.unsigned, value: None }),
        Bound::Integer(number) => {
            // An unsigned column never holds a negative number, but may be asked for one: it finds nothing.
            let unsigned = *number > i128::from(i64::MAX);
            let bytes = match i64::try_from(*number) {
                Ok(signed) => signed.to_le_bytes(),
                Err(_) => u64::try_from(*number).ok()?.to_le_bytes(),
            };
            Some(Parameter { kind, unsigned, value: Some(bytes.to_vec()) })
        }
        Bound::Boolean(_) | Bound::Float(_) | Bound::Text(_) | Bound::Binary(_) | Bound::Array(_) => None,
    }
}

fn flag(bound: &Bound) -> Option<Parameter> {
    let value = match bound {
        Bound::Null => None,
        Bound::Boolean(flag) => Some(vec![u8::from(*flag)]),
        Bound::Integer(_) | Bound::Float(_) | Bound::Text(_) | Bound::Binary(_) | Bound::Array(_) => {
            return None;
        }
    };
    typed(ColumnType::MYSQL_TYPE_TINY, value)
}

/// A FLOAT column holds 0.1 in single precision; only a single-precision 0.1 equals it.
fn float(shape: &Shape, bound: &Bound) -> Option<Parameter> {
    let single = shape.native_type.starts_with("float");
    let kind = if single { ColumnType::MYSQL_TYPE_FLOAT } else { ColumnType::MYSQL_TYPE_DOUBLE };
    let number = match bound {
        Bound::Null => return typed(kind, None),
        Bound::Float(number) => *number,
        Bound::Boolean(_) | Bound::Integer(_) | Bound::Text(_) | Bound::Binary(_) | Bound::Array(_) => {
            return None;
        }
    };
    match (single, number as f32) {
        (true, short) if short.is_finite() => typed(kind, Some(short.to_le_bytes().to_vec())),
        (true, _) | (false, _) => typed(ColumnType::MYSQL_TYPE_DOUBLE, Some(number.to_le_bytes().to_vec())),
    }
}

fn text(kind: ColumnType, bound: &Bound) -> Option<Parameter> {
    match bound {
        Bound::Null => typed(kind, None),
        Bound::Text(text) => typed(kind, Some(with_length(text.as_bytes()))),
        Bound::Boolean(_) | Bound::Integer(_) | Bound::Float(_) | Bound::Binary(_) | Bound::Array(_) => None,
    }
}

fn binary(bound: &Bound) -> Option<Parameter> {
    match bound {
        Bound::Null => typed(ColumnType::MYSQL_TYPE_BLOB, None),
        Bound::Binary(bytes) => typed(ColumnType::MYSQL_TYPE_BLOB, Some(with_length(bytes))),
        Bound::Boolean(_) | Bound::Integer(_) | Bound::Float(_) | Bound::Text(_) | Bound::Array(_) => None,
    }
}

/// A SET's members in the order of its definition, as the server writes them; a member cannot hold a comma.
fn members(shape: &Shape, bound: &Bound) -> Option<Parameter> {
    let kind = ColumnType::MYSQL_TYPE_VAR_STRING;
    let members = match bound {
        Bound::Null => return typed(kind, None),
        Bound::Array(members) => members,
        Bound::Boolean(_) | Bound::Integer(_) | Bound::Float(_) | Bound::Text(_) | Bound::Binary(_) => {
            return None;
        }
    };
    let mut chosen = Vec::with_capacity(members.len());
    for member in members {
        let Bound::Text(member) = member else { return None };
        if member.contains(',') {
            return None;
        }
        chosen.push(member.as_str());
    }
    chosen.sort_by_key(|member| shape.enum_values.iter().position(|value| value == member));
    chosen.dedup();
    typed(kind, Some(with_length(chosen.join(",").as_bytes())))
}

fn timed(kind: ColumnType, bound: &Bound, encode: fn(&str) -> Option<Vec<u8>>) -> Option<Parameter> {
    match bound {
        Bound::Null => typed(kind, None),
        Bound::Text(text) => typed(kind, Some(encode(text)?)),
        Bound::Boolean(_) | Bound::Integer(_) | Bound::Float(_) | Bound::Binary(_) | Bound::Array(_) => None,
    }
}

fn date(text: &str) -> Option<Vec<u8>> {
    let date: jiff::civil::Date = text.parse().ok()?;
    let mut value = vec![4];
    value.extend_from_slice(&u16::try_from(date.year()).ok()?.to_le_bytes());
    value.extend_from_slice(&[date.month() as u8, date.day() as u8]);
    Some(value)
}

fn timestamp(text: &str) -> Option<Vec<u8>> {
    date_time(text.parse().ok()?)
}

fn instant(text: &str) -> Option<Vec<u8>> {
    let instant: jiff::Timestamp = text.parse().ok()?;
    date_time(instant.to_zoned(jiff::tz::TimeZone::UTC).datetime())
}

fn date_time(at: DateTime) -> Option<Vec<u8>> {
    let mut value = vec![11];
    value.extend_from_slice(&u16::try_from(at.year()).ok()?.to_le_bytes());
    let parts = [at.month(), at.day(), at.hour(), at.minute(), at.second()];
    value.extend(parts.map(|part| part as u8));
    let micros = u32::try_from(at.subsec_nanosecond() / 1000).ok()?;
    value.extend_from_slice(&micros.to_le_bytes());
    Some(value)
}

/// `[-]HH:MM[:SS[.ffffff]]`, up to 838 hours.
fn time(text: &str) -> Option<Vec<u8>> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':');
    let hours: u32 = number(parts.next()?)?;
    let minutes: u8 = number(parts.next()?)?;
    let seconds: u8 = parts.next().map_or(Some(0), number)?;
    if parts.next().is_some() || hours > 838 || minutes > 59 || seconds > 59 {
        return None;
    }
    let micros: u32 = match fraction {
        "" => 0,
        digits => number(&format!("{digits:0<6}").chars().take(6).collect::<String>())?,
    };
    let mut value = vec![12, u8::from(negative)];
    value.extend_from_slice(&(hours / 24).to_le_bytes());
    value.extend_from_slice(&[(hours % 24) as u8, minutes, seconds]);
    value.extend_from_slice(&micros.to_le_bytes());
    Some(value)
}

/// Digits only: a sign or a space is not part of a clock.
fn number<T: std::str::FromStr>(digits: &str) -> Option<T> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(field_type: FieldType, native_type: &str) -> Shape {
        Shape {
            field_type,
            native_type: native_type.into(),
            integer_bytes: None,
            unsigned: false,
            max_length: None,
            precision: None,
            enum_values: vec!["x".into(), "y".into()],
            set: false,
            element: None,
        }
    }

    fn sent(field_type: FieldType, native_type: &str, bound: &Bound) -> Option<(u8, Option<Vec<u8>>)> {
        encode(&shape(field_type, native_type), bound).map(|parameter| (parameter.kind, parameter.value))
    }

    #[test]
    fn a_value_of_another_kind_than_its_column_is_never_sent() {
        let values = [
            Bound::Boolean(true),
            Bound::Integer(0),
            Bound::Float(0.0),
            Bound::Text("0".into()),
            Bound::Binary(vec![0]),
            Bound::Array(Vec::new()),
        ];
        for (field_type, fits) in [
            (FieldType::Boolean, 0),
            (FieldType::Integer, 1),
            (FieldType::Bigint, 1),
            (FieldType::Float, 2),
            (FieldType::String, 3),
            (FieldType::Decimal, 3),
            (FieldType::Enum, 3),
            (FieldType::Json, 3),
            (FieldType::Uuid, 3),
            (FieldType::Binary, 4),
            (FieldType::Array, 5),
        ] {
            for (at, value) in values.iter().enumerate() {
                assert_eq!(sent(field_type, "", value).is_some(), at == fits, "{field_type:?} {value:?}");
            }
        }
    }

    #[test]
    fn texts_are_sent_as_texts_and_decimals_as_decimals() {
        let zero = Bound::Text("0".into());
        assert_eq!(sent(FieldType::String, "varchar(9)", &zero), Some((253, Some(vec![1, b'0']))));
        assert_eq!(sent(FieldType::Decimal, "decimal(9,2)", &zero), Some((246, Some(vec![1, b'0']))));
        assert_eq!(sent(FieldType::String, "varchar(9)", &Bound::Null), Some((253, None)));
    }

    #[test]
    fn single_precision_columns_get_single_precision_values() {
        let tenth = Bound::Float(0.1);
        assert_eq!(sent(FieldType::Float, "float", &tenth), Some((4, Some(0.1f32.to_le_bytes().to_vec()))));
        assert_eq!(sent(FieldType::Float, "double", &tenth), Some((5, Some(0.1f64.to_le_bytes().to_vec()))));
        let big = Bound::Float(1e300);
        assert_eq!(sent(FieldType::Float, "float", &big), Some((5, Some(1e300f64.to_le_bytes().to_vec()))));
    }

    #[test]
    fn the_members_of_a_set_go_in_the_order_of_its_definition() {
        let members =
            |members: &[&str]| Bound::Array(members.iter().map(|m| Bound::Text((*m).into())).collect());
        let set = |bound| sent(FieldType::Array, "set('x','y')", &bound).map(|(_, value)| value);
        assert_eq!(set(members(&["y", "x", "y"])), Some(Some(b"\x03x,y".to_vec())));
        assert_eq!(set(members(&["x,y"])), None);
    }

    #[test]
    fn times_are_clocks_and_nothing_else() {
        let minus = time("-838:59:58.5").unwrap();
        assert_eq!(minus, [12, 1, 34, 0, 0, 0, 22, 59, 58, 0x20, 0xA1, 7, 0]);
        for text in ["", "1", "24", "1:60", "839:00:00", "1:2:3:4", "+1:00", "1:00:00.é", "--1:00"] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn instants_are_sent_in_utc() {
        let parts = [11, 0xE8, 7, 1, 31, 8, 0, 0, 0, 0, 0, 0];
        assert_eq!(instant("2024-01-31T10:00:00+02:00").unwrap(), parts);
        assert_eq!(timestamp("2024-01-31T08:00:00").unwrap(), parts);
        assert_eq!(date("2024-01-31").unwrap(), [4, 0xE8, 7, 1, 31]);
        assert_eq!(date("-0001-01-31"), None);
    }
}
