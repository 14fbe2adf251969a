//! Errors as clients see them: RFC 9457, one table of codes.

use axum::body::Body;
use axum::response::Response;
use domain::{FieldError, Refusal};
use http::{HeaderValue, StatusCode, header};
use infra::storage::{AppendError, StoreError};
use serde::Serialize;

macro_rules! codes {
    ($($variant:ident = $code:literal, $status:literal, $title:literal, $meaning:literal, $mend:literal;)*) => {
        /// Every code that an error answer can carry at its top.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($variant),*
        }

        impl Code {
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $code),* }
            }

            pub fn parse(text: &str) -> Option<Code> {
                Self::ALL.iter().copied().find(|code| code.as_str() == text)
            }

            pub fn status(self) -> StatusCode {
                let status: u16 = match self { $(Code::$variant => $status),* };
                StatusCode::from_u16(status).expect("the table holds valid status codes")
            }

            pub fn title(self) -> &'static str {
                match self { $(Code::$variant => $title),* }
            }

            /// What it means.
            pub fn meaning(self) -> &'static str {
                match self { $(Code::$variant => $meaning),* }
            }

            /// What a client does about it.
            pub fn mend(self) -> &'static str {
                match self { $(Code::$variant => $mend),* }
            }
        }
    };
}

codes! {
    ValidationError = "validation_error", 400, "The request is not valid",
        "The body, the query or a header is malformed, or holds a field that this endpoint does not know.",
        "Mend every field listed in errors; the OpenAPI document has the shapes.";
    SslmodeNotAllowed = "sslmode_not_allowed", 400, "This sslmode is not allowed",
        "Connections to customers' databases are always encrypted.",
        "Use require, verify-ca or verify-full, best verify-full with ca_pem.";
    InvalidApiKey = "invalid_api_key", 401, "The API key is missing or not valid",
        "No key was sent, or it is malformed, unknown, expired or revoked.",
        "Send Authorization: Bearer with a key that is in force; mint one with `bindery keys mint`.";
    InsufficientScope = "insufficient_scope", 403, "The API key lacks a scope",
        "The key is valid, but was not minted for this.",
        "Use a key that has the scope named in detail.";
    NotFound = "not_found", 404, "There is no such thing",
        "Nothing with this address exists in the organization of this key.",
        "Check the id, and that the key belongs to the right organization.";
    UnknownIntegrationKind = "unknown_integration_kind", 404, "This kind of database is unknown",
        "The path names neither postgres nor mysql.",
        "Use postgres, or mysql for MySQL and MariaDB.";
    NotDiscovered = "not_discovered", 404, "The schema was not discovered",
        "Nothing is known of this database's schema yet.",
        "Connect the database, then POST …/discover.";
    MethodNotAllowed = "method_not_allowed", 405, "This method is not allowed here",
        "The address exists, but not for this method.",
        "Use a method of the Allow header.";
    IntegrationNotConnected = "integration_not_connected", 409, "The database is not connected",
        "There are no credentials for this kind of database.",
        "POST …/connect first.";
    ToolNameTaken = "tool_name_taken", 409, "The tool name is taken",
        "Another skill of this agent has the same name, or one that becomes the same slug.",
        "Choose another toolName, or remove the other skill.";
    PublishBlocked = "publish_blocked", 409, "The version cannot go live",
        "At least one of its skills does not fit today's schema or scoping, or is quarantined.",
        "Mend or disable each skill listed in errors.";
    NothingToPublish = "nothing_to_publish", 409, "There is nothing to publish",
        "The agent has no enabled draft and never served one.",
        "Bind a skill and enable it; writes land disabled until they are reviewed.";
    NoPublishedVersion = "no_published_version", 409, "The agent has no published version",
        "Drafts never serve live calls.",
        "Publish the agent first.";
    ConnectionChanged = "connection_changed", 409, "The connection changed meanwhile",
        "The database was connected anew while its schema was read; what was read was not kept.",
        "Discover it again.";
    LimitReached = "limit_reached", 409, "The organization holds as many as it may",
        "A limit that keeps the server fast was reached.",
        "Remove what is not needed, or use another organization.";
    NotInDoubt = "not_in_doubt", 409, "The call is not in doubt",
        "It never was, or how it ended is known already.",
        "Read the record's resolution.";
    KeyEnded = "key_ended", 409, "The key has ended",
        "It was revoked or rotated before, or it expired.",
        "Rotate its successor, or mint a new key.";
    IdempotencyInProgress = "idempotency_in_progress", 409, "The same request is still running",
        "A request with this Idempotency-Key has not finished.",
        "Wait for the time in Retry-After and send it again.";
    StaleVersion = "stale_version", 412, "Somebody changed it since",
        "The If-Match header names a version that is not the current one.",
        "Read it again, decide again, and send the new ETag.";
    BodyTooLarge = "body_too_large", 413, "The body is too large",
        "A request body may have 1 MiB.",
        "Send less.";
    UnsupportedMediaType = "unsupported_media_type", 415, "The body is not JSON",
        "Bodies are application/json.",
        "Send Content-Type: application/json.";
    BindingInvalid = "binding_invalid", 422, "The binding does not fit the schema",
        "Several things are wrong with it, of different kinds.",
        "Mend every field listed in errors.";
    NoBindingFound = "no_binding_found", 422, "No table serves this goal",
        "Nothing in the schema, as far as the scoping leaves it, can do what the goal asks.",
        "Name what is in the database, such as one of nearest; or bind a query by hand.";
    ConnectionFailed = "connection_failed", 422, "The database could not be used",
        "A check of the connection failed; nothing was stored.",
        "Read the failed check in checks, mend it, and connect again.";
    UnknownScopingTarget = "unknown_scoping_target", 422, "The scoping names something unknown",
        "A name matches nothing in the discovered schema; blocking it would leave open what was meant.",
        "Check the spelling against nearest, discover again, or send allowUnknown: true.";
    IdempotencyKeyReused = "idempotency_key_reused", 422, "The idempotency key was used for something else",
        "Another body was sent with this Idempotency-Key before.",
        "Use a new key for a new request.";
    RateLimited = "rate_limited", 429, "Too many requests",
        "The key or its organization is above its rate.",
        "Wait for the time in Retry-After.";
    Internal = "internal_error", 500, "Something went wrong on our side",
        "The request ran into a defect; nothing more of it will happen.",
        "Try again; if it stays, report the requestId.";
    ServiceUnavailable = "service_unavailable", 503, "The service is not available",
        "Our own store or key service cannot be reached, or is behind the position asked for.",
        "Wait for the time in Retry-After and send it again.";
    // Codes of one binding error each: the top code when all errors share it.
    ColumnBlocked = "column_blocked", 422, "The binding names something that is blocked",
        "Scoping keeps this table or column from every agent.",
        "Leave it out, or unblock it if agents may see it.";
    FilterNotIndexed = "filter_not_indexed", 422, "The filter is not indexed",
        "A read filters on one column that leads an index, so that a call is fast whatever the table's size.",
        "Filter on one of the indexed columns named in the message, or add an index and discover again.";
    KeyNotUnique = "key_not_unique", 422, "The key is not unique",
        "An update must reach exactly one row.",
        "Use a column that is a primary or unique key by itself.";
}

