//! What an organization's log said at an earlier position.
//!
//! The log is folded from the nearest state that is kept. Kept states are a cache: they may be gone at any time, they
//! are believed only if this service sealed them, this code folded them, and the log still has the hash they were
//! folded up to. With and without them the same is told.

mod remembered;
mod sealed;

use super::{EventLog, PastStates, StoreError, replay};
use crate::derive::Bytes32;
use domain::limits::{EVENT_BYTES, PAST_BYTES_AN_EVENT, PAST_EVERY};
use domain::{Organization, Present};
use events::{OrganizationId, Recorded, Seq};
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use remembered::Remembered;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Events that are read at once.
const BATCH: u64 = 256;
/// Events far behind that are read at the same time.
const AT_ONCE: usize = 16;

/// Folds the log up to any position, and keeps states on the way.
pub struct Past {
    log: Arc<dyn EventLog>,
    kept: Arc<dyn PastStates>,
    key: Bytes32,
    /// Events between two states that are kept.
    every: u64,
    remembered: Mutex<Remembered>,
}

/// A state, where its log stood, and what reading it costs.
#[derive(Clone)]
struct Folded {
    present: Present,
    /// Of the last event.
    hash: [u8; 32],
    /// As JSON, about.
    bytes: u64,
    /// The last state on the way that was kept, and the events after which the next one is worth it: as many as are
    /// folded in the time in which that one is read.
    kept_at: Seq,
    pays_after: u64,
}

impl Folded {
    fn start(organization: OrganizationId) -> Self {
        Self {
            present: Present::empty(organization),
            hash: [0; 32],
            bytes: 0,
            kept_at: Seq(0),
            pays_after: 0,
        }
    }

    fn kept(present: Present, hash: [u8; 32], bytes: u64) -> Self {
        Self { kept_at: present.head(), present, hash, bytes, pays_after: bytes / PAST_BYTES_AN_EVENT }
    }

    fn apply(&mut self, event: &Recorded) -> Result<(), StoreError> {
        let corrupt = |reason: &str| StoreError::Corrupt { seq: event.seq, reason: reason.to_owned() };
        if event.prev_hash != self.hash {
            return Err(corrupt("it does not follow the event that was folded last"));
        }
        replay::caught(event.seq, || self.present.apply(event))?;
        self.hash = event.hash;
        self.bytes += EVENT_BYTES;
        Ok(())
    }
}

impl Past {
    /// `key` is what kept states are sealed with.
    pub fn new(log: Arc<dyn EventLog>, kept: Arc<dyn PastStates>, key: Bytes32) -> Self {
        Self::keeping(log, kept, key, PAST_EVERY)
    }

    pub(crate) fn keeping(
        log: Arc<dyn EventLog>,
        kept: Arc<dyn PastStates>,
        key: Bytes32,
        every: u64,
    ) -> Self {
        Self { log, kept, key, every, remembered: Mutex::default() }
    }

    /// The state when `seq` was the head, or at the head when that is nearer, without what served nobody then.
    pub async fn state(
        &self,
        organization: &OrganizationId,
        seq: Seq,
    ) -> Result<Arc<Organization>, StoreError> {
        let mut folded = self.nearest(organization, seq).await;
        self.fold(organization, &mut folded, seq).await?;
        loop {
            let missing = folded.present.missing();
            if missing.is_empty() {
                break;
            }
            let events = stream::iter(missing).map(|seq| self.event(organization, seq));
            for event in events.buffered(AT_ONCE).try_collect::<Vec<_>>().await? {
                if !folded.present.bring_back(&event) {
                    let reason = "it is not what was left out of a state".to_owned();
                    return Err(StoreError::Corrupt { seq: event.seq, reason });
                }
            }
        }
        folded.present.leave_out();
        let state = Arc::new(folded.present.state().clone());
        self.remembered().add(folded);
        Ok(state)
    }

    /// Keeps what states are due up to the head, so that nobody who asks has to wait for them.
    pub async fn keep_up(&self, organization: &OrganizationId) -> Result<(), StoreError> {
        let head = self.log.head(organization).await?;
        let kept = self.kept.nearest_state(organization, head).await?.unwrap_or_default();
        if head.0.saturating_sub(kept.0) >= self.every {
            self.state(organization, head).await?;
        }
        Ok(())
    }

