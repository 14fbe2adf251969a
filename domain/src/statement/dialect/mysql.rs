//! MySQL 8 and MariaDB.

use super::{Dialect, quoted};
use crate::catalog::{Field, Object};
use events::skill::{Direction, FieldType, Shape};
use std::fmt::Write;

pub struct Mysql;

impl Dialect for Mysql {
    /// Without the session's own database: a statement that named it would go on reading it after the connection was
    /// led to another.
    fn table(&self, text: &mut String, object: &Object) {
        if object.name != object.table {
            self.identifier(text, &object.schema);
            text.push('.');
        }
        self.identifier(text, &object.table);
    }

    fn identifier(&self, text: &mut String, name: &str) {
        quoted(text, name, '`');
    }

    /// A text beside a number is compared as a double, which makes different numbers equal, and a text beside a
    /// date as whatever it looks like: both get the column's type. Numbers and texts are sent as such.
    fn value(&self, text: &mut String, _position: usize, field: &Field) {
        match field.shape.field_type {
            FieldType::Decimal => {
                // The widest that both engines take.
                let (digits, scale) = field.shape.precision.unwrap_or((65, 30));
                let _ = write!(text, "CAST(? AS DECIMAL({digits},{scale}))");
            }
            FieldType::Date => text.push_str("CAST(? AS DATE)"),
            FieldType::Time => text.push_str("CAST(? AS TIME(6))"),
            FieldType::Timestamp | FieldType::Timestamptz => text.push_str("CAST(? AS DATETIME(6))"),
            FieldType::String
            | FieldType::Integer
            | FieldType::Bigint
            | FieldType::Float
            | FieldType::Boolean
            | FieldType::Interval
            | FieldType::Uuid
            | FieldType::Json
            | FieldType::Binary
            | FieldType::Enum
            | FieldType::Array
            | FieldType::Other => text.push('?'),
        }
    }

    fn given(&self, text: &mut String, _position: usize) {
        text.push('?');
    }

    fn selected(&self, _text: &mut String, _shape: &Shape) {}

    /// NULL is the least value here, so it already comes last.
    fn direction(&self, text: &mut String, _field: &Field, direction: Direction) {
        match direction {
            Direction::Asc => {}
            Direction::Desc => text.push_str(" DESC"),
        }
    }

    fn writes_return_rows(&self) -> bool {
        false
    }
}
