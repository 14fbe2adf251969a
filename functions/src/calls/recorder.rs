//! Takes records off calls and keeps them in batches. A call never waits for it: what comes faster than it can be kept
//! is counted and lost.

use domain::limits::{CALLS_KEPT_AT, CALLS_WAITING};
use events::{AgentId, OrganizationId};
use infra::storage::StoreError;
use infra::storage::calls::{Batch, CallRecord, CallStore, Ended, Resolution};
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock;

pub struct Recorder {
    store: Arc<dyn CallStore>,
    /// How long records are kept.
    pub kept: Duration,
    waiting: Mutex<Waiting>,
    /// One batch at a time, so that none is kept twice.
    turn: tokio::sync::Mutex<()>,
    /// So many wait that they are worth keeping now.
    enough: Arc<Notify>,
    lost: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    batch: Batch,
    /// An empty one, for its buffers: to make them anew many times a second takes as many pages each time.
    spare: Batch,
    /// How many of those that are being kept, or could not be, take up room here.
    taken: usize,
}

impl Recorder {
    pub fn new(store: Arc<dyn CallStore>, kept: Duration) -> Self {
        Self {
            store,
            kept,
            waiting: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            enough: Arc::default(),
            lost: AtomicU64::default(),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn record(&self, record: &CallRecord) {
        let mut waiting = self.waiting();
        if waiting.batch.len() + waiting.taken < CALLS_WAITING {
            waiting.batch.push(record);
            // Once for each, so that a store that is down is not asked again with every call.
            if waiting.batch.len().is_multiple_of(CALLS_KEPT_AT) {
                self.enough.notify_one();
            }
        } else {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Records that could not be kept since the process began, and never will be.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Keeps what waits. What cannot be kept now waits on.
    pub async fn flush(&self) {
        let _turn = self.turn.lock().await;
        let batch = {
            let mut waiting = self.waiting();
            let spare = mem::take(&mut waiting.spare);
            if waiting.batch.is_empty() {
                // Nothing goes on: no room is held either.
                waiting.batch = Batch::default();
                return;
            }
            waiting.taken = waiting.batch.len();
            Arc::new(mem::replace(&mut waiting.batch, spare))
        };
        let kept = self.store.keep_calls(&batch, self.kept).await;
        let mut waiting = self.waiting();
        waiting.taken = 0;
        match kept {
            Ok(()) => waiting.spare = Arc::into_inner(batch).map(Batch::emptied).unwrap_or_default(),
            Err(error) => {
                let later = mem::replace(&mut waiting.batch, Arc::unwrap_or_clone(batch));
                waiting.batch.append(later);
                let (waiting, lost) = (waiting.batch.len(), self.lost());
                tracing::error!(%error, waiting, lost, "records of calls cannot be kept for now");
            }
        }
    }

    /// What can be read once everything that this process has recorded so far is kept.
    pub async fn store(&self) -> &dyn CallStore {
        self.flush().await;
        &*self.store
    }

    /// Says how a write in doubt ended. When that cannot be kept, the record stays open, and its kept answers say how it
    /// ended all the same.
    pub async fn found_out(&self, organization: &OrganizationId, agent: &AgentId, id: &str, result: Ended) {
        let resolution = Resolution { result, at: clock::now(), by: None, note: None };
        if let Err(error) = self.resolve(organization, agent, id, &resolution).await {
            tracing::warn!(%error, "how a write in doubt ended could not be put beside its record");
        }
    }

    /// # Errors
    /// When it cannot be kept.
    pub async fn resolve(
        &self,
        organization: &OrganizationId,
        agent: &AgentId,
        id: &str,
        resolution: &Resolution,
    ) -> Result<(), StoreError> {
        self.store.resolve_call(organization, agent, id, resolution, self.kept).await
    }
}

/// Keeps what waits once in `every`, and whenever it is much, until the server stops; what is left then is for whoever
/// stops it.
pub async fn keep_up(recorder: Weak<Recorder>, every: Duration, stopping: CancellationToken) {
    let Some(enough) = recorder.upgrade().map(|recorder| recorder.enough.clone()) else { return };
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(every) => {}
            () = enough.notified() => {}
        }
        let Some(recorder) = recorder.upgrade() else { return };
        recorder.flush().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use infra::storage::calls::{Path, Protocol, Span};
    use std::sync::atomic::AtomicBool;

    /// Keeps everything in memory, or nothing while it is down.
    #[derive(Default)]
    struct Store {
        kept: Mutex<Vec<String>>,
        is_down: AtomicBool,
    }

    #[async_trait]
    impl CallStore for Store {
        async fn keep_calls(&self, batch: &Arc<Batch>, _: Duration) -> Result<(), StoreError> {
            if self.is_down.load(Ordering::Relaxed) {
                return Err(StoreError::Unavailable("down".to_owned()));
            }
            self.kept.lock().unwrap().extend(batch.records()?.into_iter().map(|record| record.id));
            Ok(())
        }

        async fn calls(
            &self,
            _: &OrganizationId,
            _: &AgentId,
            _: Path<'_>,
            _: Span<'_>,
            _: usize,
        ) -> Result<Vec<CallRecord>, StoreError> {
            Ok(Vec::new())
        }

        async fn call(
            &self,
            _: &OrganizationId,
            _: &AgentId,
            _: &str,
        ) -> Result<Option<CallRecord>, StoreError> {
            Ok(None)
        }

        async fn resolve_call(
            &self,
            _: &OrganizationId,
            _: &AgentId,
            _: &str,
            _: &Resolution,
            _: Duration,
        ) -> Result<(), StoreError> {
            Ok(())
        }
    }

    fn record(number: usize) -> CallRecord {
        CallRecord {
            id: format!("{number:08}"),
            organization: "acme".into(),
            agent: "agt_1".into(),
            at: clock::now(),
            skill: "skl_1".into(),
            tool: "find".to_owned(),
            version: Some(1),
            protocol: Protocol::Http,
            outcome: "ok".into(),
            code: None,
            rows: 1,
            replayed: false,
            total_us: 1,
            database_us: 1,
            key: "k1".into(),
            request_id: "req_1".into(),
            call_id: None,
            tool_call_id: None,
            lookup: None,
            arguments: Vec::new(),
            doubt: None,
            resolution: None,
        }
    }

    #[tokio::test]
    async fn what_cannot_be_kept_waits_in_its_order_and_what_there_is_no_room_for_is_counted() {
        let store = Arc::new(Store::default());
        let recorder = Recorder::new(store.clone(), Duration::from_secs(1));
        store.is_down.store(true, Ordering::Relaxed);
        (0..10).for_each(|number| recorder.record(&record(number)));
        recorder.flush().await;
        (10..CALLS_WAITING + 7).for_each(|number| recorder.record(&record(number)));
        assert_eq!(recorder.lost(), 7);
        recorder.flush().await;
        assert_eq!(recorder.lost(), 7, "those that wait are still there");
        store.is_down.store(false, Ordering::Relaxed);
        recorder.flush().await;
        let kept = store.kept.lock().unwrap();
        let wanted: Vec<String> = (0..CALLS_WAITING).map(|number| format!("{number:08}")).collect();
        assert!(*kept == wanted, "{} are kept, from {:?}", kept.len(), kept.first());
    }

    #[tokio::test]
    async fn much_is_kept_without_waiting_for_the_time() {
        let store = Arc::new(Store::default());
        let recorder = Arc::new(Recorder::new(store.clone(), Duration::from_secs(1)));
        let (never, stopping) = (Duration::from_secs(3600), CancellationToken::new());
        let keeping = tokio::spawn(keep_up(Arc::downgrade(&recorder), never, stopping.clone()));
        let kept = || store.kept.lock().unwrap().len();
        for round in 1..3 {
            (1..CALLS_KEPT_AT).for_each(|number| recorder.record(&record(number)));
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            assert_eq!(kept(), (round - 1) * CALLS_KEPT_AT, "one is missing");
            recorder.record(&record(CALLS_KEPT_AT));
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            assert_eq!(kept(), round * CALLS_KEPT_AT);
        }
        stopping.cancel();
        keeping.await.expect("it ends");
    }

    #[tokio::test]
    async fn room_that_is_used_again_holds_nothing_of_before() {
        let store = Arc::new(Store::default());
        let recorder = Recorder::new(store.clone(), Duration::from_secs(1));
        let of = |agent: &str, number| CallRecord { agent: agent.into(), ..record(number) };
        for some in
            [&[("agt_1", 0), ("agt_2", 1)][..], &[("agt_1", 2)], &[("agt_2", 3)], &[], &[("agt_1", 4)]]
        {
            some.iter().for_each(|(agent, number)| recorder.record(&of(agent, *number)));
            recorder.flush().await;
        }
        let mut kept = store.kept.lock().unwrap().clone();
        kept.sort();
        assert_eq!(kept, (0..5).map(|number| format!("{number:08}")).collect::<Vec<_>>());
    }
}
