//! Items and their attributes, and the one reader of many.

use super::errors::unavailable;
use super::tables::{PARTITION, SORT};
use crate::storage::StoreError;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use events::Seq;
use jiff::Timestamp;
use std::collections::HashMap;

pub type Item = HashMap<String, AttributeValue>;

pub fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub fn bytes(value: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

/// The two attributes that name an item.
pub fn key(partition: &str, sort: &str) -> Item {
    Item::from([(PARTITION.to_owned(), text(partition)), (SORT.to_owned(), text(sort))])
}

/// An item with these attributes besides.
pub fn item<const N: usize>(partition: &str, sort: &str, attributes: [(&str, AttributeValue); N]) -> Item {
    let mut item = key(partition, sort);
    item.extend(attributes.map(|(name, value)| (name.to_owned(), value)));
    item
}

pub fn get_text<'i>(item: &'i Item, name: &str) -> Result<&'i str, StoreError> {
    item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str).ok_or_else(|| damaged(name))
}

pub fn get_bytes<'i>(item: &'i Item, name: &str) -> Result<&'i [u8], StoreError> {
    item.get(name).and_then(|value| value.as_b().ok()).map(Blob::as_ref).ok_or_else(|| damaged(name))
}

pub fn get_number<T: std::str::FromStr>(item: &Item, name: &str) -> Result<T, StoreError> {
    let digits = item.get(name).and_then(|value| value.as_n().ok());
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| damaged(name))
}

pub fn get_hash(item: &Item, name: &str) -> Result<[u8; 32], StoreError> {
    get_bytes(item, name)?.try_into().map_err(|_| damaged(name))
}

/// Kept as microseconds.
pub fn get_instant(item: &Item, name: &str) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(get_number(item, name)?).map_err(|_| damaged(name))
}

/// An item without an attribute that it must have, or with one of another kind.
pub fn damaged(name: &str) -> StoreError {
    StoreError::Corrupt { seq: Seq(0), reason: format!("an item's {name:?} is missing or of another kind") }
}

/// One item as it is now, every acknowledged write included.
pub async fn get(
    client: &Client,
    table: &str,
    partition: &str,
    sort: &str,
) -> Result<Option<Item>, StoreError> {
    let found = client
        .get_item()
        .table_name(table)
        .set_key(Some(key(partition, sort)))
        .consistent_read(true)
        .send()
        .await
        .map_err(unavailable)?;
    Ok(found.item)
}

/// Items of one partition, by their sort key.
#[derive(Clone, Copy, Debug)]
pub struct Range<'r> {
    pub table: &'r str,
    pub partition: &'r str,
    /// First and last sort key, both included.
    pub from: &'r str,
    pub to: &'r str,
}

/// Which end of a range comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Forward,
    Backward,
}

/// The items of a range as they are now, in order and at most `limit`.
pub async fn query(client: &Client, range: Range<'_>, limit: usize) -> Result<Vec<Item>, StoreError> {
    query_in(Order::Forward, client, range, limit).await
}

/// This is the one function that pages: DynamoDB answers with at most 1 MB at once, and whoever forgets that decides
/// on part of the truth.
pub async fn query_in(
    order: Order,
    client: &Client,
    range: Range<'_>,
    limit: usize,
) -> Result<Vec<Item>, StoreError> {
    let mut found: Vec<Item> = Vec::new();
    let mut next: Option<Item> = None;
    while found.len() < limit {
        // The request's own limit is on what is looked at, which here is what is found.
        let left = i32::try_from(limit - found.len()).ok();
        let page = client
            .query()
            .table_name(range.table)
            .key_condition_expression("#partition = :partition AND #sort BETWEEN :from AND :to")
            .expression_attribute_names("#partition", PARTITION)
            .expression_attribute_names("#sort", SORT)
            .expression_attribute_values(":partition", text(range.partition))
            .expression_attribute_values(":from", text(range.from))
            .expression_attribute_values(":to", text(range.to))
            .consistent_read(true)
            .scan_index_forward(order == Order::Forward)
            .set_limit(left)
            .set_exclusive_start_key(next)
            .send()
            .await
            .map_err(unavailable)?;
        found.extend(page.items.unwrap_or_default());
        next = page.last_evaluated_key;
        if next.is_none() {
            break;
        }
    }
    Ok(found)
}

/// What a scan looks for, written as DynamoDB writes it.
#[derive(Clone, Debug)]
pub struct Filter {
    pub expression: &'static str,
    /// Of each `#name` in it.
    pub names: &'static [&'static str],
    pub values: Item,
}

/// One page of a whole table in no order, and where the next begins. Every page that is looked at is paid for, found
/// or not: for sweepers, never for requests.
pub async fn scan(
    client: &Client,
    table: &str,
    filter: &Filter,
    from: Option<Item>,
) -> Result<(Vec<Item>, Option<Item>), StoreError> {
    let mut scan = client
        .scan()
        .table_name(table)
        .filter_expression(filter.expression)
        .set_expression_attribute_values(Some(filter.values.clone()))
        .consistent_read(true)
        .set_exclusive_start_key(from);
    for name in filter.names {
        scan = scan.expression_attribute_names(format!("#{name}"), *name);
    }
    let page = scan.send().await.map_err(unavailable)?;
    Ok((page.items.unwrap_or_default(), page.last_evaluated_key))
}
