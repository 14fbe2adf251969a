//! Puts documents and their checkpoint in place of those that stand there, or neither.

use super::DynamoStore;
use super::append::TRANSACTION_ITEMS;
use super::errors::{Failure, Reason};
use super::items::{self, Item, text};
use super::tables::{SORT, TableName};
use super::transact::unbuilt;
use super::views::{self, Checkpoint};
use crate::storage::StoreError;
use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put, TransactWriteItem};
use domain::organization::Document;
use events::OrganizationId;

/// Items that may be written beside the checkpoint in one transaction.
pub const ITEMS: usize = TRANSACTION_ITEMS - 1;
/// Bytes of them; a transaction holds 4 MB, names and numbers included.
const BYTES: usize = 3 * 1024 * 1024;
/// Why documents were not written.
pub enum Stopped {
    /// The checkpoint is not the one that was read any more, or whether it is cannot be known: read again.
    Overtaken(String),
    Failed(StoreError),
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Stopped::Failed(error)
    }
}

/// One item of the views that is to be written, or to go.
pub enum Write {
    /// With its size in bytes.
    Put(Item, usize),
    Delete(String),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Cancelled(reasons) if reasons.contains(&Reason::Condition) => {
                Stopped::Overtaken("others project the same organization".to_owned())
            }
            Failure::Busy(reason) | Failure::Lost(reason) => Stopped::Overtaken(reason),
            failure @ (Failure::Cancelled(_) | Failure::Refused(_)) => Stopped::Failed(failure.into()),
        }
    }
}

impl DynamoStore {
    /// In one transaction if it holds everything. Else the checkpoint says first that the documents are of no moment,
    /// every transaction holds only as long as it says so in our name, and the last one sets it. Whoever finds it
    /// left behind like that takes it over by folding everything again.
    pub(super) async fn replace(
        &self,
        organization: &OrganizationId,
        read: Option<Checkpoint>,
        next: Checkpoint,
        writes: Vec<Write>,
    ) -> Result<Checkpoint, Stopped> {
        let mut batches = batches(writes);
        let last = batches.pop().unwrap_or_default();
        let mut read = read;
        if !batches.is_empty() {
            let marked = Checkpoint { under_way: true, ..Checkpoint::new(next.head, next.digest) };
            self.transact(vec![self.set(organization, read.as_ref(), &marked)?]).await?;
            for batch in batches {
                let mut items = vec![self.unchanged(organization, &marked)?];
                items.extend(self.writes(organization, batch)?);
                self.transact(items).await?;
            }
            read = Some(marked);
        }
        let mut items = vec![self.set(organization, read.as_ref(), &next)?];
        items.extend(self.writes(organization, last)?);
        self.transact(items).await?;
        Ok(next)
    }

    fn set(
        &self,
        organization: &OrganizationId,
        read: Option<&Checkpoint>,
        next: &Checkpoint,
    ) -> Result<TransactWriteItem, Failure> {
        let put = Put::builder()
            .table_name(self.names.table(TableName::Views))
            .set_item(Some(next.to_item(organization)));
        let put = match read {
            Some(read) => put
                .condition_expression("#revision = :revision")
                .expression_attribute_names("#revision", "revision")
                .expression_attribute_values(":revision", text(&read.revision)),
            None => put
                .condition_expression("attribute_not_exists(#revision)")
                .expression_attribute_names("#revision", "revision"),
        };
        Ok(TransactWriteItem::builder().put(put.build().map_err(unbuilt)?).build())
    }

    fn unchanged(
        &self,
        organization: &OrganizationId,
        read: &Checkpoint,
    ) -> Result<TransactWriteItem, Failure> {
        let check = ConditionCheck::builder()
            .table_name(self.names.table(TableName::Views))
            .set_key(Some(items::key(organization.as_str(), views::CHECKPOINT)))
            .condition_expression("#revision = :revision")
            .expression_attribute_names("#revision", "revision")
            .expression_attribute_values(":revision", text(&read.revision))
            .build()
            .map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    fn writes(
        &self,
        organization: &OrganizationId,
        writes: Vec<Write>,
    ) -> Result<Vec<TransactWriteItem>, Failure> {
        let table = self.names.table(TableName::Views);
        let built = |write| {
            let item = TransactWriteItem::builder();
            Ok(match write {
                Write::Put(body, _) => {
                    let put = Put::builder().table_name(&table).set_item(Some(body));
                    item.put(put.build().map_err(unbuilt)?).build()
                }
                Write::Delete(name) => {
                    let key = items::key(organization.as_str(), &name);
                    let delete = Delete::builder().table_name(&table).set_key(Some(key));
                    item.delete(delete.build().map_err(unbuilt)?).build()
                }
            })
        };
        writes.into_iter().map(built).collect()
    }
}

/// The items of a document.
pub fn puts(organization: &OrganizationId, document: &Document) -> Result<Vec<Write>, StoreError> {
    let sized = |item: Item| {
        let name = items::get_text(&item, SORT)?.len();
        let size = items::get_bytes(&item, "body")?.len() + name;
        Ok(Write::Put(item, size))
    };
    views::to_items(organization, document)?.into_iter().map(sized).collect()
}

/// As many as a transaction holds beside the checkpoint.
fn batches(writes: Vec<Write>) -> Vec<Vec<Write>> {
    let mut batches: Vec<Vec<Write>> = Vec::new();
    let mut bytes = 0;
    for write in writes {
        let size = match &write {
            Write::Put(_, size) => *size,
            Write::Delete(name) => name.len(),
        };
        match batches.last_mut() {
            Some(batch) if batch.len() < ITEMS && bytes + size <= BYTES => {
                bytes += size;
                batch.push(write);
            }
            _ => {
                bytes = size;
                batches.push(vec![write]);
            }
        }
    }
    batches
}
