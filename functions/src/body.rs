//! Request bodies: read fast when they are right, explained in full when they are not.

use crate::endpoint::Context;
use crate::problem::{Code, Problem};
use domain::FieldError;
use http::header;
use jsonschema::error::ValidationErrorKind;
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().into_generator()
}

/// Names a type's schema in an endpoint's declaration.
pub fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> schemars::Schema {
    generator.subschema_for::<T>()
}

impl Context {
    /// The body as `T`.
    ///
    /// # Errors
    /// 415 for another media type, 400 with every field that is wrong at once.
    pub fn body<T: DeserializeOwned + JsonSchema>(&self) -> Result<T, Problem> {
        let media_type = self.header(header::CONTENT_TYPE).unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(Problem::new(
                Code::UnsupportedMediaType,
                "send the body as Content-Type: application/json",
            ));
        }
        read(&self.body)
    }

    /// The body where an empty one means all defaults.
    pub fn body_or_default<T: DeserializeOwned + JsonSchema + Default>(&self) -> Result<T, Problem> {
        if self.body.is_empty() { Ok(T::default()) } else { self.body() }
    }
}

/// # Errors
/// 400 with every field that is wrong at once.
pub fn read<T: DeserializeOwned + JsonSchema>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| explain::<T>(body, &error))
}

fn explain<T: JsonSchema>(body: &[u8], error: &serde_json::Error) -> Problem {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        let what = if body.is_empty() { "the body is empty" } else { "the body is not JSON" };
        let detail = format!("{what} (line {}, column {})", error.line(), error.column());
        return Problem::fields(Code::ValidationError, vec![FieldError::new("", "malformed_json", detail)]);
    };
    let schema = generator().into_root_schema_for::<T>();
    let validator = jsonschema::validator_for(schema.as_value()).expect("our own schemas are valid");
    let mut errors: Vec<FieldError> =
        validator.iter_errors(&value).flat_map(|error| describe(&error)).collect();
    if errors.is_empty() {
        // What a schema cannot say, such as a number beyond its type. The text names our own types only.
        errors.push(FieldError::new("", "invalid", error.to_string()));
    }
    errors.sort_by(|a, b| a.field.cmp(&b.field));
    errors.dedup();
    Problem::fields(Code::ValidationError, errors)
}

/// One schema violation as field errors. Messages never repeat the value: it may be a password.
fn describe(error: &jsonschema::ValidationError<'_>) -> Vec<FieldError> {
    let at = field_path(error.instance_path().as_str());
    let below = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => unexpected
            .iter()
            .map(|name| FieldError::new(below(name), "unknown_field", "this endpoint has no such field"))
            .collect(),
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![FieldError::new(below(name), "required", "this field is required")]
        }
        ValidationErrorKind::Enum { options } => {
            let options: Vec<String> =
                options.as_array().into_iter().flatten().map(|option| option.to_string()).collect();
            vec![FieldError::new(at, "not_allowed", format!("must be one of {}", options.join(", ")))]
        }
        ValidationErrorKind::Type { kind } => {
            let expected = match kind {
                jsonschema::error::TypeKind::Single(one) => one.to_string(),
                jsonschema::error::TypeKind::Multiple(many) => {
                    many.iter().map(|one| one.to_string()).collect::<Vec<_>>().join(" or ")
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
        // The rest of JSON Schema's vocabulary: the masked text says what is wrong without the value.
        _ => vec![FieldError::new(at, "invalid", error.masked().to_string())],
    }
}

/// `/inputs/2/arg` as `inputs[2].arg`.
fn field_path(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if part.bytes().all(|byte| byte.is_ascii_digit()) && !part.is_empty() {
            path.push_str(&format!("[{part}]"));
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&part);
        }
    }
    path
}
