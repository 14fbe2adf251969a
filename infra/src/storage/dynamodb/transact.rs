//! Transactions that are tried again while others hold an item.

use super::errors::Failure;
use super::{DynamoStore, backoff};
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::TransactWriteItem;
use std::time::Instant;

impl DynamoStore {
    /// All of it or nothing. An answer that was lost is asked for again by the SDK under the same token, so nothing
    /// is done twice; what is still lost then is an error.
    pub(super) async fn transact(&self, items: Vec<TransactWriteItem>) -> Result<(), Failure> {
        let give_up = Instant::now() + self.patience.operation;
        let mut busy = 0;
        loop {
            let wait = backoff(self.patience.backoff, busy);
            let sent =
                self.client.transact_write_items().set_transact_items(Some(items.clone())).send().await;
            match sent.map_err(Failure::of) {
                Ok(_) => return Ok(()),
                Err(Failure::Busy(_)) if Instant::now() + wait < give_up => {
                    tokio::time::sleep(wait).await;
                    busy += 1;
                }
                Err(failure) => return Err(failure),
            }
        }
    }
}

/// A request that lacks a part: a defect of ours.
pub fn unbuilt(error: BuildError) -> Failure {
    Failure::Refused(error.to_string())
}
