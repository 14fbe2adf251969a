//! Keys that were looked up in vain, counted where all processes share the count: an item in the table of answers for
//! each budget, which holds their hashes as a set. So a key counts once, whoever sends it and however often.

use super::DynamoStore;
use super::answers::LOOKS;
use super::errors::unavailable;
use super::items::{self, Item, get_number, number, text};
use super::tables::TableName;
use crate::storage::StoreError;
use crate::storage::misses::{Budget, Missed, Misses, ends};
use async_trait::async_trait;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use jiff::Timestamp;

const KEYS: &str = "keys";
/// The second at which the budget is whole again, and from which on DynamoDB may delete the item.
const EXPIRES: &str = "expires";

#[async_trait]
impl Misses for DynamoStore {
    fn is_any_used_up(&self, now: Timestamp) -> bool {
        self.misses.is_any_used_up(now)
    }

    fn is_used_up(&self, budget: &Budget, now: Timestamp) -> bool {
        self.misses.is_used_up(budget, now)
    }

    async fn count(&self, budget: &Budget, key: u128, now: Timestamp) -> Result<bool, StoreError> {
        // Before the others are told, which may fail or be given up; and they need not be told what is no news.
        if !self.misses.count(budget, key, now) {
            return Ok(false);
        }
        for _ in 0..LOOKS {
            match self.add(budget, key, now).await? {
                Added::Now(missed) => {
                    self.misses.learn(budget, missed, now);
                    return Ok(true);
                }
                Added::NoRoom(missed) if missed.until > now.as_second() => {
                    self.misses.learn(budget, missed, now);
                    return Ok(false);
                }
                Added::NoRoom(over) => {
                    if self.begin_anew(budget, key, &over, now).await? {
                        return Ok(true);
                    }
                }
            }
        }
        Err(StoreError::Unavailable("the count of misses changes too often".to_owned()))
    }
}

enum Added {
    /// With what is counted now.
    Now(Missed),
    /// It is full, or over.
    NoRoom(Missed),
}

impl DynamoStore {
    /// May be sent again: a set holds a key once.
    async fn add(&self, budget: &Budget, key: u128, now: Timestamp) -> Result<Added, StoreError> {
        let added = self
            .client
            .update_item()
            .table_name(self.names.table(TableName::Answers))
            .set_key(Some(items::key(budget.organization.as_str(), &sort_key(budget))))
            .update_expression("SET #expires = if_not_exists(#expires, :expires) ADD #keys :keys")
            .condition_expression(
                "attribute_not_exists(#expires) OR \
                 (#expires > :now AND (contains(#keys, :key) OR size(#keys) < :most))",
            )
            .expression_attribute_names("#expires", EXPIRES)
            .expression_attribute_names("#keys", KEYS)
            .expression_attribute_values(":expires", number(ends(budget, now)))
            .expression_attribute_values(":keys", AttributeValue::Ss(vec![hex(key)]))
            .expression_attribute_values(":key", text(hex(key)))
            .expression_attribute_values(":now", number(now.as_second()))
            .expression_attribute_values(":most", number(budget.most))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match added {
            Ok(added) => return missed(&added.attributes.unwrap_or_default()).map(Added::Now),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                missed(failed.item().ok_or_else(|| items::damaged(KEYS))?).map(Added::NoRoom)
            }
            Some(_) | None => Err(unavailable(error)),
        }
    }

    /// In place of a count that is over. False when somebody else was faster.
    async fn begin_anew(
        &self,
        budget: &Budget,
        key: u128,
        over: &Missed,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let first = [(KEYS, AttributeValue::Ss(vec![hex(key)])), (EXPIRES, number(ends(budget, now)))];
        let put = self
            .client
            .put_item()
            .table_name(self.names.table(TableName::Answers))
            .set_item(Some(items::item(budget.organization.as_str(), &sort_key(budget), first)))
            .condition_expression("attribute_not_exists(#expires) OR #expires = :over")
            .expression_attribute_names("#expires", EXPIRES)
            .expression_attribute_values(":over", number(over.until))
            .send()
            .await;
        match put {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(PutItemError::is_conditional_check_failed_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(unavailable(error)),
        }
    }
}

fn sort_key(budget: &Budget) -> String {
    format!("miss:{}", hex(budget.name))
}

fn hex(hash: u128) -> String {
    format!("{hash:032x}")
}

fn missed(item: &Item) -> Result<Missed, StoreError> {
    let keys = item.get(KEYS).and_then(|keys| keys.as_ss().ok()).ok_or_else(|| items::damaged(KEYS))?;
    let keys = keys.iter().map(|key| u128::from_str_radix(key, 16)).collect::<Result<_, _>>();
    Ok(Missed { keys: keys.map_err(|_| items::damaged(KEYS))?, until: get_number(item, EXPIRES)? })
}
