//! Keys that were looked up in vain. One process serves a data folder, so its memory is all there is to know.

use super::SqliteStore;
use crate::storage::StoreError;
use crate::storage::misses::{Budget, Misses};
use async_trait::async_trait;
use jiff::Timestamp;

#[async_trait]
impl Misses for SqliteStore {
    fn is_any_used_up(&self, now: Timestamp) -> bool {
        self.misses.is_any_used_up(now)
    }

    fn is_used_up(&self, budget: &Budget, now: Timestamp) -> bool {
        self.misses.is_used_up(budget, now)
    }

    async fn count(&self, budget: &Budget, key: u128, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.misses.count(budget, key, now))
    }
}
