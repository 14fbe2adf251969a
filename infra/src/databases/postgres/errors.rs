//! What PostgreSQL's errors mean. Their texts stay here: only five checked characters go on.

use super::connect::UnsafeAuthentication;
use crate::databases::DatabaseError;
use crate::databases::error::Fault;
use crate::databases::socket::Budget;
use std::error::Error as _;
use std::io;
use tokio_postgres::Error;

/// Plan or statement of an earlier preparation does not fit any more: preparing again is all it needs.
pub(super) fn is_stale_preparation(error: &Error) -> bool {
    // feature_not_supported is what "cached plan must not change result type" comes with.
    error.code().is_some_and(|code| matches!(code.code(), "0A000" | "26000"))
}

/// Whether an answer to COMMIT leaves open what became of it. Constraint, conflict and trigger errors say that the
/// transaction was rolled back; a server that is going down may have committed it before.
pub(super) fn leaves_commit_open(error: &Error) -> bool {
    match error.code() {
        None => true,
        Some(code) => {
            matches!(code.code(), "40003" | "57P01" | "57P02" | "57P03" | "57P05")
                || ["08", "53", "58", "XX", "F0"].contains(&&code.code()[..2])
        }
    }
}

pub(super) fn classify(error: &Error, budget: &Budget) -> DatabaseError {
    if let Some(code) = error.code() {
        return by_sqlstate(code.code());
    }
    if budget.is_spent() {
        return DatabaseError::new(
            Fault::ProtocolViolation,
            "The server sent more than an answer may hold. Select fewer or smaller columns.",
        );
    }
    if is_closed(error) {
        return DatabaseError::new(
            Fault::ConnectionLost,
            "The connection to the database was lost. Try again; if it recurs, look at the server's log.",
        );
    }
    DatabaseError::new(
        Fault::ProtocolViolation,
        "The server's answer could not be read. Check that host and port lead to PostgreSQL.",
    )
}

pub(super) fn classify_login(error: &Error, budget: &Budget) -> DatabaseError {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    if cause.and_then(io::Error::get_ref).is_some_and(|inner| inner.is::<UnsafeAuthentication>()) {
        return DatabaseError::new(
            Fault::AuthFailed,
            "The server asks for the password in clear, as MD5, or in a way that is not supported. Set \
             password_encryption = scram-sha-256, set the user's password again and use scram-sha-256 in pg_hba.conf.",
        );
    }
    if error.code().is_none() && cause.is_none() && !error.is_closed() {
        return DatabaseError::new(
            Fault::AuthFailed,
            "The server and this service have no way to log in in common. Use scram-sha-256 in pg_hba.conf.",
        );
    }
    classify(error, budget)
}

fn is_closed(error: &Error) -> bool {
    let broken = |cause: &io::Error| {
        // What cannot be parsed is reported with these kinds too, and is no broken connection.
        !matches!(cause.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
    };
    error.is_closed()
        || error.source().and_then(|cause| cause.downcast_ref::<io::Error>()).is_some_and(broken)
}

/// SQLSTATE to fault and advice: whole codes first, then their class.
pub(super) fn by_sqlstate(code: &str) -> DatabaseError {
    let (fault, advice) = match code {
        "3D000" => (Fault::DatabaseMissing, "The server has no database of this name. Check its spelling."),
        "42501" => (
            Fault::PermissionDenied,
            "The user lacks the privilege for this. Grant it, as sql/scripts shows.",
        ),
        "57014" => (
            Fault::StatementTimeout,
            "The statement took longer than it may and was cancelled. Check its index.",
        ),
        "55P03" => (Fault::LockTimeout, "Somebody else holds the row. Try again in a moment."),
        "25006" => (Fault::ReadOnlyRefused, "The session is read-only, and the engine refused to write."),
        "23505" => (Fault::ConstraintViolated, "A row with this key exists already. Nothing was changed."),
        "23503" => (
            Fault::ConstraintViolated,
            "A row that this one refers to does not exist, or is still referred to. Nothing was changed.",
        ),
        "23502" => (Fault::ConstraintViolated, "A required column has no value. Nothing was changed."),
        "23514" => (Fault::ConstraintViolated, "A value breaks a check of the table. Nothing was changed."),
        "P0001" => {
            (Fault::ConstraintViolated, "A trigger of the table refuses the row. Nothing was changed.")
        }
        "40001" | "40P01" => {
            (Fault::Conflict, "Another transaction was faster. Nothing was changed; try again.")
        }
        "53300" => (
            Fault::TooManyConnections,
            "The server takes no more connections. Raise its limit, or the user's.",
        ),
        "57P03" => (Fault::ServerError, "The server is starting up or shutting down. Try again in a moment."),
        "42P01" | "42703" | "42804" | "42883" | "42704" | "42P18" | "0A000" | "3F000" | "428C9" => (
            Fault::SchemaMismatch,
            "The schema has changed since this statement was compiled. Discover it again.",
        ),
        _ => match code.get(..2) {
            Some("28") => (
                Fault::AuthFailed,
                "The server did not accept user and password, or its pg_hba.conf does not let this user in from here.",
            ),
            Some("22") => {
                (Fault::ConstraintViolated, "A value does not fit its column. Nothing was changed.")
            }
            Some("23") => {
                (Fault::ConstraintViolated, "The row breaks a constraint of the table. Nothing was changed.")
            }
            Some("40") => (Fault::Conflict, "The transaction was rolled back by the server; try again."),
            Some("08") => (Fault::ConnectionLost, "The connection to the database was lost. Try again."),
            Some("42") => {
                (Fault::SchemaMismatch, "The statement does not fit the schema any more. Discover it again.")
            }
            Some("57") => (Fault::ConnectionLost, "The server ended the connection. Try again in a moment."),
            _ => (
                Fault::ServerError,
                "The server reported an error. Its log says which, under the given SQLSTATE.",
            ),
        },
    };
    let mut error = DatabaseError::new(fault, advice);
    error.sqlstate = sqlstate(code);
    error
}

/// Five characters as the standard has them; a hostile server's are dropped.
fn sqlstate(code: &str) -> Option<[u8; 5]> {
    let bytes: [u8; 5] = code.as_bytes().try_into().ok()?;
    bytes.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()).then_some(bytes)
}
