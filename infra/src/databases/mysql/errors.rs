//! Failures put into words. The codes are those of MySQL's and MariaDB's error lists; where the two differ, both
//! are named. No text of the server passes.

use super::failure::{Failure, ServerError};
use crate::databases::DatabaseError;
use crate::databases::error::Fault;

/// While the connection is being opened.
pub(super) fn opening(failure: Failure) -> DatabaseError {
    match failure {
        Failure::Deadline => DatabaseError::new(
            Fault::ConnectTimeout,
            "The server took the connection but did not answer in time. Check that the port is the database's own, \
             and the load of the server.",
        ),
        Failure::Lost => DatabaseError::new(
            Fault::ConnectionLost,
            "The server closed the connection while it was being opened. Check that the port is the database's own, \
             and its log.",
        ),
        Failure::Violation(what) => violation(what),
        Failure::Refused(error) => refused(error),
    }
}

/// While a statement runs that changes nothing, or whose change is rolled back with its connection.
pub(super) fn running(failure: Failure) -> DatabaseError {
    match failure {
        Failure::Deadline => timed_out(),
        Failure::Lost => DatabaseError::new(
            Fault::ConnectionLost,
            "The connection to the database broke. Nothing was changed.",
        ),
        Failure::Violation(what) => violation(what),
        Failure::Refused(error) => refused(error),
    }
}

/// After COMMIT was sent.
pub(super) fn committing(failure: Failure) -> DatabaseError {
    match failure {
        // A cluster's certification refuses a transaction at its commit, and rolls it back.
        Failure::Refused(error) if error.code == 1213 => refused(error),
        Failure::Refused(error) => DatabaseError { sqlstate: error.sqlstate, ..in_doubt() },
        Failure::Deadline | Failure::Lost | Failure::Violation(_) => in_doubt(),
    }
}

pub(super) fn timed_out() -> DatabaseError {
    DatabaseError::new(
        Fault::StatementTimeout,
        "The statement ran longer than it may and was stopped. Nothing was changed.",
    )
}

fn in_doubt() -> DatabaseError {
    DatabaseError::new(
        Fault::InDoubt,
        "The answer to the commit was lost: the change may have happened. Read the row again before repeating it.",
    )
}

/// `what` completes "The server sent …" or names the fact; it is one of our own sentences.
pub(super) fn violation(what: &'static str) -> DatabaseError {
    DatabaseError::new(
        Fault::ProtocolViolation,
        format!(
            "The server does not keep to the MySQL protocol ({what}). Check that the port is the database's own."
        ),
    )
}

/// A frozen statement does not fit the schema that is there now.
pub(super) fn mismatch(advice: &'static str) -> DatabaseError {
    DatabaseError::new(Fault::SchemaMismatch, advice)
}

pub(super) fn refused(error: ServerError) -> DatabaseError {
    let (fault, advice) = classify(error);
    DatabaseError { sqlstate: error.sqlstate, ..DatabaseError::new(fault, advice) }
}

/// Whether the server closes the connection after this error.
pub(super) fn ends_connection(error: ServerError) -> bool {
    // shutdown, forced close, killed, idle too long (MySQL 8.0.24), killed (MariaDB)
    matches!(error.code, 1053 | 1079 | 1080 | 4031 | 1927)
}

/// Whether the statement's handle is stale on the server: nothing was run, and preparing it again mends it.
pub(super) fn wants_preparation(error: ServerError) -> bool {
    matches!(error.code, 1243 | 1615)
}

