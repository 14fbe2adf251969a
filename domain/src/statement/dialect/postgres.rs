//! PostgreSQL 13 and later.

use super::{Dialect, quoted};
use crate::catalog::Field;
use events::skill::{Direction, FieldType, Shape};
use std::fmt::Write;

pub struct Postgres;

impl Dialect for Postgres {
    fn identifier(&self, text: &mut String, name: &str) {
        quoted(text, name, '"');
    }

    /// With the column's own type, so that the server never guesses one from the other side.
    fn value(&self, text: &mut String, position: usize, field: &Field) {
        let _ = write!(text, "${position}");
        if let Some(cast) = &field.cast {
            text.push_str("::");
            text.push_str(cast);
        }
    }

    /// citext brings an operator of its own, in its own schema. A session without a search path would not find it,
    /// and would compare as text: by case, and without the column's index.
    fn equals(&self, text: &mut String, field: &Field) {
        match field.cast.as_deref().and_then(|cast| cast.strip_suffix(".citext")) {
            Some(schema) => {
                let _ = write!(text, " OPERATOR({schema}.=) ");
            }
            None => text.push_str(" = "),
        }
    }

    fn given(&self, text: &mut String, position: usize) {
        let _ = write!(text, "${position}::boolean");
    }

    /// Types that the driver cannot decode come as text.
    fn selected(&self, text: &mut String, shape: &Shape) {
        match (shape.field_type, shape.element.as_deref().map(|element| element.field_type)) {
            (FieldType::Other, _) => text.push_str("::text"),
            (FieldType::Array, Some(FieldType::Other) | None) if !shape.set => text.push_str("::text[]"),
            (
                FieldType::String
                | FieldType::Integer
                | FieldType::Bigint
                | FieldType::Decimal
                | FieldType::Float
                | FieldType::Boolean
                | FieldType::Date
                | FieldType::Time
                | FieldType::Timestamp
                | FieldType::Timestamptz
                | FieldType::Interval
                | FieldType::Uuid
                | FieldType::Json
                | FieldType::Binary
                | FieldType::Enum
                | FieldType::Array,
                _,
            ) => {}
        }
    }

    /// PostgreSQL takes NULL for the greatest value: the latest appointment would be the one without a date.
    fn direction(&self, text: &mut String, field: &Field, direction: Direction) {
        match direction {
            Direction::Asc => {}
            Direction::Desc if field.nullable => text.push_str(" DESC NULLS LAST"),
            Direction::Desc => text.push_str(" DESC"),
        }
    }

    fn writes_return_rows(&self) -> bool {
        true
    }
}
