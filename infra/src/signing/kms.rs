//! Signatures by a key that never leaves KMS.

use super::{CannotSign, Signer};
use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_kms::Client;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};
use tokio::sync::OnceCell;

/// What stands before the 32 bytes of an Ed25519 key in its `SubjectPublicKeyInfo` (RFC 8410).
const DER: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Signs with an asymmetric key of the spec `ECC_NIST_EDWARDS25519`.
pub struct KmsSigner {
    client: Client,
    /// Id, ARN or alias.
    key: String,
    /// The key of a process never changes: another one is another key id, and another deployment.
    public: OnceCell<[u8; 32]>,
}

impl KmsSigner {
    pub fn new(config: &SdkConfig, key: String) -> Self {
        Self { client: Client::new(config), key, public: OnceCell::new() }
    }

    async fn read_public_key(&self) -> Result<[u8; 32], CannotSign> {
        let answer = self.client.get_public_key().key_id(&self.key).send().await.map_err(cannot)?;
        let der = answer.public_key.map(Blob::into_inner).unwrap_or_default();
        let key = der.strip_prefix(&DER).and_then(|key| key.try_into().ok());
        key.ok_or_else(|| {
            tracing::error!("the key of checkpoints is no key for Ed25519");
            CannotSign
        })
    }
}

#[async_trait]
impl Signer for KmsSigner {
    async fn sign(&self, message: &[u8]) -> Result<[u8; 64], CannotSign> {
        let signed = self
            .client
            .sign()
            .key_id(&self.key)
            .message(Blob::new(message))
            .message_type(MessageType::Raw)
            .signing_algorithm(SigningAlgorithmSpec::Ed25519Sha512)
            .send()
            .await
            .map_err(cannot)?;
        let signature = signed.signature.map(Blob::into_inner).unwrap_or_default();
        signature.try_into().map_err(|_| CannotSign)
    }

    async fn public_key(&self) -> Result<[u8; 32], CannotSign> {
        self.public.get_or_try_init(|| self.read_public_key()).await.copied()
    }
}

fn cannot<E: ProvideErrorMetadata, R>(error: SdkError<E, R>) -> CannotSign {
    tracing::error!(code = error.code(), "KMS did not sign a checkpoint, or gave no key for it");
    CannotSign
}

#[cfg(test)]
#[path = "kms_tests.rs"]
mod tests;
