//! Keys for several uses from one secret.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

pub type Bytes32 = Zeroizing<[u8; 32]>;

/// HMAC-SHA-256(secret, label). Equal labels give equal keys; nothing can be learnt from one about another or about
/// the secret, which must have 128 bits of randomness or more.
pub fn derive(secret: &[u8], label: &str) -> Bytes32 {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes any key length");
    mac.update(b"bindery.derive.v1\0");
    mac.update(label.as_bytes());
    Zeroizing::new(mac.finalize().into_bytes().into())
}
