//! Request bodies: read fast when they are right, explained in full when they are not.

mod misfits;

use crate::endpoint::Context;
use crate::problem::{Code, Problem};
use domain::FieldError;
use http::header;
use misfits::misfits;
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Of requests' schemas: each is whole, without references.
pub fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().with(|it| it.inline_subschemas = true).into_generator()
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
    let mut errors = misfits(schema.as_value(), &value);
    if errors.is_empty() {
        // What a schema cannot say, such as a number beyond its type. The text names our own types only.
        errors.push(FieldError::new("", "invalid", error.to_string()));
    }
    errors.sort_by(|a, b| a.field.cmp(&b.field));
    errors.dedup();
    Problem::fields(Code::ValidationError, errors)
}
