//! What an error of KMS means for a record.

use crate::sealing::SealError;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};

/// Of Decrypt and ReEncrypt. Only what says that this ciphertext, under this context, is not to be unwrapped tells of
/// the record; a key that is disabled or waits for its deletion may come back, and tells nothing.
pub fn opening<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> SealError {
    let code = error.code();
    tracing::warn!(code, "KMS did not unwrap a data key");
    match code {
        Some(
            // A bit was flipped, or the context is another.
            "InvalidCiphertextException"
            | "IncorrectKeyException"
            // The ciphertext names a key that does not exist, or the policy refuses this key or context: KMS does not
            // say which.
            | "AccessDeniedException"
            | "NotFoundException",
        ) => SealError::DoesNotOpen,
        // DisabledException, KMSInvalidStateException, KeyUnavailableException, DependencyTimeoutException,
        // KMSInternalException, ThrottlingException, expired credentials; none at all when there was no answer.
        Some(_) | None => SealError::Unavailable,
    }
}

/// Of making a data key: there is no record yet that could be wrong.
pub fn making<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> SealError {
    tracing::error!(code = error.code(), "KMS made no data key");
    SealError::Unavailable
}
