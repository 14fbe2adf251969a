//! The same parameters in the subset of JSON Schema that OpenAI's strict mode takes: every property is required, an
//! optional one may be null, and what the subset has no word for is said in the description.

use super::{allow_null, from_model, of};
use crate::limits::{STRICT_ENUM_BYTES, STRICT_ENUM_VALUES};
use events::skill::{FieldType, Parameter, Shape, Statement};
use serde_json::{Map, Value, json};

/// None for what the subset cannot say: a parameter that takes any JSON, or very many values of enums.
pub fn strict_parameters_schema(statement: &Statement) -> Option<Value> {
    let enums = || from_model(statement).flat_map(|parameter| enum_values(&parameter.shape));
    if enums().count() > STRICT_ENUM_VALUES || enums().map(String::len).sum::<usize>() > STRICT_ENUM_BYTES {
        return None;
    }
    let properties = from_model(statement)
        .map(|parameter| Some((parameter.name.clone(), property(parameter)?)))
        .collect::<Option<Map<String, Value>>>()?;
    let required: Vec<&str> = from_model(statement).map(|parameter| parameter.name.as_str()).collect();
    Some(json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    }))
}

fn enum_values(shape: &Shape) -> &[String] {
    shape.element.as_deref().map_or(&shape.enum_values, enum_values)
}

fn property(parameter: &Parameter) -> Option<Value> {
    let mut schema = strict(&parameter.shape)?;
    let mut told: Vec<String> = parameter.description.iter().cloned().collect();
    told.extend(unsaid(&parameter.shape));
    if !parameter.required {
        told.push("Null to leave it out.".to_owned());
    }
    if parameter.nullable || !parameter.required {
        allow_null(&mut schema);
    }
    if !told.is_empty() {
        schema.insert("description".to_owned(), told.join(" ").into());
    }
    Some(Value::Object(schema))
}

fn strict(shape: &Shape) -> Option<Map<String, Value>> {
    let mut schema = of(shape);
    if shape.set {
        schema.remove("uniqueItems");
        return Some(schema);
    }
    match shape.field_type {
        FieldType::Json | FieldType::Other => return None,
        // As a number it could lose digits on its way.
        FieldType::Bigint | FieldType::Decimal => {
            schema.insert("type".to_owned(), "string".into());
        }
        FieldType::Array => {
            let items = strict(shape.element.as_deref()?)?;
            schema.insert("items".to_owned(), Value::Object(items));
        }
        FieldType::String
        | FieldType::Integer
        | FieldType::Float
        | FieldType::Boolean
        | FieldType::Date
        | FieldType::Time
        | FieldType::Timestamp
        | FieldType::Timestamptz
        | FieldType::Interval
        | FieldType::Uuid
        | FieldType::Binary
        | FieldType::Enum => {}
    }
    schema.remove("maxLength");
    schema.remove("contentEncoding");
    Some(schema)
}

/// What the schema lost.
fn unsaid(shape: &Shape) -> Option<String> {
    match (shape.field_type, shape.max_length) {
        _ if shape.set => Some("Each value at most once.".to_owned()),
        (FieldType::String, Some(length)) => Some(format!("At most {length} characters.")),
        (FieldType::Binary, _) => Some("As base64.".to_owned()),
        _ => None,
    }
}
