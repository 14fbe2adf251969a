use super::*;
use crate::emulators::wire::{Line, Wire};
use crate::emulators::{moto, sdk_config};
use domain::limits::{AWS_OPERATION_TIMEOUT, DATA_KEY_KEPT, DATA_KEYS_MAX};
use events::IntegrationKind;
use jiff::SignedDuration;
use std::sync::Mutex;
use std::time::Instant;

async fn aws() -> SdkConfig {
    sdk_config(&moto().url).await
}

async fn new_key(config: &SdkConfig) -> String {
    let made = Client::new(config).create_key().send().await.expect("a key");
    made.key_metadata.expect("described").key_id
}

async fn new_keys(config: &SdkConfig) -> KmsKeys {
    KmsKeys { credentials: new_key(config).await, answers: new_key(config).await }
}

/// A sealer with its line to KMS and the clock that it reads.
struct Bench {
    sealer: KmsSealer,
    keys: KmsKeys,
    wire: Wire,
    now: Arc<Mutex<Timestamp>>,
}

impl Bench {
    async fn new() -> Self {
        Self::with(new_keys(&aws().await).await).await
    }

    /// Another process, with the same keys and nothing in memory.
    async fn cold(&self) -> Self {
        Self::with(self.keys.clone()).await
    }

    async fn with(keys: KmsKeys) -> Self {
        let (config, wire) = Wire::through(&aws().await);
        let now = Arc::new(Mutex::new("2026-11-05T12:00:00Z".parse().expect("a time")));
        let read = now.clone();
        let clock: Clock = Arc::new(move || *read.lock().expect("not poisoned"));
        let sealer = KmsSealer::with_clock(&config, keys.clone(), clock);
        Self { sealer, keys, wire, now }
    }

    fn passes(&self, time: Duration) {
        *self.now.lock().expect("not poisoned") += SignedDuration::try_from(time).expect("not long");
    }

    fn unwrapped(&self) -> usize {
        self.wire.sent("Decrypt")
    }

    fn made(&self) -> usize {
        self.wire.sent("GenerateDataKey")
    }

    async fn opens(&self, context: &SealContext, sealed: &Sealed) -> Result<Vec<u8>, SealError> {
        self.sealer.open(context, sealed).await.map(|plain| plain.to_vec())
    }
}

fn credentials(version: u32) -> SealContext {
    SealContext::credentials(&"acme".into(), IntegrationKind::Postgres, version)
}

fn answer(organization: &str, slot: &str) -> SealContext {
    SealContext {
        purpose: Purpose::IdempotentAnswer,
        organization: organization.into(),
        connection: slot.to_owned(),
        version: 1,
    }
}

mod conformance {
    use super::*;

    async fn sealer() -> KmsSealer {
        let config = aws().await;
        KmsSealer::new(&config, new_keys(&config).await)
    }

    crate::sealer_conformance!(sealer().await);
}

mod errors;
mod keeping;
