//! Sealed credentials. The table has no backup: what is deleted here is gone.

use super::DynamoStore;
use super::errors::unavailable;
use super::items::{self, Filter, Item, Range, bytes, get_bytes, get_text, text};
use super::tables::{PARTITION, SORT, TableName};
use crate::sealing::{SealContext, Sealed};
use crate::storage::{CredentialStore, StoreError};
use async_trait::async_trait;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use events::{IntegrationKind, OrganizationId};

const WRAPPED_KEY: &str = "wrapped_key";
const BODY: &str = "body";
/// The KMS key that a sweeper last wrapped it under; none on a record that no sweeper has seen.
const WRAPPED_UNDER: &str = "wrapped_under";

#[async_trait]
impl CredentialStore for DynamoStore {
    async fn put(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        version: u32,
        sealed: &Sealed,
    ) -> Result<bool, StoreError> {
        let attributes =
            [(WRAPPED_KEY, bytes(sealed.wrapped_key.clone())), (BODY, bytes(sealed.body.clone()))];
        let put = self
            .client
            .put_item()
            .table_name(self.credentials())
            .set_item(Some(items::item(organization.as_str(), &record(kind, version), attributes)))
            .condition_expression("attribute_not_exists(#sort)")
            .expression_attribute_names("#sort", SORT)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match put {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(refused)) if refused.err().is_conditional_check_failed_exception() => {
                // An attempt of this very call, whose answer was lost, may have put it.
                let there = match refused.err() {
                    PutItemError::ConditionalCheckFailedException(refused) => refused.item(),
                    _ => None,
                };
                Ok(there.map(sealed_of).transpose()?.is_some_and(|there| there == *sealed))
            }
            Err(error) => Err(unavailable(error)),
        }
    }

    async fn get(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        version: u32,
    ) -> Result<Option<Sealed>, StoreError> {
        let name = record(kind, version);
        let found = items::get(&self.client, &self.credentials(), organization.as_str(), &name).await?;
        found.as_ref().map(sealed_of).transpose()
    }

    /// When this fails on the way, asking again destroys what is left, and names that.
    async fn shred(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        through: u32,
    ) -> Result<Vec<u32>, StoreError> {
        let table = self.credentials();
        let range = Range {
            table: &table,
            partition: organization.as_str(),
            from: &record(kind, 0),
            to: &record(kind, through),
        };
        let mut destroyed = Vec::new();
        for item in items::query(&self.client, range, usize::MAX).await? {
            let name = get_text(&item, SORT)?;
            let key = items::key(organization.as_str(), name);
            let deleted = self.client.delete_item().table_name(&table).set_key(Some(key)).send().await;
            deleted.map_err(unavailable)?;
            destroyed.push(version_of(name)?);
        }
        Ok(destroyed)
    }
}

/// A record whose data key is not known to be wrapped under the key as it is now.
pub struct Due {
    pub context: SealContext,
    pub wrapped_key: Vec<u8>,
    item: String,
}

impl DynamoStore {
    /// A page of them, of all organizations, and where the next begins.
    pub(super) async fn due_for_reencryption(
        &self,
        under: &str,
        from: Option<Item>,
    ) -> Result<(Vec<Due>, Option<Item>), StoreError> {
        let filter = Filter {
            expression: "attribute_not_exists(#wrapped_under) OR #wrapped_under <> :under",
            names: &[WRAPPED_UNDER],
            values: Item::from([(":under".to_owned(), text(under))]),
        };
        let (found, next) = items::scan(&self.client, &self.credentials(), &filter, from).await?;
        Ok((found.iter().map(due).collect::<Result<_, _>>()?, next))
    }

    /// Puts another wrapped key in the place of the one that was read. False when that one is gone: a record that was
    /// shredded meanwhile stays shredded.
    pub(super) async fn replace_wrapped_key(
        &self,
        due: &Due,
        wrapped_key: Vec<u8>,
        under: &str,
    ) -> Result<bool, StoreError> {
        let replaced = self
            .client
            .update_item()
            .table_name(self.credentials())
            .set_key(Some(items::key(due.context.organization.as_str(), &due.item)))
            .update_expression("SET #wrapped_key = :new, #wrapped_under = :under")
            .condition_expression("#wrapped_key = :old")
            .expression_attribute_names("#wrapped_key", WRAPPED_KEY)
            .expression_attribute_names("#wrapped_under", WRAPPED_UNDER)
            .expression_attribute_values(":new", bytes(wrapped_key))
            .expression_attribute_values(":under", text(under))
            .expression_attribute_values(":old", bytes(due.wrapped_key.clone()))
            .send()
            .await;
        match replaced {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(unavailable(error)),
        }
    }

    fn credentials(&self) -> String {
        self.names.table(TableName::Credentials)
    }
}

/// Ten digits hold every version, so that items stand in the order of versions.
fn record(kind: IntegrationKind, version: u32) -> String {
    format!("{kind}#{version:010}")
}

fn version_of(name: &str) -> Result<u32, StoreError> {
    let version = name.split_once('#').and_then(|(_, digits)| digits.parse().ok());
    version.ok_or_else(|| items::damaged(SORT))
}

fn sealed_of(item: &Item) -> Result<Sealed, StoreError> {
    Ok(Sealed { wrapped_key: get_bytes(item, WRAPPED_KEY)?.to_vec(), body: get_bytes(item, BODY)?.to_vec() })
}

fn due(item: &Item) -> Result<Due, StoreError> {
    let name = get_text(item, SORT)?;
    let kind = name.split_once('#').and_then(|(kind, _)| IntegrationKind::parse(kind));
    let kind = kind.ok_or_else(|| items::damaged(SORT))?;
    let organization = OrganizationId::from(get_text(item, PARTITION)?);
    Ok(Due {
        context: SealContext::credentials(&organization, kind, version_of(name)?),
        wrapped_key: get_bytes(item, WRAPPED_KEY)?.to_vec(),
        item: name.to_owned(),
    })
}
