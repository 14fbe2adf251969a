//! What the vendors say that they take: OpenAI's structured outputs guide (strict mode) and Anthropic's tool use guide.

use serde_json::{Map, Value};

/// Of a schema, whatever its type.
const ANYWHERE: &[&str] = &["type", "description", "enum", "const", "anyOf", "title"];
const OF_STRINGS: &[&str] = &["pattern", "format"];
const OF_NUMBERS: &[&str] = &["multipleOf", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"];
const OF_ARRAYS: &[&str] = &["items", "minItems", "maxItems"];
const OF_OBJECTS: &[&str] = &["properties", "required", "additionalProperties"];
const FORMATS: &[&str] =
    &["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"];
const DEPTH: usize = 10;

pub fn openai_breaches(tool: &Value) -> Vec<String> {
    let mut breaches = name_breaches(tool);
    if tool["type"] != "function" {
        breaches.push("it is no function".to_owned());
    }
    match tool["strict"].as_bool() {
        Some(true) => strict(&tool["parameters"], "parameters", 0, &mut breaches),
        Some(false) => {}
        None => breaches.push("strict must be said".to_owned()),
    }
    if tool["parameters"]["type"] != "object" {
        breaches.push("parameters are no object".to_owned());
    }
    breaches
}

pub fn anthropic_breaches(tool: &Value) -> Vec<String> {
    let mut breaches = name_breaches(tool);
    if tool["input_schema"]["type"] != "object" {
        breaches.push("input_schema is no object".to_owned());
    }
    let known = ["name", "description", "input_schema"];
    let members = tool.as_object().expect("a tool").keys();
    breaches.extend(members.filter(|it| !known.contains(&it.as_str())).map(|it| format!("{it} is unknown")));
    breaches
}

/// Ours is narrower than each vendor's rule.
fn name_breaches(tool: &Value) -> Vec<String> {
    let name = tool["name"].as_str().unwrap_or_default();
    let fits = name.len() <= 40
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-'));
    if fits { Vec::new() } else { vec![format!("{name:?} is no name of a tool")] }
}

fn strict(schema: &Value, at: &str, depth: usize, breaches: &mut Vec<String>) {
    let Some(members) = schema.as_object() else {
        breaches.push(format!("{at} is no schema"));
        return;
    };
    if depth > DEPTH {
        breaches.push(format!("{at} is nested too deeply"));
        return;
    }
    let types = types_of(members);
    if types.is_empty() && !members.contains_key("anyOf") {
        breaches.push(format!("{at} has no type"));
    }
    if types.iter().filter(|it| **it != "null").count() > 1 {
        breaches.push(format!("{at} is of several types"));
    }
    for keyword in members.keys().map(String::as_str) {
        let of = |name: &str, keywords: &[&str]| types.contains(&name) && keywords.contains(&keyword);
        let known = ANYWHERE.contains(&keyword)
            || of("string", OF_STRINGS)
            || of("integer", OF_NUMBERS)
            || of("number", OF_NUMBERS)
            || of("array", OF_ARRAYS)
            || of("object", OF_OBJECTS);
        if !known {
            breaches.push(format!("{at} has {keyword}"));
        }
    }
    if let Some(format) = members.get("format").and_then(Value::as_str)
        && !FORMATS.contains(&format)
    {
        breaches.push(format!("{at} is of format {format}"));
    }
    if types.contains(&"array") {
        strict(schema.get("items").unwrap_or(&Value::Null), &format!("items of {at}"), depth + 1, breaches);
    }
    if types.contains(&"object") {
        object(members, at, depth, breaches);
    }
}

fn types_of(members: &Map<String, Value>) -> Vec<&str> {
    match members.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn object(members: &Map<String, Value>, at: &str, depth: usize, breaches: &mut Vec<String>) {
    if members.get("additionalProperties") != Some(&Value::Bool(false)) {
        breaches.push(format!("{at} lacks additionalProperties: false"));
    }
    let required = members.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let properties = members.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    for (name, property) in &properties {
        if !required.iter().any(|it| it == name) {
            breaches.push(format!("{name} is not required"));
        }
        strict(property, name, depth + 1, breaches);
    }
    if required.len() != properties.len() {
        breaches.push(format!("{at} requires what it has not"));
    }
}
