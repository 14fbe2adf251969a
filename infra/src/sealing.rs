//! Sealing: AES-256-GCM under a data key of its own for each record, the data key wrapped by a master key.

mod cipher;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod key_file;
#[cfg(feature = "aws")]
pub mod kms;

use async_trait::async_trait;
use events::{IntegrationKind, OrganizationId};
use zeroize::Zeroizing;

/// What a sealed record is bound to. It is the associated data of the cipher and the encryption context of KMS:
/// a record that was moved to another organization, connection, version or purpose does not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealContext {
    pub purpose: Purpose,
    pub organization: OrganizationId,
    /// `postgres`, `mysql`, or the idempotency key's hash.
    pub connection: String,
    pub version: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Credentials,
    IdempotentAnswer,
}

impl Purpose {
    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::Credentials => "credentials",
            Purpose::IdempotentAnswer => "idempotent_answer",
        }
    }
}

impl SealContext {
    /// The associated data. Every part carries its length, so that no two contexts give the same bytes.
    pub fn canonical(&self) -> Vec<u8> {
        let mut bytes = b"bindery.seal.v1".to_vec();
        for part in [self.purpose.as_str(), self.organization.as_str(), &self.connection] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes.extend_from_slice(&self.version.to_be_bytes());
        bytes
    }

    pub fn credentials(organization: &OrganizationId, kind: IntegrationKind, version: u32) -> Self {
        Self {
            purpose: Purpose::Credentials,
            organization: organization.clone(),
            connection: kind.as_str().to_owned(),
            version,
        }
    }
}

/// What is stored. Destroying `wrapped_key` destroys the record.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    pub wrapped_key: Vec<u8>,
    /// nonce ‖ ciphertext ‖ tag
    pub body: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("the record does not open: it was changed, moved, or sealed under another key")]
    DoesNotOpen,
    #[error("the key service cannot be reached")]
    Unavailable,
}

#[async_trait]
pub trait Sealer: Send + Sync {
    async fn seal(&self, context: &SealContext, plain: &[u8]) -> Result<Sealed, SealError>;
    async fn open(&self, context: &SealContext, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealError>;
    /// Makes ready what sealing needs: when this fails, sealing would. Asked before something happens whose record must
    /// then be kept.
    async fn prepare(&self, _context: &SealContext) -> Result<(), SealError> {
        Ok(())
    }
    /// Wipes data keys that are kept for this context and for earlier versions of it. To be called when their records
    /// are replaced or destroyed.
    fn forget(&self, _context: &SealContext) {}
}
