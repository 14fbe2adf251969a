//! The folded state: confirmed at the head, believed for a while when the log is silent, and loaded cold.

use super::DynamoStore;
use super::memory::{Moment, Tip};
use crate::storage::StoreError;
use crate::storage::chain::Head;
use crate::storage::replay::{self, Rows};
use domain::Organization;
use events::{OrganizationId, Seq};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// While a log is silent, it is not asked again for this long when there is a state in memory that may be served:
/// a caller would hear silence for as long as the log is given to answer.
const SILENCE: Duration = Duration::from_secs(1);

/// How often a log whose end is not a new one is looked at before it is said to be broken.
const LOOKS: u32 = 3;

impl DynamoStore {
    pub(super) async fn state_or_memory(
        &self,
        organization: &OrganizationId,
    ) -> Result<Arc<Organization>, StoreError> {
        let trusted = || self.memory.get_within(organization, self.patience.trusted).map(|tip| tip.state);
        if self.memory.log_silent_within(organization, SILENCE.min(self.patience.fresh))
            && let Some(state) = trusted()
        {
            return Ok(state);
        }
        match self.confirmed(organization).await {
            Ok(tip) => Ok(tip.state),
            Err(error @ StoreError::Unavailable(_)) => {
                self.memory.log_failed(organization);
                let state = trusted().ok_or_else(|| error.clone())?;
                tracing::warn!(%organization, %error, "the head cannot be confirmed; serving what was last known");
                Ok(state)
            }
            Err(error @ StoreError::Corrupt { .. }) => Err(error),
        }
    }

    /// Whether a commit of this time may still be under way: then what is missing of it is looked for again, and is
    /// no damage. Clocks differ, and a log's time may be ahead.
    pub(super) fn is_young(&self, recorded_at: Timestamp) -> bool {
        let age = Timestamp::now().duration_since(recorded_at).unsigned_abs();
        // A command's time is known to the second.
        age < self.patience.operation + Duration::from_secs(1)
    }

    /// From memory when that reaches `seq`; else as of now.
    pub(super) async fn at_least(
        &self,
        organization: &OrganizationId,
        seq: Seq,
    ) -> Result<Arc<Organization>, StoreError> {
        match self.memory.get(organization).filter(|tip| tip.head.seq >= seq) {
            Some(tip) => Ok(tip.state),
            None => Ok(self.confirmed(organization).await?.state),
        }
    }

    /// The state at the log's head as it is now.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the log does not lead from what is known to its head: then nothing is served from
    /// memory either.
    pub(super) async fn confirmed(&self, organization: &OrganizationId) -> Result<Tip, StoreError> {
        let asked = Moment::now();
        let tip = match self.memory.get(organization) {
            Some(known) => self.caught_up(known).await,
            None => self.loaded(organization).await,
        };
        match tip {
            Ok(tip) => {
                self.memory.confirm(&tip, asked);
                Ok(tip)
            }
            Err(error) => {
                if let StoreError::Corrupt { .. } = error {
                    tracing::error!(%organization, %error, "the log cannot be read");
                    self.memory.forget(organization);
                }
                Err(error)
            }
        }
    }

    /// `known` was in memory before HEAD was asked for, so a HEAD that ends before it is a log that was cut.
    async fn caught_up(&self, known: Tip) -> Result<Tip, StoreError> {
        let head = self.reader().head(&known.state.id).await?;
        if head.seq < known.head.seq || (head.seq == known.head.seq && head != known.head) {
            let reason = format!("the log ended at {} before and ends at {} now", known.head.seq, head.seq);
            return Err(StoreError::Corrupt { seq: Seq(head.seq.0 + 1), reason });
        }
        self.fold_to(known, head).await
    }

    /// The two questions are independent, and a cold start waits for the slower one only.
    async fn loaded(&self, organization: &OrganizationId) -> Result<Tip, StoreError> {
        let mut reader = self.reader();
        let (head, viewed) = tokio::try_join!(reader.head(organization), self.viewed(organization))?;
        // The projector may have been faster than the answer of HEAD.
        let ahead = viewed.as_ref().is_some_and(|tip| tip.head.seq > head.seq);
        let head = if ahead { reader.head(organization).await? } else { head };
        if let Some(tip) = viewed.filter(|tip| tip.head == head || tip.head.seq < head.seq) {
            match self.fold_to(tip, head).await {
                Err(error @ StoreError::Corrupt { .. }) => {
                    tracing::warn!(%organization, %error, "the views do not lead to the head; folding the whole log");
                }
                tip => return tip,
            }
        }
        self.fold_to(Tip::start(organization.clone()), head).await
    }

    /// Folds the rows between a tip and HEAD as it was read.
    ///
    /// Not beyond: plain reads see a transaction's items one by one while it is being applied, so a row may be seen
    /// before HEAD says that it is there, and HEAD before the row. So a row that is missing is looked for again.
    pub(super) async fn fold_to(&self, tip: Tip, head: Head) -> Result<Tip, StoreError> {
        if tip.head == head {
            return Ok(tip);
        }
        let is_young = self.is_young(head.recorded_at);
        let give_up = Instant::now() + self.patience.operation;
        let mut looks = 0;
        let (at, state) = loop {
            looks += 1;
            let mut state = Organization::clone(&tip.state);
            let folded = replay::fold(&mut self.reader(), &mut state, tip.head, head.seq).await;
            let error = match folded {
                Ok((at, _)) if at.seq == head.seq => break (at, state),
                Ok((at, _)) => {
                    let reason = format!("the log ends at {} and its head says {}", at.seq, head.seq);
                    StoreError::Corrupt { seq: Seq(at.seq.0 + 1), reason }
                }
                Err(error @ StoreError::Corrupt { .. }) => error,
                Err(error @ StoreError::Unavailable(_)) => return Err(error),
            };
            if looks >= LOOKS && !is_young {
                return Err(error);
            }
            if Instant::now() + self.patience.backoff > give_up {
                return Err(if is_young { StoreError::Unavailable(error.to_string()) } else { error });
            }
            tokio::time::sleep(self.patience.backoff).await;
        };
        if at != head {
            let reason = "the head is not the end of the log's chain".to_owned();
            return Err(StoreError::Corrupt { seq: head.seq, reason });
        }
        Ok(Tip { head, state: Arc::new(state) })
    }
}
