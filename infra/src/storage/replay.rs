//! Reading a log from its rows, the same for every backend: each brings the rows, here they are believed or not.

use super::chain::{Chain, Head, Row, Verifier};
use super::{StoreError, Stored, Verified};
use async_trait::async_trait;
use domain::Organization;
use events::{OrganizationId, Recorded, Seq, Subject};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Commits that are in memory at once while a log is folded or verified: at most 64 MB, usually far less.
pub const PAGE: usize = 256;

#[async_trait]
pub trait Rows: Send {
    /// What the log says of its end, apart from its rows.
    async fn head(&mut self, organization: &OrganizationId) -> Result<Head, StoreError>;

    /// Commits whose last event stands after `after` and not after `through`, in order, at most `limit`.
    async fn rows_through(
        &mut self,
        organization: &OrganizationId,
        after: Seq,
        through: Seq,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError>;

    /// The same up to the end of the log.
    async fn rows(
        &mut self,
        organization: &OrganizationId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.rows_through(organization, after, Seq(u64::MAX), limit).await
    }
}

/// Events after `after`, at most `limit`.
pub async fn events<R: Rows>(
    log: &mut R,
    organization: &OrganizationId,
    after: Seq,
    limit: usize,
) -> Result<Vec<Recorded>, StoreError> {
    let mut found: Vec<Recorded> = Vec::new();
    let mut chain: Option<Chain<'_>> = None;
    let mut cursor = after;
    let through = Seq(after.0.saturating_add(limit as u64));
    loop {
        // Commits of a hundred events that nobody asked for are not read: those that end within the limit, and then
        // the one that only begins there.
        let mut rows = log.rows_through(organization, cursor, through, PAGE).await?;
        let is_last = rows.len() < PAGE;
        let reached = rows.last().map_or(cursor, |row| row.seq);
        if is_last && reached < through {
            rows.extend(log.rows(organization, reached, 1).await?);
        }
        for row in &rows {
            let mut at = match chain.take() {
                Some(chain) => chain,
                None => Chain::before(organization, row)?,
            };
            if cursor == after && found.is_empty() && at.at().seq > after {
                let reason = "the events before it are missing".to_owned();
                return Err(StoreError::Corrupt { seq: Seq(after.0 + 1), reason });
            }
            let events = at.decode(row)?;
            found.extend(events.into_iter().filter(|event| event.seq > after));
            cursor = row.seq;
            chain = Some(at);
        }
        if is_last {
            found.truncate(limit);
            return Ok(found);
        }
    }
}

/// The bytes of the events after `after`, of at most `commits` commits; they follow each other.
pub async fn stored<R: Rows>(
    log: &mut R,
    organization: &OrganizationId,
    after: Seq,
    commits: usize,
) -> Result<Vec<Stored>, StoreError> {
    let mut found = Vec::new();
    let mut chain: Option<Chain<'_>> = None;
    for row in log.rows(organization, after, commits).await? {
        let mut at = match chain.take() {
            Some(chain) => chain,
            None => Chain::before(organization, &row)?,
        };
        for link in at.follow(&row)? {
            let bytes = link.bytes.get().to_owned();
            found.push(Stored { seq: link.seq, prev_hash: link.prev, hash: link.hash, bytes });
        }
        chain = Some(at);
    }
    found.retain(|event| event.seq > after);
    Ok(found)
}

/// Folds everything after `at`, which is where `state` ends, up to and including `to`. Returns where the rows ended
/// and the subjects whose documents changed.
///
/// # Errors
/// [`StoreError::Corrupt`] when the log does not follow what was folded before, or holds what cannot be read: then
/// `state` is of no use.
pub async fn fold<R: Rows>(
    log: &mut R,
    state: &mut Organization,
    at: Head,
    to: Seq,
) -> Result<(Head, BTreeSet<Subject>), StoreError> {
    let organization = state.id.clone();
    let mut chain = Chain::after(&organization, at);
    let mut changed = BTreeSet::new();
    while chain.at().seq < to {
        let rows = log.rows_through(&organization, chain.at().seq, to, PAGE).await?;
        for row in &rows {
            for event in chain.decode(row)? {
                changed.extend(apply(state, &event)?);
            }
        }
        if rows.len() < PAGE {
            break;
        }
    }
    Ok((*chain.at(), changed))
}

pub fn apply(state: &mut Organization, event: &Recorded) -> Result<Vec<Subject>, StoreError> {
    caught(event.seq, || state.apply(event))
}

/// The fold is total over events that decode; should it ever panic, the organization fails closed and the server
/// goes on.
pub fn caught<T>(seq: Seq, fold: impl FnOnce() -> T) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(fold))
        .map_err(|_| StoreError::Corrupt { seq, reason: "the fold panicked".to_owned() })
}

/// The whole chain, from the bytes as stored. Page by page: no snapshot of the log is held meanwhile. While one page is
/// hashed on a thread of its own the next one is read.
pub async fn verify<R: Rows>(log: &mut R, organization: &OrganizationId) -> Result<Verified, StoreError> {
    let mut verifier = Verifier::new(organization);
    let mut rows = log.rows(organization, Seq(0), PAGE).await?;
    loop {
        let Some(last) = rows.last().map(|row| row.seq) else {
            // The head is read after the last row, so it is not older than that. When it is further on, either a
            // commit came in between or the end is cut off: one more look at the same place tells.
            let head = log.head(organization).await?;
            let at = verifier.at().seq;
            if head.seq > at {
                rows = log.rows(organization, at, PAGE).await?;
            }
            if rows.is_empty() {
                return Ok(verifier.finish(&head));
            }
            continue;
        };
        let hashed = tokio::task::spawn_blocking(move || {
            let holds = verifier.take(&rows);
            (verifier, holds)
        });
        let (hashed, next) = tokio::join!(hashed, log.rows(organization, last, PAGE));
        let holds;
        (verifier, holds) =
            hashed.map_err(|_| StoreError::Unavailable("verifying was given up".to_owned()))?;
        if !holds {
            return Ok(verifier.finish(&log.head(organization).await?));
        }
        rows = next?;
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
