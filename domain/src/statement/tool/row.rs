//! What a row of an answer looks like.

use events::skill::{FieldType, Shape, Statement};
use serde_json::{Map, Value, json};

/// JSON Schema of one row. No leaf must be there: an answer that is given again may be of another version.
pub fn row_schema(statement: &Statement) -> Value {
    let leaves: Map<String, Value> =
        statement.columns.iter().map(|column| (column.leaf.clone(), value(&column.shape))).collect();
    json!({ "type": "object", "properties": leaves })
}

fn value(shape: &Shape) -> Value {
    if shape.set {
        return json!({ "type": ["array", "null"], "items": { "type": "string" } });
    }
    match shape.field_type {
        FieldType::Integer => json!({ "type": ["integer", "null"] }),
        // NaN and the infinities are text.
        FieldType::Float => json!({ "type": ["number", "string", "null"] }),
        FieldType::Boolean => json!({ "type": ["boolean", "null"] }),
        FieldType::String
        | FieldType::Bigint
        | FieldType::Decimal
        | FieldType::Date
        | FieldType::Time
        | FieldType::Timestamp
        | FieldType::Timestamptz
        | FieldType::Interval
        | FieldType::Uuid
        | FieldType::Binary
        | FieldType::Enum => json!({ "type": ["string", "null"] }),
        FieldType::Array => json!({ "type": ["array", "null"] }),
        // Whatever a document holds, or a type of the engine's own.
        FieldType::Json | FieldType::Other => json!({}),
    }
}
