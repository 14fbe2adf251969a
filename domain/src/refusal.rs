//! Why a decision was refused, in terms that the HTTP boundary maps to one status and one code each.

use serde::Serialize;

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Path in the request body, such as `inputs[2].arg`.
    pub field: String,
    /// Stable.
    pub code: &'static str,
    /// One sentence that says what is wrong and what to do.
    pub message: String,
    /// Valid names that are closest to the one given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nearest: Vec<String>,
}

impl FieldError {
    pub fn new(field: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self { field: field.into(), code, message: message.into(), nearest: Vec::new() }
    }

    pub fn nearest(mut self, names: Vec<String>) -> Self {
        self.nearest = names;
        self
    }
}

/// A command that may not happen. No wildcard arm over this: a new reason must get a status and a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such thing in this organization.
    NotFound { what: &'static str },
    /// 400: well-formed, with values that are out of bounds.
    Invalid(Vec<FieldError>),
    /// 422: everything that is wrong with a binding.
    BindingInvalid(Vec<FieldError>),
    /// 422
    UnknownScopingTarget(Vec<FieldError>),
    /// 409
    NotConnected { kind: events::IntegrationKind },
    /// 404
    NotDiscovered { kind: events::IntegrationKind },
    /// 409
    ToolNameTaken { tool: String },
    /// 409, listing each skill.
    PublishBlocked(Vec<FieldError>),
    /// 409
    NothingToPublish,
    /// 409: the connection was replaced while its schema was read.
    ConnectionChanged { kind: events::IntegrationKind },
    /// 409: an organization holds as many as it may.
    LimitReached { what: &'static str, limit: usize },
    /// 409: a revoked or already rotated key.
    KeyEnded,
    /// 412
    StaleVersion { current: events::Seq },
}
