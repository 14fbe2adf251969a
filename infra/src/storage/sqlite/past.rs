//! States of the past.

use super::schema::unavailable;
use super::{SqliteStore, reader};
use crate::storage::documents::FINGERPRINT;
use crate::storage::{PastStates, StoreError};
use async_trait::async_trait;
use events::{OrganizationId, Seq};

#[async_trait]
impl PastStates for SqliteStore {
    async fn nearest_state(
        &self,
        organization: &OrganizationId,
        through: Seq,
    ) -> Result<Option<Seq>, StoreError> {
        let row = sqlx::query(
            "SELECT seq FROM past WHERE organization = ? AND fingerprint = ? AND seq <= ?
             ORDER BY seq DESC LIMIT 1",
        )
        .bind(organization.as_str())
        .bind(FINGERPRINT)
        .bind(i64::try_from(through.0).unwrap_or(i64::MAX))
        .fetch_optional(&self.readers)
        .await
        .map_err(unavailable)?;
        row.map(|row| reader::seq(&row, 0)).transpose()
    }

    async fn kept_state(
        &self,
        organization: &OrganizationId,
        at: Seq,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        sqlx::query_scalar("SELECT bytes FROM past WHERE organization = ? AND fingerprint = ? AND seq = ?")
            .bind(organization.as_str())
            .bind(FINGERPRINT)
            .bind(at.0 as i64)
            .fetch_optional(&self.readers)
            .await
            .map_err(unavailable)
    }

    async fn keep_state(
        &self,
        organization: &OrganizationId,
        at: Seq,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let (organization, bytes) = (organization.clone(), bytes.to_vec());
        self.writer
            .write(move |connection| {
                Box::pin(async move {
                    sqlx::query("DELETE FROM past WHERE organization = ? AND fingerprint <> ?")
                        .bind(organization.as_str())
                        .bind(FINGERPRINT)
                        .execute(&mut *connection)
                        .await
                        .map_err(unavailable)?;
                    sqlx::query(
                        "INSERT OR REPLACE INTO past (organization, fingerprint, seq, bytes) VALUES (?, ?, ?, ?)",
                    )
                    .bind(organization.as_str())
                    .bind(FINGERPRINT)
                    .bind(at.0 as i64)
                    .bind(bytes)
                    .execute(&mut *connection)
                    .await
                    .map_err(unavailable)?;
                    Ok(())
                })
            })
            .await
    }
}
