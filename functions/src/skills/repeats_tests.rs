use super::*;
use crate::config::Config;
use crate::start::embedded::Embedded;
use async_trait::async_trait;
use infra::storage::{Abandoned, AnswerStore, Settlement, StoreError};
use jiff::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A slot that somebody else has until it was looked at so many times.
struct Held {
    looks_until_free: usize,
    looks: AtomicUsize,
    begins: AtomicUsize,
}

impl Held {
    fn state(&self) -> Begun {
        match self.looks.load(Ordering::SeqCst) < self.looks_until_free {
            true => Begun::Running,
            false => Begun::Fresh,
        }
    }
}

#[async_trait]
impl AnswerStore for Held {
    async fn peek(&self, _: &[AnswerSlot], _: Timestamp) -> Result<Begun, StoreError> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        Ok(self.state())
    }

    async fn begin(&self, _: &[AnswerSlot], _: Timestamp) -> Result<Begun, StoreError> {
        self.begins.fetch_add(1, Ordering::SeqCst);
        Ok(self.state())
    }

    async fn finish(
        &self,
        _: &[(AnswerSlot, Sealed)],
        _: AnswerState,
        _: Option<&Voided>,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    async fn release(&self, _: &[AnswerSlot]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn mark(&self, _: &[AnswerSlot], _: &Sealed) -> Result<(), StoreError> {
        Ok(())
    }

    async fn settle(&self, _: &[AnswerSlot], _: &Sealed, _: Settlement<'_>) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn abandoned(&self) -> Result<Vec<Abandoned>, StoreError> {
        Ok(Vec::new())
    }

    async fn expire(&self, _: Timestamp) -> Result<u64, StoreError> {
        Ok(0)
    }
}

/// How often a repetition looked and began, and whether it ran, when it may wait for this long.
async fn waiting(looks_until_free: usize, patience: Duration) -> (usize, usize, bool) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = Config::from_lookup(|_| None, "http://127.0.0.1").expect("defaults are valid");
    let embedded = Embedded::open(folder.path()).await.expect("a data folder");
    let services = embedded.services(config).await.expect("nothing to settle");
    let mut services = Arc::into_inner(services).expect("nobody else has begun to use it");
    let held = Arc::new(Held { looks_until_free, looks: AtomicUsize::new(0), begins: AtomicUsize::new(0) });
    services.answers = held.clone();
    let services = Arc::new(services);
    let slot =
        AnswerSlot { organization: "acme".into(), key: "call:x".to_owned(), body_hash: "b".to_owned() };
    let repeats = Repeats { slots: vec![slot], voided: None };
    let mut ran = false;
    let run = async |_: Option<&Record<'_>>| {
        ran = true;
        Answer::in_doubt()
    };
    let body = |_: &Answer| Reply::ok(&serde_json::json!({}));
    let reply =
        repeats.once(&services, IntegrationKind::Postgres, None, Instant::now() + patience, run, &body).await;
    assert!(reply.is_ok(), "somebody is answered");
    (held.looks.load(Ordering::SeqCst), held.begins.load(Ordering::SeqCst), ran)
}

#[tokio::test]
async fn a_repetition_that_waits_looks_ever_more_rarely_and_takes_nothing_until_the_slot_is_free() {
    // 25, 50, 100, 200, 400 and 400 ms: more would stand in the way of the write that it waits for.
    let (looks, begins, ran) = waiting(usize::MAX, Duration::from_millis(1200)).await;
    assert!((1..=7).contains(&looks), "{looks}");
    assert_eq!((begins, ran), (1, false));
}

#[tokio::test]
async fn a_repetition_runs_when_the_slot_was_given_back() {
    assert_eq!(waiting(3, Duration::from_secs(10)).await, (3, 2, true));
}
