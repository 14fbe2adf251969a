//! Brings the views to the head of the log: pulls from the checkpoint, and writes documents and checkpoint in one
//! transaction that holds only if nobody has written since the checkpoint was read.
//!
//! What wakes it is a doorbell and no more. Rung twice, late, out of order or not at all, it pulls what is there.

use super::memory::Tip;
use super::replace::{ITEMS, Stopped, Write, puts};
use super::views::{self, Checkpoint, Digest};
use super::{DynamoStore, backoff};
use crate::storage::StoreError;
use crate::storage::chain::{Chain, Head};
use crate::storage::documents::{Compared, in_order};
use crate::storage::replay::{self, PAGE, Rows};
use domain::Organization;
use domain::limits::SWEPT_AT_ONCE;
use events::{OrganizationId, Seq, Subject};
use futures_util::{StreamExt, stream};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

/// How often somebody else may have been faster before the doorbell has to ring again.
const ROUNDS: u32 = 5;

/// What one look at an organization's log has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Projected {
    /// Where the views ended before; 0 when they were not to be believed.
    pub from: Seq,
    /// Where they end now.
    pub to: Seq,
    /// Everything was folded again.
    pub rebuilt: bool,
}

impl Projected {
    pub fn behind(&self) -> u64 {
        self.to.0 - self.from.0
    }
}

/// What a sweep found of one organization. That one cannot be projected keeps no other from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    pub organization: OrganizationId,
    pub projected: Result<Projected, StoreError>,
}

impl DynamoStore {
    /// Brings the views of one organization to the head as it is now. Safe to call at any time, from any number of
    /// processes.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the head was not reached: whoever rang must ring again.
    pub async fn project(&self, organization: &OrganizationId) -> Result<Projected, StoreError> {
        let mut reason = String::new();
        for round in 0..ROUNDS {
            match self.project_once(organization).await {
                Ok(projected) => return Ok(projected),
                Err(Stopped::Failed(error)) => return Err(error),
                Err(Stopped::Overtaken(why)) => reason = why,
            }
            tokio::time::sleep(backoff(self.patience.backoff, round)).await;
        }
        Err(StoreError::Unavailable(reason))
    }

    /// Every organization, a few at a time: what a doorbell that was lost has left behind. Costs two small reads for
    /// an organization that is not behind. Those whose turn did not come before `give_up` are unavailable.
    pub async fn sweep(&self, give_up: Instant) -> Result<Vec<Swept>, StoreError> {
        let organizations = self.reader().organizations().await?;
        let sweeps = stream::iter(organizations).map(async |organization| {
            let projected = if Instant::now() < give_up {
                self.project(&organization).await
            } else {
                Err(StoreError::Unavailable("there was no time left".to_owned()))
            };
            Swept { organization, projected }
        });
        Ok(sweeps.buffered(SWEPT_AT_ONCE).collect().await)
    }

    /// Folds the whole log and compares the views with what that gives.
    pub async fn compare_projections(&self, organization: &OrganizationId) -> Result<Compared, StoreError> {
        let stored = self.stored(organization).await?;
        let tip = self.whole(organization).await?;
        let documents = in_order(tip.state.documents());
        let there = stored.tip(organization).map(|tip| tip.head).unwrap_or(Head::START);
        let equal = there == tip.head && stored.documents.as_ref() == Some(&documents);
        Ok(Compared { equal, documents: documents.len(), head: tip.head.seq })
    }

    /// Folds the whole log again and puts that in place of what stands there. Says whether it was the same.
    pub async fn rebuild_projections(&self, organization: &OrganizationId) -> Result<Compared, StoreError> {
        let compared = self.compare_projections(organization).await?;
        let mut reason = String::new();
        for round in 0..ROUNDS {
            match self.rebuild(organization).await {
                Ok(_) => return Ok(compared),
                Err(Stopped::Failed(error)) => return Err(error),
                Err(Stopped::Overtaken(why)) => reason = why,
            }
            tokio::time::sleep(backoff(self.patience.backoff, round)).await;
        }
        Err(StoreError::Unavailable(reason))
    }

    async fn project_once(&self, organization: &OrganizationId) -> Result<Projected, Stopped> {
        // The checkpoint first: HEAD is never behind it then.
        let checkpoint = self.checkpoint(organization).await?;
        let head = self.reader().head(organization).await?;
        if let Some(checkpoint) = checkpoint.as_ref().filter(|it| it.holds() && it.head == head) {
            let to = checkpoint.head.seq;
            return Ok(Projected { from: to, to, rebuilt: false });
        }
        if head.seq == Seq(0) && checkpoint.is_none() {
            return Ok(Projected { from: Seq(0), to: Seq(0), rebuilt: false });
        }
        let believed = self.projected(organization).await?.filter(|(_, tip)| tip.head.seq <= head.seq);
        let Some((checkpoint, tip)) = believed else {
            return self.rebuild(organization).await;
        };
        let from = tip.head.seq;
        match self.pull(checkpoint, tip, head.seq).await {
            Ok(to) if to == head.seq => Ok(Projected { from, to, rebuilt: false }),
            Ok(to) => {
                let reason = format!("the log ends at {to} and its head says {}", head.seq);
                Err(Stopped::Overtaken(reason))
            }
            // The log may well hold; what the views were folded from does not lead to it.
            Err(Stopped::Failed(error @ StoreError::Corrupt { .. })) => {
                tracing::warn!(%organization, %error, "the views do not lead to the log; folding it again");
                self.rebuild(organization).await
            }
            Err(stopped) => Err(stopped),
        }
    }

