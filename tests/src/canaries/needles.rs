//! Looks for secrets in bytes, however they were written.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use functions::random;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// Found by its random letters, wherever escaping has changed the rest.
#[derive(Clone)]
pub struct Canary {
    pub name: &'static str,
    /// What is used as the secret.
    pub text: String,
    core: String,
}

impl Canary {
    /// Its text has characters that JSON, URLs, SQL logs and debug output write in other ways.
    pub fn new(name: &'static str) -> Self {
        let core = random::base62(24);
        Self { name, text: format!("q\"%/é {core}"), core }
    }

    /// Of letters and digits alone, for where others are not taken.
    pub fn plain(name: &'static str) -> Self {
        Self::of(name, &random::base62(24))
    }

    /// A secret that somebody else made.
    pub fn of(name: &'static str, text: &str) -> Self {
        Self { name, text: text.to_owned(), core: text.to_owned() }
    }
}

pub const ENCODINGS: &[(&str, fn(&Canary) -> Vec<Vec<u8>>)] = &[
    ("plain, or escaped around it", |canary| vec![canary.core.clone().into_bytes()]),
    ("reversed", |canary| vec![canary.core.bytes().rev().collect()]),
    ("hex", |canary| vec![hex::encode(&canary.core).into_bytes()]),
    ("HEX", |canary| vec![hex::encode_upper(&canary.core).into_bytes()]),
    ("base64", |canary| aligned(canary, |bytes| BASE64_STANDARD_NO_PAD.encode(bytes))),
    ("base64url", |canary| aligned(canary, |bytes| BASE64_URL_SAFE_NO_PAD.encode(bytes))),
    ("every byte percent-encoded", |canary| vec![each(canary, |byte| format!("%{byte:02X}"))]),
    ("every character as \\u", |canary| vec![each(canary, |byte| format!("\\u{byte:04x}"))]),
    ("a list of numbers", |canary| {
        ["{}, ", "{},"]
            .map(|form| each(canary, |byte| form.replace("{}", &byte.to_string())))
            .map(trimmed)
            .into()
    }),
    ("UTF-16", |canary| {
        let units = || canary.core.encode_utf16();
        vec![units().flat_map(u16::to_le_bytes).collect(), units().flat_map(u16::to_be_bytes).collect()]
    }),
    // Who holds a hash without a key can try values until one fits.
    ("a hash without a key", |canary| {
        let digest = Sha256::digest(&canary.text);
        vec![hex::encode(digest).into_bytes(), digest.to_vec()]
    }),
];

fn each(canary: &Canary, write: impl Fn(u8) -> String) -> Vec<u8> {
    canary.core.bytes().map(write).collect::<String>().into_bytes()
}

/// Without the separator at the end.
fn trimmed(mut list: Vec<u8>) -> Vec<u8> {
    while list.last().is_some_and(|last| !last.is_ascii_digit()) {
        list.pop();
    }
    list
}

/// The characters that do not depend on what stands before or after, for each of three positions.
fn aligned(canary: &Canary, encode: impl Fn(&[u8]) -> String) -> Vec<Vec<u8>> {
    let core = canary.core.as_bytes();
    let at = |before: usize| {
        let bytes = [&vec![0; before], core].concat();
        let text = encode(&bytes).into_bytes();
        let whole = bytes.len() / 3 * 4;
        let first = (before * 8).div_ceil(6);
        text[first..whole].to_vec()
    };
    (0..3).map(at).collect()
}

/// All secrets in all encodings.
pub struct Needles<'a> {
    /// By their first eight bytes.
    by_start: HashMap<[u8; 8], Vec<(&'a Canary, &'static str, Vec<u8>)>>,
}

impl<'a> Needles<'a> {
    pub fn of(canaries: &'a [Canary]) -> Self {
        let mut by_start: HashMap<_, Vec<_>> = HashMap::new();
        for canary in canaries {
            for (encoding, encode) in ENCODINGS {
                for needle in encode(canary) {
                    let start = *needle.first_chunk().expect("needles are longer than eight bytes");
                    by_start.entry(start).or_default().push((canary, *encoding, needle));
                }
            }
        }
        Self { by_start }
    }

    /// Every secret in these bytes, with its encoding.
    pub fn found_in(&self, bytes: &[u8]) -> Vec<(&'a str, &'static str)> {
        let mut found = Vec::new();
        for at in 0..bytes.len().saturating_sub(7) {
            let Some(needles) = bytes[at..].first_chunk().and_then(|start| self.by_start.get(start)) else {
                continue;
            };
            let here = needles.iter().filter(|(_, _, needle)| bytes[at..].starts_with(needle));
            found.extend(here.map(|(canary, encoding, _)| (canary.name, *encoding)));
        }
        found
    }
}

#[test]
fn the_search_finds_a_secret_in_every_encoding_and_at_every_position() {
    let canaries = [Canary::new("one"), Canary::new("other")];
    let needles = Needles::of(&canaries);
    let whole = &canaries[0].text;
    let base64 = |padding: &str| BASE64_STANDARD_NO_PAD.encode(format!("{padding}{whole} and more"));
    let planted: Vec<(&str, Vec<u8>)> = vec![
        ("plain, or escaped around it", serde_json::to_vec(whole).unwrap()),
        ("plain, or escaped around it", format!("{whole:?}").into_bytes()),
        ("reversed", whole.chars().rev().collect::<String>().into_bytes()),
        ("hex", hex::encode(whole).into_bytes()),
        ("HEX", hex::encode_upper(whole).into_bytes()),
        ("base64", base64("").into_bytes()),
        ("base64", base64("a").into_bytes()),
        ("base64", base64("ab").into_bytes()),
        ("base64url", BASE64_URL_SAFE_NO_PAD.encode(format!("??{whole}")).into_bytes()),
        ("a list of numbers", format!("{:?}", whole.as_bytes()).into_bytes()),
        ("a list of numbers", serde_json::to_vec(whole.as_bytes()).unwrap()),
        ("UTF-16", whole.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("a hash without a key", hex::encode(Sha256::digest(whole)).into_bytes()),
    ];
    for (encoding, secret) in planted {
        let sink = [b"something before ".as_slice(), &secret, b" and after"].concat();
        let found = needles.found_in(&sink);
        assert!(found.contains(&("one", encoding)), "{encoding}: {found:?}");
        assert!(found.iter().all(|(name, _)| *name == "one"));
    }
    assert!(needles.found_in(b"nothing of the kind").is_empty());
}
