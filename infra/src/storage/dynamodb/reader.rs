//! What stands in the log.

use super::items::{self, Item, Range, get_hash, get_instant, get_number, get_text, number};
use super::tables::{Names, SORT, TableName};
use crate::storage::StoreError;
use crate::storage::chain::{Head, Row};
use crate::storage::replay::Rows;
use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::limits::IDEMPOTENCY_KEPT;
use events::{CommandId, KeyId, OrganizationId, Seq};
use jiff::Timestamp;

pub const HEAD: &str = "HEAD";

/// The partition that lists all organizations. An item is written once in an organization's life, so this partition
/// is never hot, and listing costs no more than there are organizations.
pub const ORGANIZATIONS: &str = "ORGANIZATIONS";
const ORGANIZATION: &str = "O#";

/// Of the one item in a key's partition.
pub const KEY: &str = "KEY";

/// The last of all sort keys that begin with `prefix`.
pub fn last_of(prefix: &str) -> String {
    format!("{prefix}{}", char::MAX)
}

pub fn commit_item(seq: Seq) -> String {
    format!("C#{:020}", seq.0)
}

pub fn command_item(command: &CommandId) -> String {
    format!("K#{command}")
}

pub fn key_partition(key: &KeyId) -> String {
    format!("KEY#{key}")
}

pub fn organization_item(organization: &OrganizationId) -> String {
    format!("{ORGANIZATION}{organization}")
}

/// Where a head stands and what a commit is made of, as attributes.
pub fn head_attributes(head: &Head) -> [(&'static str, AttributeValue); 3] {
    [
        ("seq", number(head.seq.0)),
        ("hash", items::bytes(head.hash)),
        ("recorded_at", number(head.recorded_at.as_microsecond())),
    ]
}

pub fn get_head(item: &Item) -> Result<Head, StoreError> {
    Ok(Head {
        seq: Seq(get_number(item, "seq")?),
        hash: get_hash(item, "hash")?,
        recorded_at: get_instant(item, "recorded_at")?,
    })
}

pub fn row_item(organization: &OrganizationId, row: &Row) -> Item {
    items::item(
        organization.as_str(),
        &commit_item(row.seq),
        [
            ("recorded_at", number(row.recorded_at.as_microsecond())),
            ("prev_hash", items::bytes(row.prev_hash)),
            ("hash", items::bytes(row.hash)),
            ("body", items::bytes(row.body.clone())),
        ],
    )
}

/// Takes the body out of the item: a page of large ones need not be in memory twice.
fn into_row(mut item: Item) -> Result<Row, StoreError> {
    let seq = get_text(&item, SORT)?.strip_prefix("C#").and_then(|digits| digits.parse().ok());
    let body = item.remove("body").and_then(|value| match value {
        AttributeValue::B(body) => Some(body.into_inner()),
        _ => None,
    });
    Ok(Row {
        seq: Seq(seq.ok_or_else(|| items::damaged(SORT))?),
        recorded_at: get_instant(&item, "recorded_at")?,
        prev_hash: get_hash(&item, "prev_hash")?,
        hash: get_hash(&item, "hash")?,
        body: body.ok_or_else(|| items::damaged("body"))?,
    })
}

/// What is remembered of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    pub first: Seq,
    pub last: Seq,
    /// Of its last event.
    pub hash: [u8; 32],
    /// Of its commit, to the second.
    pub recorded_at: Timestamp,
}

/// A command is remembered for a fixed time.
fn remembered_since(item: &Item) -> Result<Timestamp, StoreError> {
    let kept = i64::try_from(IDEMPOTENCY_KEPT.as_secs()).unwrap_or(i64::MAX);
    let expires: i64 = get_number(item, "expires")?;
    Timestamp::from_second(expires.saturating_sub(kept)).map_err(|_| items::damaged("expires"))
}

#[derive(Clone, Debug)]
pub struct Reader {
    client: Client,
    commits: String,
    heads: String,
}

impl Reader {
    pub fn new(client: &Client, names: &Names) -> Self {
        let (commits, heads) = (names.table(TableName::Commits), names.table(TableName::Heads));
        Self { client: client.clone(), commits, heads }
    }

    pub async fn command(
        &self,
        organization: &OrganizationId,
        command: &CommandId,
    ) -> Result<Option<Remembered>, StoreError> {
        let name = command_item(command);
        let found = items::get(&self.client, &self.heads, organization.as_str(), &name).await?;
        let remembered = |item: Item| {
            Ok(Remembered {
                first: Seq(get_number(&item, "first")?),
                last: Seq(get_number(&item, "last")?),
                hash: get_hash(&item, "hash")?,
                recorded_at: remembered_since(&item)?,
            })
        };
        found.map(remembered).transpose()
    }

    pub async fn organization_of_key(&self, key: &KeyId) -> Result<Option<OrganizationId>, StoreError> {
        let found = items::get(&self.client, &self.heads, &key_partition(key), KEY).await?;
        found.map(|item| Ok(OrganizationId::from(get_text(&item, "owner")?))).transpose()
    }

    pub async fn organizations(&self) -> Result<Vec<OrganizationId>, StoreError> {
        let range = Range {
            table: &self.heads,
            partition: ORGANIZATIONS,
            from: ORGANIZATION,
            to: &last_of(ORGANIZATION),
        };
        let items = items::query(&self.client, range, usize::MAX).await?;
        let name = |item: &Item| {
            let name = get_text(item, SORT)?.strip_prefix(ORGANIZATION);
            name.map(OrganizationId::from).ok_or_else(|| items::damaged(SORT))
        };
        items.iter().map(name).collect()
    }
}

#[async_trait]
impl Rows for Reader {
    async fn head(&mut self, organization: &OrganizationId) -> Result<Head, StoreError> {
        let found = items::get(&self.client, &self.heads, organization.as_str(), HEAD).await?;
        found.map_or(Ok(Head::START), |item| get_head(&item))
    }

    async fn rows_through(
        &mut self,
        organization: &OrganizationId,
        after: Seq,
        through: Seq,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        if through <= after {
            // DynamoDB refuses a range whose end is before its beginning.
            return Ok(Vec::new());
        }
        let range = Range {
            table: &self.commits,
            partition: organization.as_str(),
            from: &commit_item(Seq(after.0 + 1)),
            to: &commit_item(through),
        };
        let items = items::query(&self.client, range, limit).await?;
        items.into_iter().map(into_row).collect()
    }
}
