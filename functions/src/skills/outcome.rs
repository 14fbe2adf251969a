//! What a call came to, in words an agent may speak.

use crate::endpoint::Measured;
use crate::problem::Problem;
use domain::FieldError;
use domain::statement::row_schema;
use events::skill::{Action, Column, Statement};
use infra::databases::error::Fault;
use infra::databases::{DatabaseError, Rows, Written};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::sync::LazyLock;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Ok,
    NotFound,
    InvalidArguments,
    Refused,
    Timeout,
    Unavailable,
    InDoubt,
}

impl Outcome {
    pub const ALL: &'static [Outcome] = &[
        Outcome::Ok,
        Outcome::NotFound,
        Outcome::InvalidArguments,
        Outcome::Refused,
        Outcome::Timeout,
        Outcome::Unavailable,
        Outcome::InDoubt,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::NotFound => "not_found",
            Outcome::InvalidArguments => "invalid_arguments",
            Outcome::Refused => "refused",
            Outcome::Timeout => "timeout",
            Outcome::Unavailable => "unavailable",
            Outcome::InDoubt => "in_doubt",
        }
    }
}

/// An answer before its rows and times are added.
#[derive(Clone, Debug)]
pub struct Answer {
    pub outcome: Outcome,
    pub code: Option<&'static str>,
    pub say: Option<String>,
    pub errors: Vec<FieldError>,
    pub rows: Rows,
    pub matched: Option<u64>,
    pub changed: Option<u64>,
    pub database: Duration,
    /// When it may go better.
    pub retry_after: Option<Duration>,
}

impl Answer {
    pub fn new(outcome: Outcome, code: &'static str, say: impl Into<String>) -> Self {
        Self {
            outcome,
            code: Some(code),
            say: Some(say.into()),
            errors: Vec::new(),
            rows: Rows::default(),
            matched: None,
            changed: None,
            database: Duration::ZERO,
            retry_after: None,
        }
    }

    pub fn refused(code: &'static str, say: impl Into<String>) -> Self {
        Self::new(Outcome::Refused, code, say)
    }

    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let code = errors.first().map_or("invalid_arguments", |first| first.code);
        // A value that only the call's context can give is nothing that the model could mend.
        if errors.iter().any(|error| error.code == "caller_value_missing") {
            return Self {
                errors,
                ..Self::refused(
                    "caller_value_missing",
                    "I cannot see who is calling, so I cannot look that up.",
                )
            };
        }
        let say = "I need that once more, something about it does not look right.";
        Self { errors, ..Self::new(Outcome::InvalidArguments, code, say) }
    }

    /// A write whose end nobody saw.
    pub fn in_doubt() -> Self {
        let say =
            "I could not confirm whether that went through, so I will not try it again before it is checked.";
        Self::new(Outcome::InDoubt, Fault::InDoubt.as_str(), say)
    }

    /// A defect of ours stopped a write before it could be committed.
    pub fn stopped() -> Self {
        let say = "Something went wrong on my side; nothing was changed.";
        Self::new(Outcome::Unavailable, "internal_error", say)
    }

    /// A write that was committed, or was not because of the number of rows it matched.
    pub fn written(written: &Written) -> Self {
        let answer = match written.matched {
            1 => Self { code: None, say: None, ..Self::new(Outcome::Ok, "", "") },
            0 => Self::new(
                Outcome::NotFound,
                "no_rows",
                "I could not find anything for that, so nothing was changed.",
            ),
            _ => Self::refused("not_one_row", "That would change more than one record, so I did not do it."),
        };
        Self {
            matched: Some(written.matched),
            changed: Some(written.changed),
            rows: written.rows.clone(),
            ..answer
        }
    }

    pub fn measured(&self) -> Measured {
        let rows = u32::try_from(self.rows.rows.len()).unwrap_or(u32::MAX);
        Measured { outcome: self.outcome.as_str(), code: self.code, rows, database: self.database }
    }

    /// Our own store or key service failed and nothing was done: that is no outcome of the call.
    pub fn our_fault(&self) -> Option<Problem> {
        let code = self.code?;
        if code == Fault::CredentialsUnavailable.as_str() {
            let detail = "the database's credentials cannot be opened right now; nothing was done";
            return Some(Problem::unavailable(detail));
        }
        (code == Fault::RecordUnavailable.as_str())
            .then(|| Problem::unavailable("the write could not be recorded right now; nothing was done"))
    }

    pub fn found(rows: Rows) -> Self {
        if rows.rows.is_empty() {
            return Self::new(Outcome::NotFound, "no_rows", "I could not find anything for that.");
        }
        Self { code: None, say: None, rows, ..Self::new(Outcome::Ok, "", "") }
    }

    /// Says what a database error means for the caller. Nothing of the server's text is left in it.
    pub fn failed(error: &DatabaseError, action: Action) -> Self {
        let busy = "I cannot reach that system right now, please try again in a moment.";
        let (outcome, say) = match error.fault {
            Fault::StatementTimeout => {
                (Outcome::Timeout, "That is taking too long right now, please try again.")
            }
            Fault::LockTimeout => {
                (Outcome::Timeout, "Someone else is changing that right now, please try again.")
            }
            Fault::ConstraintViolated => (
                Outcome::Refused,
                "That does not fit what is already on record, so I did not change anything.",
            ),
            Fault::PermissionDenied | Fault::SchemaMismatch | Fault::ReadOnlyRefused => {
                (Outcome::Refused, "I am not able to do that here.")
            }
            Fault::InDoubt => return Self::in_doubt(),
            Fault::Conflict => (Outcome::Unavailable, "That changed at the same moment, please try again."),
            Fault::DnsFailed
            | Fault::HostNotAllowed
            | Fault::ConnectRefused
            | Fault::ConnectTimeout
            | Fault::TlsRequired
            | Fault::TlsUntrusted
            | Fault::TlsNameMismatch
            | Fault::TlsExpired
            | Fault::AuthFailed
            | Fault::DatabaseMissing
            | Fault::TooManyConnections
            | Fault::ConnectionLost
            | Fault::ProtocolViolation
            | Fault::ServerError
            | Fault::CredentialsUnavailable
            | Fault::RecordUnavailable => (Outcome::Unavailable, busy),
        };
        let say = match (outcome, action.is_write()) {
            (Outcome::Timeout | Outcome::Unavailable, true) => {
                format!("{}; nothing was changed.", say.trim_end_matches('.'))
            }
            _ => say.to_owned(),
        };
        Self { retry_after: error.retry_after, ..Self::new(outcome, error.fault.as_str(), say) }
    }
}

