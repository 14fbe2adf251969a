//! Names of keys. The table has no backup: a name that is erased here is gone.

use super::DynamoStore;
use super::errors::unavailable;
use super::items::{self, Range, get_text, text};
use super::tables::{SORT, TableName};
use crate::storage::StoreError;
use crate::storage::directory::{Directory, KeyNames};
use async_trait::async_trait;
use events::{KeyId, OrganizationId};

const NAME: &str = "name";
/// Before the key's id, and the character behind `#`: what stands between them are all keys.
const KEYS: &str = "key#";
const AFTER_KEYS: &str = "key$";

#[async_trait]
impl Directory for DynamoStore {
    async fn names(&self, organization: &OrganizationId) -> Result<KeyNames, StoreError> {
        let table = self.names.table(TableName::Directory);
        let range = Range { table: &table, partition: organization.as_str(), from: KEYS, to: AFTER_KEYS };
        let named = items::query(&self.client, range, usize::MAX).await?.into_iter().map(|item| {
            let key = get_text(&item, SORT)?.strip_prefix(KEYS).ok_or_else(|| items::damaged(SORT))?;
            Ok((KeyId::from(key), get_text(&item, NAME)?.to_owned()))
        });
        named.collect()
    }

    async fn rename(
        &self,
        organization: &OrganizationId,
        key: &KeyId,
        name: Option<&str>,
    ) -> Result<(), StoreError> {
        let table = self.names.table(TableName::Directory);
        let (organization, sort) = (organization.as_str(), format!("{KEYS}{key}"));
        match name {
            Some(name) => {
                let item = items::item(organization, &sort, [(NAME, text(name))]);
                let put = self.client.put_item().table_name(table).set_item(Some(item)).send().await;
                put.map(drop).map_err(unavailable)
            }
            None => {
                let key = items::key(organization, &sort);
                let deleted = self.client.delete_item().table_name(table).set_key(Some(key)).send().await;
                deleted.map(drop).map_err(unavailable)
            }
        }
    }
}
