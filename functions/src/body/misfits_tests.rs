use super::*;
use crate::{body, endpoints};
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::json;

/// Words that say something to a reader only.
const ANNOTATIONS: &[&str] = &["$schema", "title", "description", "default", "format"];
const JUDGED: &[&str] = &[
    "type",
    "enum",
    "const",
    "minimum",
    "maximum",
    "anyOf",
    "oneOf",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "uniqueItems",
];

/// The schemas of all requests, by the endpoint's name.
fn requests() -> Vec<(&'static str, Value)> {
    let described = endpoints::ALL.iter().filter_map(|endpoint| Some((endpoint.name, endpoint.request?)));
    described.map(|(name, request)| (name, request(&mut body::generator()).to_value())).collect()
}

#[test]
fn every_word_that_describes_a_request_is_judged() {
    for (name, schema) in requests() {
        let mut to_visit = vec![&schema];
        while let Some(schema) = to_visit.pop() {
            for (word, says) in schema.as_object().into_iter().flatten() {
                let is_known = ANNOTATIONS.contains(&word.as_str()) || JUDGED.contains(&word.as_str());
                assert!(is_known, "{name}: {word} is not judged; teach `judge` what it means");
                match word.as_str() {
                    "properties" => to_visit.extend(says.as_object().into_iter().flatten().map(|it| it.1)),
                    "anyOf" | "oneOf" => to_visit.extend(says.as_array().into_iter().flatten()),
                    "items" | "additionalProperties" => to_visit.push(says),
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn a_validator_of_the_whole_vocabulary_finds_the_same() {
    let mut differing = 0;
    for (name, schema) in requests() {
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        for value in variants(&schema) {
            let theirs = sorted(validator.iter_errors(&value).flat_map(|error| described(&error)).collect());
            let ours = sorted(misfits(&schema, &value));
            assert_eq!(ours, theirs, "{name}: {value}");
            differing += usize::from(!ours.is_empty());
        }
    }
    assert!(differing > 1000, "hardly anything was wrong: {differing}");
}

fn sorted(mut errors: Vec<FieldError>) -> Vec<FieldError> {
    errors.sort_by(|a, b| (&a.field, a.code, &a.message).cmp(&(&b.field, b.code, &b.message)));
    errors
}

/// Values that fit, and each of them with one thing changed, at every depth.
fn variants(schema: &Value) -> Vec<Value> {
    let strays = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1.0),
        json!(1.5),
        json!(65536),
        json!(""),
        json!("all"),
        json!([]),
        json!(["a", "a"]),
        json!([1, null]),
        json!({}),
        json!({ "stray": 1 }),
    ];
    let mut variants = strays.to_vec();
    for fitting in fitting(schema) {
        match &fitting {
            Value::Object(members) => {
                for (name, _) in members {
                    let mut without = members.clone();
                    without.remove(name);
                    variants.push(without.into());
                    for changed in self::variants(&of_member(schema, name)) {
                        let mut with = members.clone();
                        with.insert(name.clone(), changed);
                        variants.push(with.into());
                    }
                }
                let mut with = members.clone();
                with.insert("stray".to_owned(), json!(1));
                variants.push(with.into());
            }
            Value::Array(items) if !items.is_empty() => {
                variants.push(json!([items[0], items[0]]));
                variants
                    .extend(self::variants(&schema["items"]).into_iter().map(|item| json!([items[0], item])));
            }
            _ => {}
        }
        variants.push(fitting);
    }
    variants
}

fn of_member(schema: &Value, name: &str) -> Value {
    let alternatives = schema["anyOf"].as_array().into_iter().chain(schema["oneOf"].as_array()).flatten();
    let mut schemas = std::iter::once(schema).chain(alternatives);
    let known = schemas.find_map(|it| it["properties"].get(name)).cloned();
    known.unwrap_or_else(|| schema.get("additionalProperties").cloned().unwrap_or(json!(true)))
}

/// One value for each type, option or alternative of a schema.
fn fitting(schema: &Value) -> Vec<Value> {
    let mut values: Vec<Value> = schema["enum"].as_array().cloned().unwrap_or_default();
    values.extend(schema.get("const").cloned());
    for alternative in schema["anyOf"].as_array().into_iter().chain(schema["oneOf"].as_array()).flatten() {
        values.extend(fitting(alternative));
    }
    if values.is_empty() {
        for name in schema.get("type").map(strings).unwrap_or_default() {
            values.push(match name {
                "object" => {
                    let properties = schema["properties"].as_object().into_iter().flatten();
                    let first = |of: &Value| fitting(of).into_iter().next().unwrap_or(json!("a"));
                    let members: Map<String, Value> =
                        properties.map(|(name, of)| (name.clone(), first(of))).collect();
                    members.into()
                }
                "array" => json!([fitting(&schema["items"]).into_iter().next().unwrap_or(json!("a"))]),
                "boolean" => json!(true),
                "integer" | "number" => json!(1),
                "null" => json!(null),
                _ => json!("a"),
            });
        }
    }
    values
}

/// A violation in the words of ours.
fn described(error: &jsonschema::ValidationError<'_>) -> Vec<FieldError> {
    let pointer = error.instance_path().as_str();
    let mut at = String::new();
    for part in pointer.split('/').skip(1) {
        match part.parse::<usize>() {
            Ok(index) => at.push_str(&format!("[{index}]")),
            Err(_) if at.is_empty() => at.push_str(part),
            Err(_) => at.push_str(&format!(".{part}")),
        }
    }
    let below = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => unexpected
            .iter()
            .map(|name| FieldError::new(below(name), "unknown_field", "this endpoint has no such field"))
            .collect(),
        ValidationErrorKind::Required { property } => {
            let field = below(property.as_str().expect("a name"));
            vec![FieldError::new(field, "required", "this field is required")]
        }
        ValidationErrorKind::Enum { options } => {
            let options: Vec<String> =
                options.as_array().expect("a list").iter().map(ToString::to_string).collect();
            vec![FieldError::new(at, "not_allowed", format!("must be one of {}", options.join(", ")))]
        }
        ValidationErrorKind::Type { kind } => {
            let expected = match kind {
                TypeKind::Single(one) => one.to_string(),
                TypeKind::Multiple(many) => {
                    let mut names: Vec<String> = many.iter().map(|one| one.to_string()).collect();
                    // As schemas have it, and people.
                    names.sort_by_key(|name| name == "null");
                    names.join(" or ")
                }
            };
            vec![FieldError::new(at, "wrong_type", format!("must be of type {expected}"))]
        }
        ValidationErrorKind::Minimum { limit } => {
            vec![FieldError::new(at, "out_of_range", format!("must be at least {limit}"))]
        }
        ValidationErrorKind::Maximum { limit } => {
            vec![FieldError::new(at, "out_of_range", format!("must be at most {limit}"))]
        }
        _ => vec![FieldError::new(at, "invalid", error.masked().to_string())],
    }
}
