//! Arguments of a live call, judged by column type before anything is sent.

mod interval;
mod moment;
mod number;

pub(crate) use number::integer_range;

use crate::FieldError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use events::IntegrationKind;
use events::skill::{Action, Bind, FieldType, Parameter, Shape, Source, Statement};
use serde_json::{Map, Value};

/// A value that fits its column. The driver encodes it; the database never casts what it was not meant to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    Null,
    Boolean(bool),
    /// integer and bigint, unsigned MySQL ones too
    Integer(i128),
    Float(f64),
    /// string, decimal, date, time, timestamp (UTC, without zone), timestamptz (RFC 3339 in UTC), interval, uuid,
    /// enum, json: canonical text of the column's type
    Text(String),
    Binary(Vec<u8>),
    /// PostgreSQL arrays and MySQL SETs
    Array(Vec<Bound>),
}

/// Why a value does not fit. The message never holds the value: it may be a caller's secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unfit {
    pub code: &'static str,
    pub message: String,
}

impl Unfit {
    fn kind(expected: &str) -> Self {
        Self { code: "invalid_type", message: format!("{expected} is expected.") }
    }

    fn format(expected: &str) -> Self {
        Self { code: "invalid_format", message: format!("{expected} is expected.") }
    }

    fn range(message: impl Into<String>) -> Self {
        Self { code: "out_of_range", message: message.into() }
    }
}

/// Values for `statement.binds`, in their order.
///
/// `arguments` come from the model, `context` from the authenticated call: `caller_phone`, `call_id` and the other
/// [`crate::statement::CALLER_PARAMETERS`].
///
/// # Errors
/// Every argument that is missing, unknown, or does not fit its column, at once; `field` is the parameter's name.
pub fn bind(
    statement: &Statement,
    arguments: &Map<String, Value>,
    context: &Map<String, Value>,
) -> Result<Vec<Bound>, Vec<FieldError>> {
    let mut bound = Vec::with_capacity(statement.binds.len());
    let mut errors = Vec::new();
    for bind in &statement.binds {
        match bind {
            Bind::Given { parameter } => {
                let given = given(&statement.parameters[*parameter], arguments, context).is_some();
                bound.push(Bound::Boolean(given));
            }
            Bind::Value { parameter } => {
                let parameter = &statement.parameters[*parameter];
                match value(statement.dialect, parameter, arguments, context) {
                    Ok(value) => bound.push(value),
                    Err(error) => errors.push(error),
                }
            }
        }
    }
    unexpected(statement, arguments, &mut errors);
    if errors.is_empty() && changes_nothing(statement, arguments, context) {
        let message = "Nothing is to be changed: give at least one of the values.";
        errors.push(FieldError::new("arguments", "nothing_to_change", message));
    }
    if errors.is_empty() { Ok(bound) } else { Err(errors) }
}

/// What says which rows are meant, with its value: a read's filter or an update's key, which fill the last placeholder.
/// None for an insert.
pub fn key_of<'a>(statement: &'a Statement, bound: &'a [Bound]) -> Option<(&'a Parameter, &'a Bound)> {
    match (statement.action, statement.binds.last()?) {
        (Action::Read | Action::Update, Bind::Value { parameter }) => {
            Some((&statement.parameters[*parameter], bound.last()?))
        }
        (Action::Insert, _) | (_, Bind::Given { .. }) => None,
    }
}

/// Whether a value fits a column of this shape.
pub(crate) fn fits(dialect: IntegrationKind, shape: &Shape, value: &Value) -> Result<(), Unfit> {
    convert(dialect, shape, value).map(|_| ())
}

fn given<'a>(
    parameter: &'a Parameter,
    arguments: &'a Map<String, Value>,
    context: &'a Map<String, Value>,
) -> Option<&'a Value> {
    match parameter.source {
        // A strict schema makes a model name every argument: null is how it leaves an optional one out. What an update
        // may empty is a required argument that is nullable.
        Source::Model => {
            arguments.get(&parameter.name).filter(|value| parameter.required || !value.is_null())
        }
        // A context without a value may say so with null.
        Source::Caller => context.get(&parameter.name).filter(|value| !value.is_null()),
        Source::Constant => parameter.value.as_ref(),
    }
}

