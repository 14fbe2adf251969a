//! What stands in the log.

use super::schema::unavailable;
use crate::storage::StoreError;
use crate::storage::chain::{Chain, Head, Row};
use domain::Organization;
use events::{CommandId, KeyId, OrganizationId, Recorded, Seq, Subject};
use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Commits that are in memory at once while a log is folded or verified: at most 64 MB, usually far less.
pub const PAGE: u32 = 256;

pub async fn head(
    connection: &mut SqliteConnection,
    organization: &OrganizationId,
) -> Result<Head, StoreError> {
    let row = sqlx::query("SELECT seq, hash, recorded_at FROM heads WHERE organization = ?")
        .bind(organization.as_str())
        .fetch_optional(connection)
        .await
        .map_err(unavailable)?;
    row.map_or(Ok(Head::START), |row| {
        Ok(Head { seq: seq(&row, 0)?, hash: hash(&row, 1)?, recorded_at: instant(&row, 2)? })
    })
}

/// Commits whose last event stands after `after`, in order.
pub async fn rows(
    connection: &mut SqliteConnection,
    organization: &OrganizationId,
    after: Seq,
    limit: u32,
) -> Result<Vec<Row>, StoreError> {
    let rows = sqlx::query(
        "SELECT seq, recorded_at, prev_hash, hash, body FROM commits
         WHERE organization = ? AND seq > ? ORDER BY seq LIMIT ?",
    )
    .bind(organization.as_str())
    .bind(after.0 as i64)
    .bind(limit)
    .fetch_all(connection)
    .await
    .map_err(unavailable)?;
    rows.iter()
        .map(|row| {
            Ok(Row {
                seq: seq(row, 0)?,
                recorded_at: instant(row, 1)?,
                prev_hash: hash(row, 2)?,
                hash: hash(row, 3)?,
                body: row.try_get::<Vec<u8>, _>(4).map_err(unavailable)?,
            })
        })
        .collect()
}

/// Events after `after`, at most `limit`.
pub async fn events(
    connection: &mut SqliteConnection,
    organization: &OrganizationId,
    after: Seq,
    limit: usize,
) -> Result<Vec<Recorded>, StoreError> {
    let mut found: Vec<Recorded> = Vec::new();
    let mut chain: Option<Chain<'_>> = None;
    let mut cursor = after;
    while found.len() < limit {
        let page = PAGE.min(u32::try_from(limit - found.len()).unwrap_or(PAGE));
        let rows = rows(connection, organization, cursor, page).await?;
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
        if rows.len() < page as usize {
            break;
        }
    }
    found.truncate(limit);
    Ok(found)
}

/// First and last `seq` of an earlier commit with this command id.
pub async fn command(
    connection: &mut SqliteConnection,
    organization: &OrganizationId,
    command: &CommandId,
) -> Result<Option<(Seq, Seq)>, StoreError> {
    let row =
        sqlx::query("SELECT first_seq, last_seq FROM commands WHERE organization = ? AND command_id = ?")
            .bind(organization.as_str())
            .bind(command.as_str())
            .fetch_optional(connection)
            .await
            .map_err(unavailable)?;
    row.map(|row| Ok((seq(&row, 0)?, seq(&row, 1)?))).transpose()
}

pub async fn organization_of_key(
    connection: &mut SqliteConnection,
    key: &KeyId,
) -> Result<Option<OrganizationId>, StoreError> {
    let found: Option<String> = sqlx::query_scalar("SELECT organization FROM keys WHERE key_id = ?")
        .bind(key.as_str())
        .fetch_optional(connection)
        .await
        .map_err(unavailable)?;
    Ok(found.map(OrganizationId))
}

/// Every organization that has a log, and where it ends.
pub async fn heads(connection: &mut SqliteConnection) -> Result<Vec<(OrganizationId, Seq)>, StoreError> {
    let rows = sqlx::query("SELECT organization, seq FROM heads ORDER BY organization")
        .fetch_all(connection)
        .await
        .map_err(unavailable)?;
    rows.iter().map(|row| Ok((OrganizationId(row.try_get(0).map_err(unavailable)?), seq(row, 1)?))).collect()
}

/// Folds everything after `state.head` and returns the subjects whose documents that changed.
///
/// # Errors
/// [`StoreError::Corrupt`] when the log does not follow what was folded before, or holds what cannot be read: then
/// `state` is of no use.
pub async fn fold(
    connection: &mut SqliteConnection,
    state: &mut Organization,
) -> Result<BTreeSet<Subject>, StoreError> {
    let organization = state.id.clone();
    let mut chain = Chain::after(&organization, position(connection, &organization, state.head).await?);
    let mut changed = BTreeSet::new();
    loop {
        let rows = rows(connection, &organization, chain.at().seq, PAGE).await?;
        for row in &rows {
            for event in chain.decode(row)? {
                changed.extend(apply(state, &event)?);
            }
        }
        if rows.len() < PAGE as usize {
            return Ok(changed);
        }
    }
}

/// The fold is total over events that decode; should it ever panic, the organization fails closed and the server
/// goes on.
pub fn apply(state: &mut Organization, event: &Recorded) -> Result<Vec<Subject>, StoreError> {
    catch_unwind(AssertUnwindSafe(|| state.apply(event)))
        .map_err(|_| StoreError::Corrupt { seq: event.seq, reason: "the fold panicked".to_owned() })
}

/// The end of the commit at `seq`, which must be there.
async fn position(
    connection: &mut SqliteConnection,
    organization: &OrganizationId,
    at: Seq,
) -> Result<Head, StoreError> {
    if at == Seq(0) {
        return Ok(Head::START);
    }
    let row = sqlx::query("SELECT hash, recorded_at FROM commits WHERE organization = ? AND seq = ?")
        .bind(organization.as_str())
        .bind(at.0 as i64)
        .fetch_optional(connection)
        .await
        .map_err(unavailable)?;
    let missing =
        || StoreError::Corrupt { seq: at, reason: "the commit that was folded last is missing".to_owned() };
    let row = row.ok_or_else(missing)?;
    Ok(Head { seq: at, hash: hash(&row, 0)?, recorded_at: instant(&row, 1)? })
}

pub fn seq(row: &SqliteRow, column: usize) -> Result<Seq, StoreError> {
    let value: i64 = row.try_get(column).map_err(unavailable)?;
    u64::try_from(value).map(Seq).map_err(|_| damaged("a position is negative"))
}

fn instant(row: &SqliteRow, column: usize) -> Result<Timestamp, StoreError> {
    let value: i64 = row.try_get(column).map_err(unavailable)?;
    Timestamp::from_microsecond(value).map_err(|_| damaged("a time is out of range"))
}

fn hash(row: &SqliteRow, column: usize) -> Result<[u8; 32], StoreError> {
    let value: &[u8] = row.try_get(column).map_err(unavailable)?;
    value.try_into().map_err(|_| damaged("a hash is not 32 bytes long"))
}

pub fn damaged(reason: &str) -> StoreError {
    StoreError::Corrupt { seq: Seq(0), reason: reason.to_owned() }
}
