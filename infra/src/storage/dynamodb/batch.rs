//! Many writes that need not happen together.

use super::errors::unavailable;
use super::{DynamoStore, backoff};
use crate::storage::StoreError;
use aws_sdk_dynamodb::types::WriteRequest;
use futures_util::future::try_join_all;
use std::collections::HashMap;
use std::time::Instant;

/// Items that DynamoDB takes in one request.
const ITEMS: usize = 25;

impl DynamoStore {
    /// Does all of these, in no order. When it fails, some may have been done.
    pub(super) async fn batch_write(&self, table: &str, all: Vec<WriteRequest>) -> Result<(), StoreError> {
        let batches = all.chunks(ITEMS).map(|batch| self.write_at_once(table, batch.to_vec()));
        try_join_all(batches).await.map(drop)
    }

    async fn write_at_once(&self, table: &str, batch: Vec<WriteRequest>) -> Result<(), StoreError> {
        let mut left = HashMap::from([(table.to_owned(), batch)]);
        let give_up = Instant::now() + self.patience.operation;
        for busy in 0.. {
            let sent = self.client.batch_write_item().set_request_items(Some(left)).send().await;
            // DynamoDB does a part when it is busy, and says which part it left.
            left = sent.map_err(unavailable)?.unprocessed_items.unwrap_or_default();
            let wait = backoff(self.patience.backoff, busy);
            if left.is_empty() {
                break;
            }
            if Instant::now() + wait >= give_up {
                return Err(StoreError::Unavailable("not everything could be written yet".to_owned()));
            }
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }
}
