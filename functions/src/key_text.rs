//! The text of an API key: `flowyte_sk_live_<keyId>_<secret><crc>`.

use crate::random;
use events::KeyId;
use hmac::{Hmac, KeyInit, Mac};
use infra::peppers::Peppers;
use infra::secret::Secret;
use sha2::Sha256;

const PREFIX: &str = "flowyte_sk_live_";
const KEY_ID_LENGTH: usize = 12;
/// 190.5 bits.
const SECRET_LENGTH: usize = 32;
const CRC_LENGTH: usize = 6;

/// A key as it was presented, its checksum already right.
pub struct Presented<'a> {
    pub key_id: &'a str,
    pub secret: &'a str,
}

/// A new key: its id, its whole text (shown once) and the secret in it.
pub fn mint() -> (KeyId, Secret, Secret) {
    let key_id = random::key_id();
    let secret = random::base62(SECRET_LENGTH);
    let body = format!("{PREFIX}{key_id}_{secret}");
    let text: String = body.chars().chain(crc(&body).map(char::from)).collect();
    (key_id, Secret::new(text), Secret::new(secret))
}

/// None for what cannot be a key, without a look at the store: a typo, a cut copy, another product's key.
pub fn parse(text: &str) -> Option<Presented<'_>> {
    let rest = text.strip_prefix(PREFIX)?;
    let (key_id, tail) = rest.split_once('_')?;
    if key_id.len() != KEY_ID_LENGTH || tail.len() != SECRET_LENGTH + CRC_LENGTH || !text.is_ascii() {
        return None;
    }
    let (body, given) = text.split_at(text.len() - CRC_LENGTH);
    (crc(body) == given.as_bytes()).then(|| Presented { key_id, secret: &tail[..SECRET_LENGTH] })
}

fn crc(body: &str) -> [u8; CRC_LENGTH] {
    let digits = random::base62_digits(u64::from(crc32fast::hash(body.as_bytes())));
    *digits.last_chunk().expect("a number of 32 bits has six digits")
}

/// What the log keeps of a secret: HMAC-SHA-256(pepper, secret) in hex.
pub fn secret_hash(pepper: &[u8; 32], secret: &str) -> String {
    hex::encode(keyed(pepper, secret).finalize().into_bytes())
}

/// Compares in constant time, with the current pepper and with the one before it, whichever matches.
pub fn secret_matches(peppers: &Peppers, secret: &str, stored: &str) -> bool {
    let mut expected = [0u8; 32];
    if hex::decode_to_slice(stored, &mut expected).is_err() {
        return false;
    }
    let matches = |pepper: &[u8; 32]| keyed(pepper, secret).verify_slice(&expected).is_ok();
    let current = matches(&peppers.current);
    let previous = peppers.previous.as_ref().is_some_and(|previous| matches(previous));
    current | previous
}

fn keyed(pepper: &[u8; 32], secret: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(pepper).expect("HMAC takes keys of any length");
    mac.update(secret.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_key_parses_into_its_parts() {
        let (id, text, secret) = mint();
        let presented = parse(text.expose()).expect("it was just minted");
        assert_eq!((presented.key_id, presented.secret), (id.as_str(), secret.expose()));
    }

    #[test]
    fn a_key_with_any_one_character_changed_is_refused() {
        let (_, text, _) = mint();
        for at in 0..text.expose().len() {
            let mut changed = text.expose().as_bytes().to_vec();
            changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(parse(&changed).is_none(), "position {at}");
        }
    }

    #[test]
    fn another_secret_or_pepper_does_not_match() {
        let hash = secret_hash(&[1; 32], "secret");
        assert!(secret_matches(&peppers(1, None), "secret", &hash));
        assert!(!secret_matches(&peppers(1, None), "Secret", &hash));
        assert!(!secret_matches(&peppers(2, None), "secret", &hash));
        assert!(!secret_matches(&peppers(1, None), "secret", "not hex"));
    }

    #[test]
    fn a_key_of_the_previous_pepper_matches_and_one_of_the_pepper_before_that_does_not() {
        let hash = secret_hash(&[1; 32], "secret");
        assert!(secret_matches(&peppers(2, Some(1)), "secret", &hash));
        assert!(!secret_matches(&peppers(2, Some(1)), "Secret", &hash));
        assert!(!secret_matches(&peppers(3, Some(2)), "secret", &hash));
    }

    fn peppers(current: u8, previous: Option<u8>) -> Peppers {
        let pepper = |byte| zeroize::Zeroizing::new([byte; 32]);
        Peppers { current: pepper(current), previous: previous.map(pepper) }
    }
}
