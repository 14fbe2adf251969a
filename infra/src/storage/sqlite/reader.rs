//! What stands in the log.

use super::schema::unavailable;
use crate::storage::StoreError;
use crate::storage::chain::{Head, Row};
use crate::storage::replay::{self, Rows};
use async_trait::async_trait;
use domain::Organization;
use events::{CommandId, KeyId, OrganizationId, Seq, Subject};
use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use std::collections::BTreeSet;

#[async_trait]
impl Rows for SqliteConnection {
    async fn head(&mut self, organization: &OrganizationId) -> Result<Head, StoreError> {
        let row = sqlx::query("SELECT seq, hash, recorded_at FROM heads WHERE organization = ?")
            .bind(organization.as_str())
            .fetch_optional(self)
            .await
            .map_err(unavailable)?;
        row.map_or(Ok(Head::START), |row| {
            Ok(Head { seq: seq(&row, 0)?, hash: hash(&row, 1)?, recorded_at: instant(&row, 2)? })
        })
    }

    async fn rows_through(
        &mut self,
        organization: &OrganizationId,
        after: Seq,
        through: Seq,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let rows = sqlx::query(
            "SELECT seq, recorded_at, prev_hash, hash, body FROM commits
             WHERE organization = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
        )
        .bind(organization.as_str())
        .bind(after.0 as i64)
        .bind(i64::try_from(through.0).unwrap_or(i64::MAX))
        .bind(limit as i64)
        .fetch_all(self)
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
    Ok(found.map(OrganizationId::from))
}

/// Every organization that has a log, and where it ends.
pub async fn heads(connection: &mut SqliteConnection) -> Result<Vec<(OrganizationId, Seq)>, StoreError> {
    let rows = sqlx::query("SELECT organization, seq FROM heads ORDER BY organization")
        .fetch_all(connection)
        .await
        .map_err(unavailable)?;
    rows.iter()
        .map(|row| {
            Ok((OrganizationId::from(row.try_get::<String, _>(0).map_err(unavailable)?), seq(row, 1)?))
        })
        .collect()
}

/// Folds everything after `state.head` and returns the subjects whose documents that changed.
///
/// # Errors
/// Those of [`replay::fold`].
pub async fn fold(
    connection: &mut SqliteConnection,
    state: &mut Organization,
) -> Result<BTreeSet<Subject>, StoreError> {
    let at = position(connection, &state.id, state.head).await?;
    Ok(replay::fold(connection, state, at, Seq(u64::MAX)).await?.1)
}

/// The end of the commit at `at`, which must be there.
async fn position(
    connection: &mut SqliteConnection,
    organization: &OrganizationId,
    at: Seq,
) -> Result<Head, StoreError> {
    let Some(before) = at.0.checked_sub(1) else { return Ok(Head::START) };
    let rows = connection.rows(organization, Seq(before), 1).await?;
    let row = rows.first().filter(|row| row.seq == at).ok_or_else(|| StoreError::Corrupt {
        seq: at,
        reason: "the commit that was folded last is missing".to_owned(),
    })?;
    Ok(Head { seq: at, hash: row.hash, recorded_at: row.recorded_at })
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
