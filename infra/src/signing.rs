//! Signatures under checkpoints of the log: Ed25519.

#[cfg(feature = "aws")]
pub mod kms;

use async_trait::async_trait;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use zeroize::Zeroizing;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key service cannot sign now")]
pub struct CannotSign;

#[async_trait]
pub trait Signer: Send + Sync {
    async fn sign(&self, message: &[u8]) -> Result<[u8; 64], CannotSign>;
    async fn public_key(&self) -> Result<[u8; 32], CannotSign>;
}

/// Signs with a key that the master key derives.
pub struct DerivedSigner(Ed25519KeyPair);

impl DerivedSigner {
    pub fn new(seed: &Zeroizing<[u8; 32]>) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).expect("32 bytes are a seed"))
    }
}

#[async_trait]
impl Signer for DerivedSigner {
    async fn sign(&self, message: &[u8]) -> Result<[u8; 64], CannotSign> {
        self.0.sign(message).as_ref().try_into().map_err(|_| CannotSign)
    }

    async fn public_key(&self) -> Result<[u8; 32], CannotSign> {
        self.0.public_key().as_ref().try_into().map_err(|_| CannotSign)
    }
}

pub fn is_signed(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key).verify(message, signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 2.
    #[tokio::test]
    async fn a_signature_is_that_of_the_standard() {
        let bytes = |hex: &str| hex::decode(hex).expect("hex");
        let seed = bytes("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
        let signer = DerivedSigner::new(&Zeroizing::new(seed.try_into().expect("32 bytes")));
        let key = signer.public_key().await.expect("a key");
        assert_eq!(hex::encode(key), "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        let signature = signer.sign(&[0x72]).await.expect("signs");
        assert_eq!(
            hex::encode(signature),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        );
        assert!(is_signed(&key, &[0x72], &signature));
        assert!(!is_signed(&key, &[0x73], &signature));
        assert!(!is_signed(&[0; 32], &[0x72], &signature));
    }
}