fn value(
    dialect: IntegrationKind,
    parameter: &Parameter,
    arguments: &Map<String, Value>,
    context: &Map<String, Value>,
) -> Result<Bound, FieldError> {
    let name = parameter.name.as_str();
    match given(parameter, arguments, context) {
        None if !parameter.required => Ok(Bound::Null),
        None => Err(match parameter.source {
            Source::Model => FieldError::new(name, "missing_argument", "This argument is required."),
            Source::Caller => {
                let message = "The call's context does not hold this value.";
                FieldError::new(name, "caller_value_missing", message)
            }
            Source::Constant => {
                FieldError::new(name, "constant_without_value", "The binding lacks this constant.")
            }
        }),
        Some(Value::Null) if parameter.nullable => Ok(Bound::Null),
        Some(Value::Null) => {
            Err(FieldError::new(name, "null_not_allowed", "This argument must not be null."))
        }
        Some(value) => convert(dialect, &parameter.shape, value)
            .map_err(|unfit| FieldError::new(name, unfit.code, unfit.message)),
    }
}

/// Arguments that no model may send.
fn unexpected(statement: &Statement, arguments: &Map<String, Value>, errors: &mut Vec<FieldError>) {
    for name in arguments.keys() {
        match statement.parameters.iter().find(|parameter| parameter.name == *name) {
            Some(parameter) if parameter.source == Source::Model => {}
            Some(_) => {
                let message = "This value does not come from the model; it must not be sent.";
                errors.push(FieldError::new(name.as_str(), "not_from_model", message));
            }
            None => {
                let known = statement.parameters.iter().filter(|parameter| parameter.source == Source::Model);
                let near = crate::nearest::nearest(name, known.map(|parameter| parameter.name.as_str()));
                let message = "The skill has no such argument.";
                errors.push(FieldError::new(name.as_str(), "unknown_argument", message).nearest(near));
            }
        }
    }
}

/// An update whose values are all optional and all left out.
fn changes_nothing(
    statement: &Statement,
    arguments: &Map<String, Value>,
    context: &Map<String, Value>,
) -> bool {
    let optional = |bind: &Bind| match bind {
        Bind::Given { parameter } => Some(&statement.parameters[*parameter]),
        Bind::Value { .. } => None,
    };
    let mut optional = statement.binds.iter().filter_map(optional).peekable();
    statement.action == Action::Update
        && optional.peek().is_some()
        && statement.parameters.iter().filter(|parameter| parameter.required).count() == 1
        && optional.all(|parameter| given(parameter, arguments, context).is_none())
}

fn convert(dialect: IntegrationKind, shape: &Shape, value: &Value) -> Result<Bound, Unfit> {
    if shape.set {
        return set(shape, value);
    }
    match shape.field_type {
        FieldType::String => text(shape, value),
        FieldType::Integer | FieldType::Bigint => number::integer(shape, value).map(Bound::Integer),
        FieldType::Decimal => number::decimal(shape, value).map(Bound::Text),
        FieldType::Float => number::float(dialect, shape, value).map(Bound::Float),
        FieldType::Boolean => value.as_bool().map(Bound::Boolean).ok_or_else(|| Unfit::kind("true or false")),
        FieldType::Date => moment::date(value).map(Bound::Text),
        FieldType::Time => moment::time(dialect, shape, value).map(Bound::Text),
        FieldType::Timestamp => moment::timestamp(dialect, shape, value).map(Bound::Text),
        FieldType::Timestamptz => moment::timestamptz(dialect, shape, value).map(Bound::Text),
        FieldType::Interval => interval::interval(value).map(Bound::Text),
        FieldType::Uuid => uuid(value),
        FieldType::Json => json(value),
        FieldType::Binary => binary(shape, value),
        FieldType::Enum => member(shape, value).map(|at| Bound::Text(shape.enum_values[at].clone())),
        FieldType::Array => array(dialect, shape, value),
        FieldType::Other => Err(Unfit::kind("A type that can be bound")),
    }
}

