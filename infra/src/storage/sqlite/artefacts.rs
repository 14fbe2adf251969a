//! Content-addressed bytes.

use super::schema::unavailable;
use super::{SqliteStore, reader};
use crate::storage::{Artefacts, StoreError};
use async_trait::async_trait;
use events::OrganizationId;
use sha2::{Digest, Sha256};

#[async_trait]
impl Artefacts for SqliteStore {
    async fn put(&self, organization: &OrganizationId, bytes: &[u8]) -> Result<String, StoreError> {
        let address = hex::encode(Sha256::digest(bytes));
        let (organization, bytes, answer) = (organization.clone(), bytes.to_vec(), address.clone());
        self.writer
            .write(move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "INSERT OR IGNORE INTO artefacts (organization, address, bytes) VALUES (?, ?, ?)",
                    )
                    .bind(organization.as_str())
                    .bind(address)
                    .bind(bytes)
                    .execute(connection)
                    .await
                    .map_err(unavailable)?;
                    Ok(())
                })
            })
            .await?;
        Ok(answer)
    }

    async fn get(&self, organization: &OrganizationId, address: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let bytes: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT bytes FROM artefacts WHERE organization = ? AND address = ?")
                .bind(organization.as_str())
                .bind(address)
                .fetch_optional(&self.readers)
                .await
                .map_err(unavailable)?;
        match bytes {
            Some(bytes) if hex::encode(Sha256::digest(&bytes)) != address => {
                Err(reader::damaged(&format!("the bytes at {address} do not give their address")))
            }
            Some(_) | None => Ok(bytes),
        }
    }
}
