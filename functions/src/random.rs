//! Identifiers and secrets. All of it comes from the operating system.

use events::{AgentId, CommandId, KeyId, RequestId, SkillId, SubscriptionId, VersionId};
use infra::storage::calls::id_from;
use jiff::Timestamp;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `length` characters of base62: 5.95 bits each.
///
/// # Panics
/// When the operating system has no randomness: nothing that follows would be safe.
pub fn base62(length: usize) -> String {
    let mut text = String::with_capacity(length);
    let mut bytes = [0u8; 64];
    while text.len() < length {
        getrandom::fill(&mut bytes).expect("the operating system gives randomness");
        // 248 is the largest multiple of 62 that fits a byte: above it the first letters would be likelier.
        let fair = bytes.iter().filter(|byte| **byte < 248);
        let letters = fair.map(|byte| char::from(BASE62[usize::from(byte % 62)]));
        text.extend(letters.take(length - text.len()));
    }
    text
}

/// All digits that a number may have in base62, padded with zeros.
pub fn base62_digits(mut number: u64) -> [u8; 11] {
    let mut digits = [b'0'; 11];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(number % 62) as usize];
        number /= 62;
    }
    digits
}

/// Ids sort by the time they were made, so that a list in order of ids is a list in order of age.
fn sortable(prefix: &str) -> String {
    format!("{prefix}_{}", uuid::Uuid::now_v7().simple())
}

pub fn agent_id() -> AgentId {
    AgentId::from(sortable("agt"))
}

pub fn skill_id() -> SkillId {
    SkillId::from(sortable("skl"))
}

pub fn version_id() -> VersionId {
    VersionId::from(sortable("ver"))
}

pub fn subscription_id() -> SubscriptionId {
    SubscriptionId::from(sortable("sub"))
}

pub fn attempt_id() -> String {
    sortable("dlv")
}

pub fn command_id() -> CommandId {
    CommandId::from(sortable("cmd"))
}

pub fn discovery_id() -> String {
    format!("dsc_{}", base62(20))
}

pub fn key_id() -> KeyId {
    KeyId::from(base62(12))
}

/// A random start for the process and a counter: unique, not secret, and no system call.
fn counted(prefix: &str) -> String {
    static PROCESS: OnceLock<String> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let process = PROCESS.get_or_init(|| base62(12));
    let mut text = String::with_capacity(prefix.len() + 20);
    text.extend([prefix, "_", process]);
    text.extend(base62_digits(COUNT.fetch_add(1, Ordering::Relaxed))[4..].iter().copied().map(char::from));
    text
}

pub fn request_id() -> RequestId {
    RequestId::from(counted("req"))
}

/// The record of a call that began then.
pub fn call_id(at: Timestamp) -> String {
    counted(&id_from(at))
}

/// Evenly between 0 and 1.
pub fn fraction() -> f64 {
    let number = getrandom::u32().expect("the operating system gives randomness");
    f64::from(number) / f64::from(u32::MAX)
}