    /// The views if they are to be believed; for an organization without any, the start of its log.
    async fn projected(
        &self,
        organization: &OrganizationId,
    ) -> Result<Option<(Option<Checkpoint>, Tip)>, StoreError> {
        let stored = self.stored(organization).await?;
        if stored.checkpoint.is_none() && stored.names.is_empty() {
            return Ok(Some((None, Tip::start(organization.clone()))));
        }
        Ok(stored.tip(organization).map(|tip| (stored.checkpoint, tip)))
    }

    /// Commit by commit, with a transaction whenever the documents that changed would not fit one any more.
    async fn pull(&self, mut checkpoint: Option<Checkpoint>, tip: Tip, to: Seq) -> Result<Seq, Stopped> {
        let organization = tip.state.id.clone();
        let mut reader = self.reader();
        let mut chain = Chain::after(&organization, tip.head);
        // What is written, what is folded, and the subjects in which they differ.
        let (mut written, mut folded, mut changed) = (tip.clone(), tip, BTreeSet::new());
        while chain.at().seq < to {
            let rows = reader.rows_through(&organization, chain.at().seq, to, PAGE).await?;
            for row in &rows {
                let mut state = Organization::clone(&folded.state);
                let mut touched = changed.clone();
                for event in chain.decode(row).map_err(StoreError::from)? {
                    touched.extend(replay::apply(&mut state, &event)?);
                }
                if touched.len() > ITEMS && !changed.is_empty() {
                    checkpoint = Some(self.write(checkpoint, &written, &folded, &changed).await?);
                    touched.retain(|subject| state.document(subject) != folded.state.document(subject));
                    written = folded;
                }
                folded = Tip { head: *chain.at(), state: Arc::new(state) };
                changed = touched;
            }
            if rows.len() < PAGE {
                break;
            }
        }
        if folded.head != written.head {
            self.write(checkpoint, &written, &folded, &changed).await?;
        }
        Ok(folded.head.seq)
    }

    /// Writes what differs in these subjects, and the checkpoint.
    async fn write(
        &self,
        checkpoint: Option<Checkpoint>,
        old: &Tip,
        new: &Tip,
        changed: &BTreeSet<Subject>,
    ) -> Result<Checkpoint, Stopped> {
        let mut digest = checkpoint.as_ref().map(|checkpoint| checkpoint.digest).unwrap_or_default();
        let mut writes = Vec::new();
        for subject in changed {
            let (before, after) = (old.state.document(subject), new.state.document(subject));
            if before == after {
                continue;
            }
            before.iter().chain(&after).for_each(|document| digest.toggle(document));
            match after {
                Some(document) => writes.extend(puts(&new.state.id, &document)?),
                None => writes.push(Write::Delete(views::name(subject, 0))),
            }
        }
        let next = Checkpoint::new(new.head, digest);
        self.replace(&new.state.id, checkpoint, next, writes).await
    }

    /// Folds the whole log and writes what the views lack, whatever stands there.
    async fn rebuild(&self, organization: &OrganizationId) -> Result<Projected, Stopped> {
        let stored = self.stored(organization).await?;
        let tip = self.whole(organization).await?;
        let documents = tip.state.documents();
        let mut writes = Vec::new();
        let mut wanted = BTreeSet::new();
        let there = stored.documents.unwrap_or_default();
        for document in &documents {
            let same = there.binary_search_by(|it| it.subject.cmp(&document.subject));
            let puts = puts(organization, document)?;
            wanted.extend((0..puts.len()).map(|part| views::name(&document.subject, part)));
            if same.is_err() || same.is_ok_and(|at| there[at] != *document) {
                writes.extend(puts);
            }
        }
        writes.extend(stored.names.into_iter().filter(|name| !wanted.contains(name)).map(Write::Delete));
        let next = Checkpoint::new(tip.head, Digest::of(&documents));
        self.replace(organization, stored.checkpoint, next, writes).await?;
        Ok(Projected { from: Seq(0), to: tip.head.seq, rebuilt: true })
    }

    async fn whole(&self, organization: &OrganizationId) -> Result<Tip, StoreError> {
        let head = self.reader().head(organization).await?;
        self.fold_to(Tip::start(organization.clone()), head).await
    }
}
