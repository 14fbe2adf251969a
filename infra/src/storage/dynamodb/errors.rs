//! What went wrong, in the few kinds that callers tell apart.

use crate::storage::StoreError;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::CancellationReason;

/// Any call that only has to be tried again later: the SDK has tried as often as it may.
pub fn unavailable<E: ProvideErrorMetadata, R>(error: SdkError<E, R>) -> StoreError {
    StoreError::Unavailable(named(&error))
}

/// The service's code or the kind of fault on the way. Never the message: it may quote what was sent.
fn named<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    let kind = match error {
        SdkError::ConstructionFailure(_) => "the request could not be built",
        SdkError::TimeoutError(_) => "no answer in time",
        SdkError::DispatchFailure(_) => "no connection",
        SdkError::ResponseError(_) => "an answer that is none",
        SdkError::ServiceError(service) => service.err().code().unwrap_or("an error without a code"),
        _ => "a fault of an unknown kind",
    };
    kind.to_owned()
}

/// Why a transaction did not answer with success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing was written; one answer for each item, in their order.
    Cancelled(Vec<Reason>),
    /// Nothing was written: too much at once, or another transaction holds an item.
    Busy(String),
    /// Whether anything was written is not known.
    Lost(String),
    /// Nothing was written, and nothing would be if it were sent again.
    Refused(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// This item would have been written.
    Fine,
    /// Its condition did not hold.
    Condition,
    /// Another transaction or write holds it at this moment, or its partition is throttled.
    Busy,
    Other(String),
}

impl Failure {
    pub fn of<R>(error: SdkError<TransactWriteItemsError, R>) -> Self {
        match &error {
            SdkError::ServiceError(service) => match service.err() {
                TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                    Self::cancelled(cancelled.cancellation_reasons())
                }
                other => Self::of_code(other.code().unwrap_or_default(), &error),
            },
            SdkError::ConstructionFailure(_) => Failure::Refused(named(&error)),
            _ => Failure::Lost(named(&error)),
        }
    }

    fn of_code<R>(code: &str, error: &SdkError<TransactWriteItemsError, R>) -> Self {
        match code {
            "ProvisionedThroughputExceededException"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "TransactionConflictException"
            | "TransactionInProgressException" => Failure::Busy(named(error)),
            "AccessDeniedException"
            | "IdempotentParameterMismatchException"
            | "ResourceNotFoundException"
            | "SerializationException"
            | "UnrecognizedClientException"
            | "ValidationException" => Failure::Refused(named(error)),
            // An error of the server, or one that is not known here: it may have happened.
            _ => Failure::Lost(named(error)),
        }
    }

    fn cancelled(reasons: &[CancellationReason]) -> Self {
        let reasons: Vec<Reason> = reasons.iter().map(Reason::of).collect();
        let busy = reasons.contains(&Reason::Busy) && !reasons.contains(&Reason::Condition);
        let other = reasons.iter().find_map(|reason| match reason {
            Reason::Other(code) => Some(code.clone()),
            Reason::Fine | Reason::Condition | Reason::Busy => None,
        });
        match other {
            Some(code) => Failure::Refused(code),
            None if busy => Failure::Busy("another transaction holds an item, or it is throttled".to_owned()),
            None => Failure::Cancelled(reasons),
        }
    }
}

impl Reason {
    fn of(reason: &CancellationReason) -> Self {
        match reason.code() {
            None | Some("None") => Reason::Fine,
            Some("ConditionalCheckFailed") => Reason::Condition,
            Some("TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded") => Reason::Busy,
            Some(other) => Reason::Other(other.to_owned()),
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Cancelled(reasons) => StoreError::Unavailable(format!("cancelled: {reasons:?}")),
            Failure::Busy(reason) | Failure::Lost(reason) | Failure::Refused(reason) => {
                StoreError::Unavailable(reason)
            }
        }
    }
}
