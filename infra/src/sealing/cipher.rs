//! AES-256-GCM under a data key: what every sealer does with a record's body.

use super::SealError;
use crate::derive::Bytes32;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use zeroize::Zeroizing;

const NONCE: usize = 12;
const TAG: usize = 16;

/// nonce ‖ ciphertext ‖ tag, under a nonce drawn at random: safe for 2^32 bodies under one key.
pub fn encrypt(key: &Bytes32, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).map_err(|_| SealError::Unavailable)?;
    let sealed = cipher(key)
        .encrypt(&Nonce::from(nonce), Payload { msg: plain, aad: context })
        // Only past 64 GB.
        .map_err(|_| SealError::Unavailable)?;
    Ok([nonce.as_slice(), &sealed].concat())
}

pub fn decrypt(key: &Bytes32, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (nonce, body) = sealed.split_first_chunk::<NONCE>().ok_or(SealError::DoesNotOpen)?;
    if body.len() < TAG {
        return Err(SealError::DoesNotOpen);
    }
    cipher(key)
        .decrypt(&Nonce::from(*nonce), Payload { msg: body, aad: context })
        .map(Zeroizing::new)
        .map_err(|_| SealError::DoesNotOpen)
}

/// An unwrapped data key; none when it has another length than a key.
pub fn data_key(unwrapped: &[u8]) -> Option<Bytes32> {
    let mut key = Zeroizing::new([0; 32]);
    if unwrapped.len() != key.len() {
        return None;
    }
    key.copy_from_slice(unwrapped);
    Some(key)
}

fn cipher(key: &Bytes32) -> Aes256Gcm {
    Aes256Gcm::new(<&Key<Aes256Gcm>>::from(&**key))
}
