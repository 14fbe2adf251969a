//! Answers that a process left running when it died, and those in doubt, found by an index that holds them alone.

use super::{ATTEMPT, BODY, BODY_HASH, MARKS, OWNER, STATE, STATE_DONE, STATE_RUNNING, WRAPPED_KEY, named};
use crate::sealing::Sealed;
use crate::storage::dynamodb::DynamoStore;
use crate::storage::dynamodb::errors::unavailable;
use crate::storage::dynamodb::items::{self, Item, get_bytes, get_text, number, text};
use crate::storage::dynamodb::tables::RUNNING;
use crate::storage::{Abandoned, AnswerSlot, StoreError};
use jiff::{SignedDuration, Timestamp};

/// Partitions of the index: one alone would bear 1,000 writes a second, each live write being two.
const SHARDS: u8 = 16;
/// How many are looked at in one shard at a time: what is settled leaves the index, and the next sweep finds the rest.
const LOOKED_AT: i32 = 250;

/// Keys end in a hash, so they spread.
pub fn shard(key: &str) -> String {
    let sum = key.bytes().fold(0, u8::wrapping_add);
    (sum % SHARDS).to_string()
}

impl DynamoStore {
    /// Those of other processes, begun longer ago than any request runs, by organization and key.
    pub(super) async fn left_running(&self, now: Timestamp) -> Result<Vec<Abandoned>, StoreError> {
        let lease = SignedDuration::try_from(self.lease).unwrap_or(SignedDuration::MAX);
        let begun_before = now.checked_sub(lease).unwrap_or(Timestamp::MIN);
        let mut left = Vec::new();
        for shard in 0..SHARDS {
            for entry in self.begun(shard, begun_before).await? {
                left.extend(self.confirmed_running(&entry).await?);
            }
        }
        left.sort_by(|one, two| {
            (&one.slot.organization, &one.slot.key).cmp(&(&two.slot.organization, &two.slot.key))
        });
        Ok(left)
    }

    /// Entries of the index, oldest first.
    async fn begun(&self, shard: u8, before: Timestamp) -> Result<Vec<Item>, StoreError> {
        let page = self
            .client
            .query()
            .table_name(self.answers())
            .index_name(RUNNING.name)
            .key_condition_expression("#shard = :shard AND #began < :before")
            .expression_attribute_names("#shard", RUNNING.partition)
            .expression_attribute_names("#began", RUNNING.sort)
            .expression_attribute_values(":shard", text(shard.to_string()))
            .expression_attribute_values(":before", number(before.as_microsecond()))
            .limit(LOOKED_AT)
            .send()
            .await
            .map_err(unavailable)?;
        Ok(page.items.unwrap_or_default())
    }

    /// An index is behind its table: what it names may be finished by now.
    async fn confirmed_running(&self, entry: &Item) -> Result<Option<Abandoned>, StoreError> {
        let (organization, key) = named(entry)?;
        let item = items::get(&self.client, &self.answers(), organization.as_str(), key).await?;
        let Some(item) = item else { return Ok(None) };
        let state = get_text(&item, STATE)?;
        if state == STATE_DONE || state == STATE_RUNNING && get_text(&item, OWNER)? == self.process {
            return Ok(None);
        }
        let body_hash = get_text(&item, BODY_HASH)?.to_owned();
        let slot = AnswerSlot { organization, key: key.to_owned(), body_hash };
        // Whoever settles it settles this attempt, and none that takes the slot meanwhile.
        self.attempts.remember(&slot, get_text(&item, ATTEMPT)?);
        let evidence = if item.contains_key(BODY) {
            let wrapped_key = get_bytes(&item, WRAPPED_KEY)?.to_vec();
            Some(Sealed { wrapped_key, body: get_bytes(&item, BODY)?.to_vec() })
        } else if item.contains_key(MARKS) {
            None
        } else {
            // Of a release that did not mark: it may have been committed, and cannot be asked about.
            Some(Sealed { wrapped_key: Vec::new(), body: Vec::new() })
        };
        Ok(Some(Abandoned { slot, evidence }))
    }
}