    /// The last event that was recorded at this instant or before; 0 before the first. Recorded times grow with the
    /// position, so this looks at few events.
    pub async fn position(&self, organization: &OrganizationId, at: Timestamp) -> Result<Seq, StoreError> {
        let (mut before, mut after) = (Seq(0), Seq(self.log.head(organization).await?.0 + 1));
        while after.0 - before.0 > 1 {
            let middle = Seq(before.0 + (after.0 - before.0) / 2);
            let event = self.log.read(organization, Seq(middle.0 - 1), 1).await?;
            match event.first() {
                Some(event) if event.recorded_at <= at => before = middle,
                Some(_) | None => after = middle,
            }
        }
        Ok(before)
    }

    async fn fold(
        &self,
        organization: &OrganizationId,
        folded: &mut Folded,
        to: Seq,
    ) -> Result<(), StoreError> {
        while folded.present.head() < to {
            let head = folded.present.head();
            let due = folded.kept_at.0 + self.every.max(folded.pays_after);
            let wanted = to.0.min(due).saturating_sub(head.0).clamp(1, BATCH);
            let events = self.log.read(organization, head, wanted as usize).await?;
            if events.is_empty() {
                return Ok(());
            }
            events.iter().try_for_each(|event| folded.apply(event))?;
            if folded.present.head().0 >= due {
                self.keep(organization, folded).await;
            }
        }
        Ok(())
    }

    /// The nearest state to fold from. A cache that cannot be used is none.
    async fn nearest(&self, organization: &OrganizationId, seq: Seq) -> Folded {
        let remembered = self.remembered().nearest(organization, seq);
        let reached = remembered.as_ref().map(|folded| folded.present.head()).unwrap_or_default();
        let mut through = seq;
        while through.0 >= reached.0 + self.every {
            let at = match self.kept.nearest_state(organization, through).await {
                Ok(Some(at)) if at > reached => at,
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%organization, %error, "kept states cannot be read");
                    break;
                }
            };
            match self.believed(organization, at).await {
                Ok(Some(folded)) => return folded,
                Ok(None) => tracing::warn!(%organization, %at, "a kept state is not believed"),
                Err(error) => tracing::warn!(%organization, %at, %error, "a kept state cannot be read"),
            }
            through = Seq(at.0 - 1);
        }
        remembered.unwrap_or_else(|| Folded::start(organization.clone()))
    }

    async fn believed(&self, organization: &OrganizationId, at: Seq) -> Result<Option<Folded>, StoreError> {
        let Some(bytes) = self.kept.kept_state(organization, at).await? else { return Ok(None) };
        let (key, of) = (self.key.clone(), organization.clone());
        let Some(folded) = off_the_calls(move || sealed::open(&key, &of, at, &bytes)).await? else {
            return Ok(None);
        };
        let same = self.event(organization, at).await?.hash == folded.hash;
        Ok(same.then_some(folded))
    }

    /// A state that cannot be kept is folded again another time.
    async fn keep(&self, organization: &OrganizationId, folded: &mut Folded) {
        folded.present.leave_out();
        folded.kept_at = folded.present.head();
        let (key, present, hash) = (self.key.clone(), folded.present.clone(), folded.hash);
        let kept = match off_the_calls(move || sealed::seal(&key, &present, &hash)).await {
            Ok(Ok((json, bytes))) => {
                *folded = Folded::kept(folded.present.clone(), hash, json);
                self.kept.keep_state(organization, folded.present.head(), &bytes).await
            }
            Ok(Err(error)) | Err(error) => Err(error),
        };
        if let Err(error) = kept {
            tracing::warn!(%organization, %error, "a state of the past could not be kept");
        }
        self.remembered().add(folded.clone());
    }

    async fn event(&self, organization: &OrganizationId, seq: Seq) -> Result<Recorded, StoreError> {
        let found = self.log.read(organization, Seq(seq.0.saturating_sub(1)), 1).await?;
        found
            .into_iter()
            .find(|event| event.seq == seq)
            .ok_or_else(|| StoreError::Corrupt { seq, reason: "the event is missing".to_owned() })
    }

    // A panic while the lock is held cannot leave it half changed.
    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A megabyte of JSON keeps a thread busy for some milliseconds, and live calls wait for nobody.
async fn off_the_calls<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| StoreError::Unavailable("packing a state was given up".to_owned()))
}
