//! A statement's parameters as a model sees them. Never the statement itself.

mod row;
mod strict;

pub use row::row_schema;
pub use strict::strict_parameters_schema;

use events::skill::{FieldType, Parameter, Shape, Source, Statement};
use serde_json::{Map, Value, json};

/// JSON Schema of the arguments: a closed object that holds what the model supplies and nothing else.
pub fn parameters_schema(statement: &Statement) -> Value {
    let properties: Map<String, Value> =
        from_model(statement).map(|parameter| (parameter.name.clone(), property(parameter))).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required_params(statement),
        "additionalProperties": false,
    })
}

/// Names of what the model must supply.
pub fn required_params(statement: &Statement) -> Vec<String> {
    from_model(statement)
        .filter(|parameter| parameter.required)
        .map(|parameter| parameter.name.clone())
        .collect()
}

/// The leaves that an answer may hold.
pub fn allowed_fields(statement: &Statement) -> Vec<String> {
    statement.columns.iter().map(|column| column.leaf.clone()).collect()
}

fn from_model(statement: &Statement) -> impl Iterator<Item = &Parameter> {
    statement.parameters.iter().filter(|parameter| parameter.source == Source::Model)
}

fn property(parameter: &Parameter) -> Value {
    let mut schema = of(&parameter.shape);
    // For an optional one null is the same as nothing, which need not be said.
    if parameter.nullable && parameter.required {
        allow_null(&mut schema);
    }
    if let Some(description) = &parameter.description {
        schema.insert("description".to_owned(), json!(description));
    }
    Value::Object(schema)
}

fn allow_null(schema: &mut Map<String, Value>) {
    let with_null = match schema.get("type") {
        Some(Value::String(one)) => json!([one, "null"]),
        Some(Value::Array(several)) => Value::Array(several.iter().cloned().chain([json!("null")]).collect()),
        // Any JSON, null too.
        _ => return,
    };
    schema.insert("type".to_owned(), with_null);
    if let Some(Value::Array(members)) = schema.get_mut("enum") {
        members.push(Value::Null);
    }
}

fn of(shape: &Shape) -> Map<String, Value> {
    let schema = match shape.field_type {
        _ if shape.set => json!({
            "type": "array", "items": { "type": "string", "enum": shape.enum_values }, "uniqueItems": true,
        }),
        FieldType::String => match shape.max_length {
            Some(length) => json!({ "type": "string", "maxLength": length }),
            None => json!({ "type": "string" }),
        },
        FieldType::Integer => {
            let (least, greatest) = crate::arguments::integer_range(shape);
            json!({ "type": "integer", "minimum": least as i64, "maximum": greatest as i64 })
        }
        FieldType::Bigint => json!({ "type": ["integer", "string"], "pattern": "^-?[0-9]+$" }),
        FieldType::Decimal => json!({ "type": ["number", "string"], "pattern": "^-?[0-9]+(\\.[0-9]+)?$" }),
        FieldType::Float => json!({ "type": "number" }),
        FieldType::Boolean => json!({ "type": "boolean" }),
        FieldType::Date => json!({ "type": "string", "format": "date" }),
        FieldType::Time => {
            json!({ "type": "string", "pattern": "^[0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]+)?)?" })
        }
        FieldType::Timestamp => json!({
            "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]+)?)?",
        }),
        FieldType::Timestamptz => json!({ "type": "string", "format": "date-time" }),
        FieldType::Interval => json!({ "type": "string", "format": "duration" }),
        FieldType::Uuid => json!({ "type": "string", "format": "uuid" }),
        FieldType::Json => json!({}),
        FieldType::Binary => json!({ "type": "string", "contentEncoding": "base64" }),
        FieldType::Enum => json!({ "type": "string", "enum": shape.enum_values }),
        FieldType::Array => match shape.element.as_deref() {
            Some(element) => json!({ "type": "array", "items": of(element) }),
            None => json!({ "type": "array" }),
        },
        // Never bound; see catalog::is_bindable.
        FieldType::Other => json!({}),
    };
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}
