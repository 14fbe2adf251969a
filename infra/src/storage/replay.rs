//! Reading a log from its rows, the same for every backend: each brings the rows, here they are believed or not.

use super::chain::{Chain, Head, Row, Verifier};
use super::{StoreError, Stored, Verified};
use async_trait::async_trait;
use domain::Organization;
use events::{OrganizationId, Recorded, Seq, Subject, json};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Commits that are in memory at once while a log is folded or verified: at most 64 MB, usually far less.
pub const PAGE: usize = 256;

#[async_trait]
pub trait Rows: Send {
    /// What the log says of its end, apart from its rows.
    async fn head(&mut self, organization: &OrganizationId) -> Result<Head, StoreError>;

    /// Commits whose last event stands after `after`, in order, at most `limit`.
    async fn rows(
        &mut self,
        organization: &OrganizationId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError>;
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
    while found.len() < limit {
        let page = PAGE.min(limit - found.len());
        let rows = log.rows(organization, cursor, page).await?;
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
        if rows.len() < page {
            break;
        }
    }
    found.truncate(limit);
    Ok(found)
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
            let hash = json::chain(organization, link.seq, &link.prev, bytes.as_bytes());
            found.push(Stored { seq: link.seq, prev_hash: link.prev, hash, bytes });
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
        let rows = log.rows(&organization, chain.at().seq, PAGE).await?;
        for row in rows.iter().take_while(|row| row.seq <= to) {
            for event in chain.decode(row)? {
                changed.extend(apply(state, &event)?);
            }
        }
        if rows.len() < PAGE || rows.last().is_some_and(|row| row.seq > to) {
            break;
        }
    }
    Ok((*chain.at(), changed))
}

/// The fold is total over events that decode; should it ever panic, the organization fails closed and the server
/// goes on.
pub fn apply(state: &mut Organization, event: &Recorded) -> Result<Vec<Subject>, StoreError> {
    catch_unwind(AssertUnwindSafe(|| state.apply(event)))
        .map_err(|_| StoreError::Corrupt { seq: event.seq, reason: "the fold panicked".to_owned() })
}

/// The whole chain, from the bytes as stored. Page by page: no snapshot of the log is held meanwhile.
pub async fn verify<R: Rows>(log: &mut R, organization: &OrganizationId) -> Result<Verified, StoreError> {
    let mut verifier = Verifier::new(organization);
    loop {
        let rows = log.rows(organization, verifier.at().seq, PAGE).await?;
        for row in &rows {
            if !verifier.take(row) {
                return Ok(verifier.finish(&log.head(organization).await?));
            }
        }
        if rows.is_empty() {
            // The head is read after the last row, so it is not older than that. When it is further on, either a
            // commit came in between or the end is cut off: one more look at the same place tells.
            let head = log.head(organization).await?;
            let at = verifier.at().seq;
            if head.seq <= at || log.rows(organization, at, 1).await?.is_empty() {
                return Ok(verifier.finish(&head));
            }
        }
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
