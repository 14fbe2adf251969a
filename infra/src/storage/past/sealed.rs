//! A state of the past as bytes that only this service can have made: a MAC, the hash of the last event that was folded,
//! and the state as compressed JSON. The MAC also covers the organization, the position and the code that folded.

use super::Folded;
use crate::storage::StoreError;
use crate::storage::documents::FINGERPRINT;
use domain::Present;
use events::{OrganizationId, Seq};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const HASH: usize = 32;
/// zstd's own default.
const LEVEL: i32 = 3;

/// The size of the JSON, and the bytes.
pub fn seal(key: &[u8; 32], present: &Present, hash: &[u8; 32]) -> Result<(u64, Vec<u8>), StoreError> {
    let cannot = |error: String| StoreError::Unavailable(format!("a state cannot be packed: {error}"));
    let json = serde_json::to_vec(present).map_err(|error| cannot(error.to_string()))?;
    let packed = zstd::bulk::compress(&json, LEVEL).map_err(|error| cannot(error.to_string()))?;
    let mac = mac(key, &present.state().id, present.head(), hash, &packed);
    let tag = mac.finalize().into_bytes();
    Ok((json.len() as u64, [tag.as_slice(), hash, &packed].concat()))
}

/// None for what this service did not seal, other code folded, or stands in another's place.
pub fn open(key: &[u8; 32], organization: &OrganizationId, at: Seq, bytes: &[u8]) -> Option<Folded> {
    let (tag, rest) = bytes.split_at_checked(HASH)?;
    let (hash, packed) = rest.split_first_chunk::<HASH>()?;
    mac(key, organization, at, hash, packed).verify_slice(tag).ok()?;
    // Nobody else made them: they are what they were when they were sealed.
    let json = zstd::stream::decode_all(packed).ok()?;
    let present: Present = serde_json::from_slice(&json).ok()?;
    Some(Folded::kept(present, *hash, json.len() as u64))
}

fn mac(
    key: &[u8; 32],
    organization: &OrganizationId,
    at: Seq,
    hash: &[u8; 32],
    packed: &[u8],
) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(b"bindery.past.v1");
    for text in [FINGERPRINT, organization.as_str()] {
        mac.update(&(text.len() as u64).to_be_bytes());
        mac.update(text.as_bytes());
    }
    mac.update(&at.0.to_be_bytes());
    mac.update(hash);
    mac.update(packed);
    mac
}