fn string(value: &Value) -> Result<&str, Unfit> {
    value.as_str().ok_or_else(|| Unfit::kind("A string"))
}

fn without_nul(text: &str) -> Result<(), Unfit> {
    if text.contains('\0') {
        return Err(Unfit::format("Text without the character U+0000"));
    }
    Ok(())
}

fn text(shape: &Shape, value: &Value) -> Result<Bound, Unfit> {
    let text = string(value)?;
    without_nul(text)?;
    match shape.max_length {
        // Bytes are at least characters, so most texts need no counting.
        Some(length) if text.len() as u64 > length && text.chars().count() as u64 > length => {
            Err(Unfit { code: "too_long", message: format!("At most {length} characters are allowed.") })
        }
        Some(_) | None => Ok(Bound::Text(text.to_owned())),
    }
}

fn uuid(value: &Value) -> Result<Bound, Unfit> {
    let unfit = || Unfit::format("A UUID");
    let text = string(value)?;
    // The crate also takes braces and URNs, which no column holds.
    if !matches!(text.len(), 32 | 36) {
        return Err(unfit());
    }
    let parsed = uuid::Uuid::try_parse(text).map_err(|_| unfit())?;
    Ok(Bound::Text(parsed.hyphenated().to_string()))
}

fn json(value: &Value) -> Result<Bound, Unfit> {
    fn check(value: &Value) -> Result<(), Unfit> {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
            Value::String(text) => without_nul(text),
            Value::Array(items) => items.iter().try_for_each(check),
            Value::Object(members) => members.iter().try_for_each(|(name, value)| {
                without_nul(name)?;
                check(value)
            }),
        }
    }
    check(value)?;
    Ok(Bound::Text(value.to_string()))
}

fn binary(shape: &Shape, value: &Value) -> Result<Bound, Unfit> {
    let bytes = STANDARD.decode(string(value)?).map_err(|_| Unfit::format("Base64"))?;
    match shape.max_length {
        Some(length) if bytes.len() as u64 > length => {
            Err(Unfit { code: "too_long", message: format!("At most {length} bytes are allowed.") })
        }
        Some(_) | None => Ok(Bound::Binary(bytes)),
    }
}

/// Position of an enum's member.
fn member(shape: &Shape, value: &Value) -> Result<usize, Unfit> {
    let text = string(value)?;
    shape.enum_values.iter().position(|member| member == text).ok_or_else(|| Unfit {
        code: "not_a_member",
        message: format!("One of `{}` is expected.", shape.enum_values.join("`, `")),
    })
}

/// Members in the order of the type, each once, as the engine keeps them.
fn set(shape: &Shape, value: &Value) -> Result<Bound, Unfit> {
    let items = value.as_array().ok_or_else(|| Unfit::kind("An array of strings"))?;
    let mut positions = items.iter().map(|item| member(shape, item)).collect::<Result<Vec<_>, _>>()?;
    positions.sort_unstable();
    positions.dedup();
    let text = |at: usize| Bound::Text(shape.enum_values[at].clone());
    Ok(Bound::Array(positions.into_iter().map(text).collect()))
}

fn array(dialect: IntegrationKind, shape: &Shape, value: &Value) -> Result<Bound, Unfit> {
    let items = value.as_array().ok_or_else(|| Unfit::kind("An array"))?;
    let Some(element) = shape.element.as_deref() else {
        return Err(Unfit::kind("An array whose element type is known"));
    };
    let item = |item: &Value| match item {
        Value::Null => Ok(Bound::Null),
        item => convert(dialect, element, item),
    };
    items.iter().map(item).collect::<Result<Vec<_>, _>>().map(Bound::Array)
}

#[cfg(test)]
mod tests;