/// An error answer before it is known for which request.
#[derive(Clone, Debug)]
pub struct Problem {
    pub code: Code,
    /// A sentence or two about this occurrence. Never a driver's text, never a value that a client must not see.
    pub detail: String,
    pub errors: Vec<FieldError>,
    /// More members of the document, for clients of this code.
    pub extra: serde_json::Map<String, serde_json::Value>,
    pub headers: Vec<(header::HeaderName, HeaderValue)>,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            extra: serde_json::Map::new(),
            headers: Vec::new(),
        }
    }

    /// Several errors, or one: the top code is theirs when they share one.
    pub fn fields(fallback: Code, errors: Vec<FieldError>) -> Self {
        let shared = errors.first().map(|first| first.code);
        let shared = shared.filter(|code| errors.iter().all(|error| error.code == *code));
        let code = shared.and_then(|shared| {
            Code::ALL
                .iter()
                .copied()
                .find(|code| code.as_str() == shared && code.status() == fallback.status())
        });
        Self::listing(code.unwrap_or(fallback), errors)
    }

    /// Several errors, or one, under this code.
    fn listing(code: Code, errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] => format!("{}: {}", one.field, one.message),
            many => format!("{} things are wrong; each is listed in errors", many.len()),
        };
        Self { errors, ..Self::new(code, detail) }
    }

    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::fields(Code::ValidationError, vec![FieldError::new(field, "invalid", message)])
    }

    /// 403: a member of its own names the scope.
    pub fn lacks_scope(scope: &str, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(Code::InsufficientScope, detail);
        problem.extra.insert("scope".to_owned(), scope.into());
        problem
    }

    pub fn with_header(mut self, name: header::HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(Code::ServiceUnavailable, detail).with_header(header::RETRY_AFTER, HeaderValue::from(1))
    }

    pub fn internal() -> Self {
        Self::new(Code::Internal, "an internal error; the server's log has more under this requestId")
    }

    /// The answer to one request.
    pub fn into_response(self, public_url: &str, instance: &str, request_id: &str) -> Response {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document<'a> {
            r#type: String,
            title: &'a str,
            status: u16,
            detail: &'a str,
            instance: &'a str,
            code: &'a str,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            errors: &'a [FieldError],
            request_id: &'a str,
            #[serde(flatten)]
            extra: &'a serde_json::Map<String, serde_json::Value>,
        }
        let document = Document {
            r#type: format!("{public_url}/errors/{}", self.code.as_str()),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: &self.detail,
            instance,
            code: self.code.as_str(),
            errors: &self.errors,
            request_id,
            extra: &self.extra,
        };
        let body = serde_json::to_vec(&document).expect("problems are JSON");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.code.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(self.headers.into_iter().map(|(name, value)| (Some(name), value)));
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound { what } => {
                Problem::new(Code::NotFound, format!("no such {what} in this organization"))
            }
            Refusal::Invalid(errors) => Problem::fields(Code::ValidationError, errors),
            Refusal::BindingInvalid(errors) => Problem::fields(Code::BindingInvalid, errors),
            Refusal::UnknownScopingTarget(errors) => Problem::fields(Code::UnknownScopingTarget, errors),
            Refusal::NotConnected { kind } => Problem::new(
                Code::IntegrationNotConnected,
                format!(
                    "the {kind} database is not connected; POST /api/v1/integrations/{kind}/connect first"
                ),
            ),
            Refusal::NotDiscovered { kind } => Problem::new(
                Code::NotDiscovered,
                format!("the {kind} schema is not known; POST /api/v1/integrations/{kind}/discover first"),
            ),
            Refusal::ToolNameTaken { tool } => {
                let message = format!("another skill of this agent is named {tool}");
                let error = FieldError::new("toolName", "tool_name_taken", message.clone());
                Problem { errors: vec![error], ..Problem::new(Code::ToolNameTaken, message) }
            }
            Refusal::PublishBlocked(errors) => Problem::listing(Code::PublishBlocked, errors),
            Refusal::NothingToPublish => {
                Problem::new(Code::NothingToPublish, "no skill of this agent is enabled; enable at least one")
            }
            Refusal::ConnectionChanged { kind } => Problem::new(
                Code::ConnectionChanged,
                format!("the {kind} connection was replaced while its schema was read; discover it again"),
            ),
            Refusal::LimitReached { what, limit } => {
                Problem::new(Code::LimitReached, format!("this organization has {limit} {what} already"))
            }
            Refusal::KeyEnded => {
                Problem::new(Code::KeyEnded, "the key was revoked or rotated before, or it expired")
            }
            Refusal::StaleVersion { current } => {
                let mut problem =
                    Problem::new(Code::StaleVersion, format!("the current version is \"{current}\""));
                problem.extra.insert("currentVersion".to_owned(), format!("\"{current}\"").into());
                problem
            }
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "store");
        Problem::unavailable(
            "the store cannot be used right now; send the request again with the same Idempotency-Key",
        )
    }
}

impl From<AppendError> for Problem {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::StreamMoved { .. } | AppendError::HeadMoved { .. } => {
                Problem::unavailable("others kept changing the same things; nothing was changed")
            }
            AppendError::BadSize { .. } => {
                Problem::new(Code::BodyTooLarge, "the change is too large for one commit; split it")
            }
            AppendError::Store(error) => error.into(),
        }
    }
}

impl From<infra::sealing::SealError> for Problem {
    fn from(error: infra::sealing::SealError) -> Self {
        tracing::error!(%error, "sealing");
        Problem::unavailable("the key service cannot be used right now")
    }
}