fn classify(error: ServerError) -> (Fault, &'static str) {
    match error.code {
        1045 | 1698 | 1524 | 1862 | 1820 | 3118 | 3955 | 4151 | 1873 => (
            Fault::AuthFailed,
            "The server refused the login. Check user and password, that the account is not locked or expired, and \
             that it may log in from this service's address.",
        ),
        1130 | 1129 => (
            Fault::AuthFailed,
            "The server does not let this service's address in. Allow it for the account ('user'@'%'), and unblock \
             the host if it is blocked.",
        ),
        1251 | 2049 => (
            Fault::AuthFailed,
            "The account uses a login method that is too old. Set its password again with caching_sha2_password, \
             mysql_native_password or ed25519.",
        ),
        3159 => (Fault::TlsRequired, "The server demands TLS and did not find it. Check its TLS settings."),
        1049 => (
            Fault::DatabaseMissing,
            "There is no database of this name on the server. Check its spelling and case.",
        ),
        1044 => (
            Fault::PermissionDenied,
            "The account has no rights in this database. Grant it SELECT there; the grant script does.",
        ),
        1142 | 1143 | 1227 | 1370 | 1410 | 1095 | 1094 => (
            Fault::PermissionDenied,
            "The account lacks a right that the statement needs. Run the grant script for the tables in question.",
        ),
        1040 | 1203 | 1226 | 1041 => (
            Fault::TooManyConnections,
            "The server takes no more connections, in all or of this account. Close some, or raise the limit.",
        ),
        1205 | 3572 => (Fault::LockTimeout, "Somebody else holds the row. Nothing was changed; try again."),
        1213 | 1020 | 3101 => (
            Fault::Conflict,
            "The change collided with another one and was rolled back. Trying again may work.",
        ),
        1969 | 3024 | 1317 | 1028 => (
            Fault::StatementTimeout,
            "The statement ran longer than it may and was stopped. Nothing was changed.",
        ),
        1792 | 1836 | 1290 | 1874 => {
            (Fault::ReadOnlyRefused, "The server refused a write: the session or the server is read-only.")
        }
        1062 | 1586 | 1761 => (
            Fault::ConstraintViolated,
            "Another row has this value, which must be unique. Nothing was changed.",
        ),
        1451 | 1452 | 1216 | 1217 | 1557 => (
            Fault::ConstraintViolated,
            "The value refers to a row that is not there, or other rows refer to this one. Nothing was changed.",
        ),
        1048 | 1364 => (
            Fault::ConstraintViolated,
            "A column that must have a value was given none. Nothing was changed.",
        ),
        4025 | 3819 | 1369 | 1644 => {
            (Fault::ConstraintViolated, "A rule of the table refuses the row. Nothing was changed.")
        }
        1264 | 1265 | 1292 | 1366 | 1406 | 1411 | 1690 | 3140 | 3141 | 4038 | 1367 | 1526 | 1748 => {
            (Fault::ConstraintViolated, "A value does not fit its column. Nothing was changed.")
        }
        1146 | 1054 | 1051 | 1109 | 1176 | 1356 | 1243 | 1615 | 1305 | 1064 | 3105 | 1906 => (
            Fault::SchemaMismatch,
            "The statement does not fit the database's schema any more. Discover the schema again.",
        ),
        1053 | 1079 | 1080 | 1927 | 4031 | 1184 => {
            (Fault::ConnectionLost, "The server closed the connection. Nothing was changed.")
        }
        _ => (
            Fault::ServerError,
            "The server answered with an error that has no class of its own. Its log says more.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(code: u16) -> Fault {
        refused(ServerError { code, sqlstate: Some(*b"HY000") }).fault
    }

    #[test]
    fn error_codes_of_both_engines_fall_into_their_class() {
        let expected = [
            (1045, Fault::AuthFailed),
            (1698, Fault::AuthFailed),
            (1049, Fault::DatabaseMissing),
            (1044, Fault::PermissionDenied),
            (1142, Fault::PermissionDenied),
            (1143, Fault::PermissionDenied),
            (1227, Fault::PermissionDenied),
            (1205, Fault::LockTimeout),
            (1213, Fault::Conflict),
            (1969, Fault::StatementTimeout),
            (3024, Fault::StatementTimeout),
            (1317, Fault::StatementTimeout),
            (1792, Fault::ReadOnlyRefused),
            (1062, Fault::ConstraintViolated),
            (1452, Fault::ConstraintViolated),
            (1451, Fault::ConstraintViolated),
            (1048, Fault::ConstraintViolated),
            (1364, Fault::ConstraintViolated),
            (4025, Fault::ConstraintViolated),
            (3819, Fault::ConstraintViolated),
            (1406, Fault::ConstraintViolated),
            (1264, Fault::ConstraintViolated),
            (1146, Fault::SchemaMismatch),
            (1054, Fault::SchemaMismatch),
            (1040, Fault::TooManyConnections),
            (1203, Fault::TooManyConnections),
            (1226, Fault::TooManyConnections),
            (3159, Fault::TlsRequired),
            (1130, Fault::AuthFailed),
            (9999, Fault::ServerError),
        ];
        for (code, class) in expected {
            assert_eq!(fault(code), class, "{code}");
        }
    }

    #[test]
    fn a_lost_answer_to_a_commit_is_in_doubt_and_a_refused_certification_is_not() {
        assert_eq!(committing(Failure::Lost).fault, Fault::InDoubt);
        assert_eq!(committing(Failure::Deadline).fault, Fault::InDoubt);
        assert_eq!(committing(Failure::Violation("x")).fault, Fault::InDoubt);
        let deadlock = ServerError { code: 1213, sqlstate: Some(*b"40001") };
        assert_eq!(committing(Failure::Refused(deadlock)).fault, Fault::Conflict);
        let other = ServerError { code: 1180, sqlstate: None };
        assert_eq!(committing(Failure::Refused(other)).fault, Fault::InDoubt);
    }
}
