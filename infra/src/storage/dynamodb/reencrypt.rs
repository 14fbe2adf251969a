//! Moves sealed credentials to another KMS key, or to newer material of the same one.

use super::DynamoStore;
use crate::sealing::SealError;
use crate::sealing::kms::KmsSealer;
use crate::storage::StoreError;

/// What one sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reencrypted {
    pub rewrapped: u64,
    /// Replaced or shredded while the sweep looked at them.
    pub gone: u64,
    /// KMS does not unwrap them: changed, or under a key that is gone. They stay as they are.
    pub refused: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReencryptError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Wraps anew the data key of every record that is not marked with the key as it is now. A new record bears no mark,
/// so the first sweep after it was sealed wraps it once more.
///
/// KMS does it with `ReEncrypt`, under the record's own context: no plaintext leaves KMS, and whoever sweeps need not
/// be able to decrypt. It may end anywhere and be started again.
///
/// # Errors
/// When KMS or the table cannot be used; what was done stays done.
pub async fn reencrypt(store: &DynamoStore, sealer: &KmsSealer) -> Result<Reencrypted, ReencryptError> {
    let under = sealer.wraps_under().await?;
    let mut done = Reencrypted::default();
    let mut next = None;
    loop {
        let (page, from) = store.due_for_reencryption(&under, next).await?;
        for due in page {
            let rewrapped = match sealer.rewrap(&due.context, &due.wrapped_key).await {
                Ok(rewrapped) => rewrapped,
                Err(SealError::DoesNotOpen) => {
                    let (organization, version) = (&due.context.organization, due.context.version);
                    tracing::error!(%organization, version, "sealed credentials could not be wrapped anew");
                    done.refused += 1;
                    continue;
                }
                Err(error @ SealError::Unavailable) => return Err(error.into()),
            };
            if store.replace_wrapped_key(&due, rewrapped.wrapped_key, &rewrapped.under).await? {
                done.rewrapped += 1;
            } else {
                done.gone += 1;
            }
        }
        next = from;
        if next.is_none() {
            return Ok(done);
        }
    }
}