/// The body of a call's answer.
pub struct CallBody<'a> {
    pub answer: &'a Answer,
    /// Names the columns of the rows.
    pub columns: &'a [Column],
    pub version: Option<u32>,
    pub total: Duration,
}

impl<'a> CallBody<'a> {
    /// For an answer of which only the outcome is known.
    pub fn without_rows(answer: &'a Answer) -> Self {
        Self { answer, columns: &[], version: None, total: Duration::ZERO }
    }
}

/// The same, for the OpenAPI document.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[allow(dead_code)]
pub struct CallResponse {
    outcome: Outcome,
    rows: Vec<serde_json::Map<String, Value>>,
    row_count: usize,
    truncated: bool,
    /// The agent's version that answered; null for a draft.
    version: Option<u32>,
    timing: Timing,
    #[schemars(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// One sentence that an agent may speak.
    #[schemars(skip_serializing_if = "Option::is_none")]
    say: Option<String>,
    /// Milliseconds after which it may go better, where that is known.
    #[schemars(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    /// What is wrong with each argument.
    #[schemars(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<ArgumentError>>,
    /// Rows that a write found, and rows that are different since.
    #[schemars(skip_serializing_if = "Option::is_none")]
    matched: Option<u64>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    changed: Option<u64>,
}

/// JSON Schema of this statement's answers: the same, with its own leaves in the rows.
pub fn answer_schema(statement: &Statement) -> Value {
    static ANY: LazyLock<Value> = LazyLock::new(|| {
        let settings = SchemaSettings::draft2020_12().for_serialize();
        let generator = settings.with(|it| it.inline_subschemas = true).into_generator();
        let mut schema = generator.into_root_schema_for::<CallResponse>().to_value();
        // Widths of numbers are no formats that validators of clients know.
        without(&mut schema, &["$schema", "title", "format"]);
        if let Some(members) = schema.as_object_mut() {
            members.remove("description");
        }
        schema
    });
    let mut schema = ANY.clone();
    schema["properties"]["rows"]["items"] = row_schema(statement);
    schema
}

fn without(schema: &mut Value, words: &[&str]) {
    let Value::Object(members) = schema else { return };
    words.iter().for_each(|word| {
        members.remove(*word);
    });
    for below in members.values_mut() {
        match below {
            Value::Array(several) => several.iter_mut().for_each(|it| without(it, words)),
            below => without(below, words),
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Timing {
    total_ms: f64,
    database_ms: f64,
}

#[derive(JsonSchema)]
#[allow(dead_code)]
struct ArgumentError {
    field: String,
    code: String,
    message: String,
    #[schemars(skip_serializing_if = "Vec::is_empty")]
    nearest: Vec<String>,
}

impl Serialize for CallBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let answer = self.answer;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("outcome", &answer.outcome)?;
        map.serialize_entry("rows", &NamedRows { columns: self.columns, rows: &answer.rows.rows })?;
        map.serialize_entry("rowCount", &answer.rows.rows.len())?;
        map.serialize_entry("truncated", &answer.rows.truncated)?;
        map.serialize_entry("version", &self.version)?;
        let timing = Timing { total_ms: ms(self.total), database_ms: ms(answer.database) };
        map.serialize_entry("timing", &timing)?;
        if let Some(code) = answer.code {
            map.serialize_entry("code", code)?;
        }
        if let Some(say) = &answer.say {
            map.serialize_entry("say", say)?;
        }
        if let Some(after) = answer.retry_after {
            map.serialize_entry("retryAfterMs", &after.as_millis())?;
        }
        if !answer.errors.is_empty() {
            map.serialize_entry("errors", &answer.errors)?;
        }
        if let (Some(matched), Some(changed)) = (answer.matched, answer.changed) {
            map.serialize_entry("matched", &matched)?;
            map.serialize_entry("changed", &changed)?;
        }
        map.end()
    }
}

struct NamedRows<'a> {
    columns: &'a [Column],
    rows: &'a [Vec<Value>],
}

impl Serialize for NamedRows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(self.rows.len()))?;
        for row in self.rows {
            rows.serialize_element(&NamedRow { columns: self.columns, row })?;
        }
        rows.end()
    }
}

struct NamedRow<'a> {
    columns: &'a [Column],
    row: &'a [Value],
}

impl Serialize for NamedRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let leaves = self.columns.iter().map(|column| column.leaf.as_str());
        serializer.collect_map(leaves.zip(self.row))
    }
}

fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}
