//! The peppers of API keys' hashes, which may be rotated.

use crate::derive::Bytes32;
use async_trait::async_trait;
use std::sync::Arc;

/// A key is minted with the current pepper, and checked with the current one and the one before it: so a rotation
/// ends no key, and the next rotation ends those that were minted before this one.
#[derive(Clone, PartialEq)]
pub struct Peppers {
    pub current: Bytes32,
    pub previous: Option<Bytes32>,
}

#[async_trait]
pub trait PepperSource: Send + Sync {
    /// What this process knows, without waiting.
    fn known(&self) -> Arc<Peppers>;
    /// What is in force, read again when the last read is a while ago; what is known when that fails. To be asked
    /// before a key is minted, and before a key that does not match is refused.
    async fn latest(&self) -> Arc<Peppers>;
}

/// A pepper that is never rotated.
pub struct OnePepper(Arc<Peppers>);

impl OnePepper {
    pub fn new(pepper: Bytes32) -> Self {
        Self(Arc::new(Peppers { current: pepper, previous: None }))
    }
}

#[async_trait]
impl PepperSource for OnePepper {
    fn known(&self) -> Arc<Peppers> {
        self.0.clone()
    }

    async fn latest(&self) -> Arc<Peppers> {
        self.known()
    }
}
