//! The whole chain, from the bytes as stored.

use super::reader;
use crate::storage::chain::Verifier;
use crate::storage::{StoreError, Verified};
use events::OrganizationId;
use sqlx::sqlite::SqlitePool;

/// Page by page and without a transaction around it: a long one would keep the write-ahead log from being truncated.
pub async fn verify(readers: &SqlitePool, organization: &OrganizationId) -> Result<Verified, StoreError> {
    let mut verifier = Verifier::new(organization);
    let mut connection = readers.acquire().await.map_err(super::schema::unavailable)?;
    loop {
        let rows = reader::rows(&mut connection, organization, verifier.at().seq, reader::PAGE).await?;
        for row in &rows {
            if !verifier.take(row) {
                let head = reader::head(&mut connection, organization).await?;
                return Ok(verifier.finish(&head));
            }
        }
        if rows.is_empty() {
            // The head is read after the last row, so it is not older than that. When it is further on, either a
            // commit came in between or the end is cut off: one more look at the same place tells.
            let head = reader::head(&mut connection, organization).await?;
            let at = verifier.at().seq;
            if head.seq <= at || reader::rows(&mut connection, organization, at, 1).await?.is_empty() {
                return Ok(verifier.finish(&head));
            }
        }
    }
}
