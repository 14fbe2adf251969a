//! Sealed credentials. Deleting one means that its bytes are gone from the files, not only from the table.

use super::schema::unavailable;
use super::writer::transaction;
use super::{SqliteStore, reader};
use crate::sealing::Sealed;
use crate::storage::{CredentialStore, StoreError};
use async_trait::async_trait;
use events::{IntegrationKind, OrganizationId};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

#[async_trait]
impl CredentialStore for SqliteStore {
    async fn put(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        version: u32,
        sealed: &Sealed,
    ) -> Result<bool, StoreError> {
        let (organization, sealed) = (organization.clone(), sealed.clone());
        self.writer
            .write(move |connection| {
                Box::pin(async move {
                    let put = sqlx::query(
                        "INSERT OR IGNORE INTO credentials (organization, kind, version, wrapped_key, body)
                         VALUES (?, ?, ?, ?, ?)",
                    )
                    .bind(organization.as_str())
                    .bind(kind.as_str())
                    .bind(version)
                    .bind(sealed.wrapped_key)
                    .bind(sealed.body)
                    .execute(connection)
                    .await
                    .map_err(unavailable)?;
                    Ok(put.rows_affected() == 1)
                })
            })
            .await
    }

    async fn get(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        version: u32,
    ) -> Result<Option<Sealed>, StoreError> {
        let row = sqlx::query(
            "SELECT wrapped_key, body FROM credentials WHERE organization = ? AND kind = ? AND version = ?",
        )
        .bind(organization.as_str())
        .bind(kind.as_str())
        .bind(version)
        .fetch_optional(&self.readers)
        .await
        .map_err(unavailable)?;
        row.map(|row| {
            let wrapped_key = row.try_get(0).map_err(unavailable)?;
            Ok(Sealed { wrapped_key, body: row.try_get(1).map_err(unavailable)? })
        })
        .transpose()
    }

    /// When this fails, the versions are kept in mind: asking again names them again, once their bytes are gone.
    async fn shred(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        through: u32,
    ) -> Result<Vec<u32>, StoreError> {
        let organization = organization.clone();
        self.writer.alone(move |connection| Box::pin(shred(connection, organization, kind, through))).await
    }
}

async fn shred(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    kind: IntegrationKind,
    through: u32,
) -> Result<Vec<u32>, StoreError> {
    let of = organization.clone();
    transaction(connection, move |connection| {
        Box::pin(async move {
            for statement in [
                "INSERT OR IGNORE INTO shreds (organization, kind, version)
                 SELECT organization, kind, version FROM credentials
                 WHERE organization = ?1 AND kind = ?2 AND version <= ?3",
                "DELETE FROM credentials WHERE organization = ?1 AND kind = ?2 AND version <= ?3",
            ] {
                sqlx::query(statement)
                    .bind(of.as_str())
                    .bind(kind.as_str())
                    .bind(through)
                    .execute(&mut *connection)
                    .await
                    .map_err(unavailable)?;
            }
            Ok(())
        })
    })
    .await?;
    overwrite(connection).await?;
    transaction(connection, move |connection| {
        Box::pin(async move {
            let rows =
                sqlx::query("DELETE FROM shreds WHERE organization = ? AND kind = ? RETURNING version")
                    .bind(organization.as_str())
                    .bind(kind.as_str())
                    .fetch_all(connection)
                    .await
                    .map_err(unavailable)?;
            let mut versions = rows.iter().map(version).collect::<Result<Vec<_>, _>>()?;
            versions.sort_unstable();
            Ok(versions)
        })
    })
    .await
}

fn version(row: &SqliteRow) -> Result<u32, StoreError> {
    u32::try_from(reader::seq(row, 0)?.0).map_err(|_| reader::damaged("a credential version is too large"))
}

/// `secure_delete` has put zeros in place of the rows; the checkpoint carries them into the file, and truncating the
/// write-ahead log removes the pages as they were.
pub async fn overwrite(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let row =
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(connection).await.map_err(unavailable)?;
    let busy: i64 = row.try_get(0).map_err(unavailable)?;
    if busy != 0 {
        let reason = "another process reads the file, so deleted bytes cannot be overwritten yet";
        return Err(StoreError::Unavailable(reason.to_owned()));
    }
    Ok(())
}

/// Finishes what a process that died left half done.
pub async fn overwrite_leftovers(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM shreds")
        .fetch_one(&mut *connection)
        .await
        .map_err(unavailable)?;
    if left > 0 { overwrite(connection).await } else { Ok(()) }
}
