//! Where a value does not fit its schema: as much of JSON Schema as our requests are described with. A validator of the
//! whole brings regular expressions, references and numbers without bounds, an eighth of a function's code, and none of
//! it is asked for here. The tests say when a request needs a word that is missing, and that a whole validator finds
//! the same.

use domain::FieldError;
use serde_json::{Map, Value};

/// Everything that does not fit, each with its field. Messages never repeat the value: it may be a password.
pub fn misfits(schema: &Value, value: &Value) -> Vec<FieldError> {
    let mut found = Vec::new();
    judge(schema, value, "", &mut found);
    found
}

fn judge(schema: &Value, value: &Value, at: &str, found: &mut Vec<FieldError>) {
    let mut wrong = |code, message: String| found.push(FieldError::new(at, code, message));
    if let Some(types) = schema.get("type") {
        let types = strings(types);
        if !types.iter().any(|it| is_of(it, value)) {
            wrong("wrong_type", format!("must be of type {}", types.join(" or ")));
        }
    }
    if let Some(options) = schema.get("enum").and_then(Value::as_array)
        && !options.contains(value)
    {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        wrong("not_allowed", format!("must be one of {}", options.join(", ")));
    }
    if let Some(only) = schema.get("const")
        && only != value
    {
        wrong("invalid", format!("{only} was expected"));
    }
    // Our bounds are whole and small.
    if let (Some(limit), Some(number)) = (schema.get("minimum"), value.as_f64())
        && limit.as_f64().is_some_and(|limit| number < limit)
    {
        wrong("out_of_range", format!("must be at least {limit}"));
    }
    if let (Some(limit), Some(number)) = (schema.get("maximum"), value.as_f64())
        && limit.as_f64().is_some_and(|limit| number > limit)
    {
        wrong("out_of_range", format!("must be at most {limit}"));
    }
    for word in ["anyOf", "oneOf"] {
        let Some(alternatives) = schema.get(word).and_then(Value::as_array) else { continue };
        match alternatives.iter().filter(|it| misfits(it, value).is_empty()).count() {
            0 => {
                let message =
                    format!("value is not valid under any of the schemas listed in the '{word}' keyword");
                wrong("invalid", message);
            }
            1 => {}
            _ if word == "anyOf" => {}
            _ => {
                let message =
                    "value is valid under more than one of the schemas listed in the 'oneOf' keyword";
                wrong("invalid", message.to_owned());
            }
        }
    }
    match value {
        Value::Object(members) => judge_members(schema, members, at, found),
        Value::Array(items) => {
            if schema.get("uniqueItems") == Some(&Value::Bool(true))
                && items.iter().enumerate().any(|(index, item)| items[..index].contains(item))
            {
                wrong("invalid", "value has non-unique elements".to_owned());
            }
            if let Some(of) = schema.get("items") {
                for (index, item) in items.iter().enumerate() {
                    judge(of, item, &format!("{at}[{index}]"), found);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn judge_members(schema: &Value, members: &Map<String, Value>, at: &str, found: &mut Vec<FieldError>) {
    let below = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    for name in schema.get("required").map(strings).unwrap_or_default() {
        if !members.contains_key(name) {
            found.push(FieldError::new(below(name), "required", "this field is required"));
        }
    }
    for (name, member) in members {
        let known = schema.get("properties").and_then(|properties| properties.get(name));
        match (known, schema.get("additionalProperties")) {
            (Some(of), _) => judge(of, member, &below(name), found),
            (None, Some(Value::Bool(false))) => {
                let message = "this endpoint has no such field";
                found.push(FieldError::new(below(name), "unknown_field", message));
            }
            (None, Some(of)) => judge(of, member, &below(name), found),
            (None, None) => {}
        }
    }
}

/// One text or a list of them.
fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        many => many.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
    }
}

fn is_of(name: &str, value: &Value) -> bool {
    match value {
        Value::Null => name == "null",
        Value::Bool(_) => name == "boolean",
        // 1.0 is an integer, too.
        Value::Number(number) => {
            let is_whole = !number.is_f64() || number.as_f64().is_some_and(|it| it.fract() == 0.0);
            name == "number" || name == "integer" && is_whole
        }
        Value::String(_) => name == "string",
        Value::Array(_) => name == "array",
        Value::Object(_) => name == "object",
    }
}

#[cfg(test)]
#[path = "misfits_tests.rs"]
mod tests;
