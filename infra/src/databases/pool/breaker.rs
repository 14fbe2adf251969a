//! Stops dialling a database that cannot be reached, so that calls hear so at once instead of waiting each.

use crate::databases::DatabaseError;
use crate::databases::error::Fault;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures in a row that open it.
const FAILURES: u32 = 5;
/// How long it stays open before one call may try.
const PAUSE: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Default)]
struct State {
    failures: u32,
    /// While it is open: nobody dials before this.
    until: Option<Instant>,
}

impl Breaker {
    /// # Errors
    /// `ConnectTimeout` with `retry_after` while it is open. After the pause one caller gets through at a time.
    pub(super) fn admit(&self, now: Instant) -> Result<(), DatabaseError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.until {
            Some(until) if now < until => {
                let mut error = DatabaseError::new(
                    Fault::ConnectTimeout,
                    "The database could not be reached several times in a row; it is tried again in a few seconds.",
                );
                error.retry_after = Some(until - now);
                Err(error)
            }
            Some(_) => {
                state.until = Some(now + PAUSE);
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn observe<T>(&self, opened: &Result<T, DatabaseError>, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match opened {
            Ok(_) => *state = State::default(),
            Err(error) if is_unreachable(error.fault) => {
                state.failures += 1;
                // A try during the pause was admitted by moving its end: one that hung as long as the pause lasts is
                // followed by the next at once, so that a healed database is found within one pause and one dial.
                if state.failures >= FAILURES && state.until.is_none() {
                    state.until = Some(now + PAUSE);
                }
            }
            // It was never asked.
            Err(error) if error.fault == Fault::CredentialsUnavailable => {}
            // It answered: whatever it said, it can be reached.
            Err(_) => *state = State::default(),
        }
    }
}

/// Faults of the way to the database. Those of TLS, login and privileges answer fast by themselves.
fn is_unreachable(fault: Fault) -> bool {
    match fault {
        Fault::DnsFailed | Fault::ConnectRefused | Fault::ConnectTimeout | Fault::ConnectionLost => true,
        Fault::HostNotAllowed
        | Fault::TlsRequired
        | Fault::TlsUntrusted
        | Fault::TlsNameMismatch
        | Fault::TlsExpired
        | Fault::AuthFailed
        | Fault::DatabaseMissing
        | Fault::PermissionDenied
        | Fault::TooManyConnections
        | Fault::StatementTimeout
        | Fault::LockTimeout
        | Fault::ReadOnlyRefused
        | Fault::ConstraintViolated
        | Fault::Conflict
        | Fault::SchemaMismatch
        | Fault::InDoubt
        | Fault::ProtocolViolation
        | Fault::ServerError
        | Fault::CredentialsUnavailable
        | Fault::RecordUnavailable => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(fault: Fault) -> Result<(), DatabaseError> {
        Err(DatabaseError::new(fault, ""))
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_one_caller_at_a_time_tries_after_the_pause() {
        let breaker = Breaker::default();
        let now = Instant::now();
        for _ in 0..FAILURES {
            assert!(breaker.admit(now).is_ok());
            breaker.observe(&failed(Fault::ConnectTimeout), now);
        }
        let refused = breaker.admit(now).unwrap_err();
        assert_eq!(refused.retry_after, Some(PAUSE));
        let later = now + PAUSE;
        assert!(breaker.admit(later).is_ok());
        assert!(breaker.admit(later).is_err());
        breaker.observe(&Ok(()), later);
        assert!(breaker.admit(later).is_ok());
        assert!(breaker.admit(later).is_ok());
    }

    #[test]
    fn a_try_that_hung_is_followed_by_the_next_one_at_once() {
        let breaker = Breaker::default();
        let now = Instant::now();
        (0..FAILURES).for_each(|_| breaker.observe(&failed(Fault::ConnectTimeout), now));
        let tried = now + PAUSE;
        assert!(breaker.admit(tried).is_ok());
        breaker.observe(&failed(Fault::ConnectTimeout), tried + PAUSE);
        assert!(breaker.admit(tried + PAUSE).is_ok());
        assert!(breaker.admit(tried + PAUSE).is_err());
    }

    #[test]
    fn a_database_that_answers_with_an_error_never_opens_it() {
        let breaker = Breaker::default();
        let now = Instant::now();
        for _ in 0..3 * FAILURES {
            breaker.observe(&failed(Fault::AuthFailed), now);
            assert!(breaker.admit(now).is_ok());
        }
    }
}
