//! Whose turn it is: an item that names its holder until an instant, and then may be anybody's.
//!
//! It is put and never deleted by those who take turns, whose roles delete nothing; long after the last turn it
//! expires.

use super::DynamoStore;
use super::errors::unavailable;
use super::items::{self, get_instant, number, text};
use super::tables::SORT;
use crate::storage::StoreError;
use crate::storage::deliveries::Lease;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use domain::limits::WEBHOOK_ATTEMPT_KEPT;
use events::OrganizationId;
use jiff::Timestamp;

const HOLDER: &str = "holder";
const UNTIL: &str = "until";

impl DynamoStore {
    /// See [`crate::storage::deliveries::DeliveryStore::claim`].
    pub(super) async fn claim_turn(
        &self,
        organization: &OrganizationId,
        name: &str,
        lease: &Lease,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let put = self
            .turn(organization, name, lease)
            .condition_expression("attribute_not_exists(#sort) OR #until <= :now OR #holder = :holder")
            .expression_attribute_names("#sort", SORT)
            .expression_attribute_names("#until", UNTIL)
            .expression_attribute_values(":now", number(now.as_microsecond()));
        if put_where_it_holds(put).await? {
            return Ok(None);
        }
        let item = items::get(&self.client, &self.deliveries(), organization.as_str(), name).await?;
        // Forgotten meanwhile, with the subscription: there is nothing to wait for.
        item.as_ref().map_or(Ok(now), |item| get_instant(item, UNTIL)).map(Some)
    }

    pub(super) async fn give_turn_back(
        &self,
        organization: &OrganizationId,
        name: &str,
        holder: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let ended = Lease { holder: holder.to_owned(), until: now };
        let put = self.turn(organization, name, &ended).condition_expression("#holder = :holder");
        put_where_it_holds(put).await.map(|_| ())
    }

    fn turn(&self, organization: &OrganizationId, name: &str, lease: &Lease) -> PutItemFluentBuilder {
        let kept = i64::try_from(WEBHOOK_ATTEMPT_KEPT.as_secs()).unwrap_or(i64::MAX);
        let expires = lease.until.as_second().saturating_add(kept);
        let turn = [
            (HOLDER, text(&lease.holder)),
            (UNTIL, number(lease.until.as_microsecond())),
            ("expires", number(expires)),
        ];
        self.client
            .put_item()
            .table_name(self.deliveries())
            .set_item(Some(items::item(organization.as_str(), name, turn)))
            .expression_attribute_names("#holder", HOLDER)
            .expression_attribute_values(":holder", text(&lease.holder))
    }
}

/// False when its condition does not hold. An attempt whose answer was lost holds for the next one: the holder is the
/// same.
async fn put_where_it_holds(put: PutItemFluentBuilder) -> Result<bool, StoreError> {
    match put.send().await {
        Ok(_) => Ok(true),
        Err(error)
            if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) =>
        {
            Ok(false)
        }
        Err(error) => Err(unavailable(error)),
    }
}
