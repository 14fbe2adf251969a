//! What went wrong with a customer's database, classified. Server texts never leave this module's callers raw.

use super::flights::Flights;
use std::time::Duration;

/// Stable codes; `as_str` is what clients see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    DnsFailed,
    HostNotAllowed,
    ConnectRefused,
    ConnectTimeout,
    TlsRequired,
    TlsUntrusted,
    TlsNameMismatch,
    TlsExpired,
    AuthFailed,
    DatabaseMissing,
    PermissionDenied,
    /// The server cannot take another connection.
    TooManyConnections,
    /// The statement ran into its own or the call's deadline and was cancelled.
    StatementTimeout,
    /// Somebody else holds the row.
    LockTimeout,
    /// A write in a read-only session.
    ReadOnlyRefused,
    /// unique, foreign key, not-null, check: the row does not fit; nothing was changed.
    ConstraintViolated,
    /// A serialization failure or deadlock; nothing was changed, trying again may work.
    Conflict,
    /// The frozen statement does not fit the schema any more.
    SchemaMismatch,
    /// The connection broke before the statement was sent. Nothing happened.
    ConnectionLost,
    /// The connection broke after a write was sent and before its answer: it may have happened.
    InDoubt,
    /// Bytes that are not the protocol, or too many of them.
    ProtocolViolation,
    ServerError,
    /// Our own store or key service could not give the credentials. Says nothing of the customer's database.
    CredentialsUnavailable,
    /// Our own store could not keep the record that must stand before a commit. The write was rolled back.
    RecordUnavailable,
}

impl Fault {
    pub fn as_str(self) -> &'static str {
        match self {
            Fault::DnsFailed => "dns_failed",
            Fault::HostNotAllowed => "host_not_allowed",
            Fault::ConnectRefused => "connect_refused",
            Fault::ConnectTimeout => "connect_timeout",
            Fault::TlsRequired => "tls_required",
            Fault::TlsUntrusted => "tls_untrusted",
            Fault::TlsNameMismatch => "tls_name_mismatch",
            Fault::TlsExpired => "tls_expired",
            Fault::AuthFailed => "auth_failed",
            Fault::DatabaseMissing => "database_missing",
            Fault::PermissionDenied => "permission_denied",
            Fault::TooManyConnections => "too_many_connections",
            Fault::StatementTimeout => "statement_timeout",
            Fault::LockTimeout => "lock_timeout",
            Fault::ReadOnlyRefused => "read_only_refused",
            Fault::ConstraintViolated => "constraint_violated",
            Fault::Conflict => "conflict",
            Fault::SchemaMismatch => "schema_mismatch",
            Fault::ConnectionLost => "connection_lost",
            Fault::InDoubt => "in_doubt",
            Fault::ProtocolViolation => "protocol_violation",
            Fault::ServerError => "server_error",
            Fault::CredentialsUnavailable => "credentials_unavailable",
            Fault::RecordUnavailable => "record_unavailable",
        }
    }
}

/// `advice` is our own sentence for a person; `sqlstate` is five checked characters. No server text is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {advice}", fault.as_str())]
pub struct DatabaseError {
    pub fault: Fault,
    /// What happened and what to do, in one or two sentences.
    pub advice: String,
    pub sqlstate: Option<[u8; 5]>,
    pub retry_after: Option<Duration>,
}

impl DatabaseError {
    /// What a read on this connection is told that failed with this: of a failure that may be another's it only hears
    /// that the connection is lost.
    pub(super) fn among(self, flights: &Flights) -> Self {
        let anothers = match self.fault {
            // The order to stop another one came when the server had gone on to this one.
            Fault::StatementTimeout => flights.were_left(),
            Fault::ProtocolViolation => flights.were_shared(),
            _ => false,
        };
        if !anothers {
            return self;
        }
        Self::new(Fault::ConnectionLost, "The connection was lost with another statement on it. Try again.")
    }

    pub fn new(fault: Fault, advice: impl Into<String>) -> Self {
        Self { fault, advice: advice.into(), sqlstate: None, retry_after: None }
    }
}
