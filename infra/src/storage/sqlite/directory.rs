//! Names of keys. One that was changed or erased is gone from the files, not only from the table.

use super::SqliteStore;
use super::credentials::overwrite;
use super::schema::unavailable;
use super::writer::transaction;
use crate::storage::StoreError;
use crate::storage::directory::{Directory, KeyNames};
use async_trait::async_trait;
use events::{KeyId, OrganizationId};
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

#[async_trait]
impl Directory for SqliteStore {
    async fn names(&self, organization: &OrganizationId) -> Result<KeyNames, StoreError> {
        let rows = sqlx::query("SELECT key_id, name FROM names WHERE organization = ?")
            .bind(organization.as_str())
            .fetch_all(&self.readers)
            .await
            .map_err(unavailable)?;
        let named = rows.iter().map(|row| {
            let key: String = row.try_get(0).map_err(unavailable)?;
            Ok((KeyId::from(key), row.try_get(1).map_err(unavailable)?))
        });
        named.collect()
    }

    async fn rename(
        &self,
        organization: &OrganizationId,
        key: &KeyId,
        name: Option<&str>,
    ) -> Result<(), StoreError> {
        let (organization, key, name) = (organization.clone(), key.clone(), name.map(str::to_owned));
        self.writer.alone(move |connection| Box::pin(rename(connection, organization, key, name))).await
    }
}

async fn rename(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    key: KeyId,
    name: Option<String>,
) -> Result<(), StoreError> {
    let erases = name.is_none();
    let replaced = transaction(connection, move |connection| {
        Box::pin(async move {
            let before = sqlx::query("DELETE FROM names WHERE organization = ? AND key_id = ?")
                .bind(organization.as_str())
                .bind(key.as_str())
                .execute(&mut *connection)
                .await
                .map_err(unavailable)?;
            if let Some(name) = name {
                sqlx::query("INSERT INTO names (organization, key_id, name) VALUES (?, ?, ?)")
                    .bind(organization.as_str())
                    .bind(key.as_str())
                    .bind(name)
                    .execute(connection)
                    .await
                    .map_err(unavailable)?;
            }
            Ok(before.rows_affected() > 0)
        })
    })
    .await?;
    // An erasure that was cut off here finds no row the next time, and overwrites all the same.
    if replaced || erases { overwrite(connection).await } else { Ok(()) }
}
