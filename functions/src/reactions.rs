//! The one list of functions that something else than a request wakes.

pub mod catch_up;
pub mod deliver;
pub mod discover;
pub mod doubts;
pub mod mint_first;
pub mod project;
pub mod publish;
pub mod records;
pub mod reencrypt;
pub mod retry;
pub mod sweep;
pub mod watch;

use crate::endpoint::Function;
use crate::start::aws::Aws;
use infra::storage::dynamodb::tables::TableName;
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub static ALL: &[&Reaction] = &[
    &project::REACTION,
    &deliver::REACTION,
    &retry::REACTION,
    &publish::REACTION,
    &catch_up::REACTION,
    &doubts::REACTION,
    &sweep::REACTION,
    &reencrypt::REACTION,
    &discover::REACTION,
    &watch::REACTION,
    &mint_first::REACTION,
];

/// Everything that is said of a reaction, in one place.
pub struct Reaction {
    /// The name of its function.
    pub name: &'static str,
    pub summary: &'static str,
    pub woken_by: Trigger,
    pub function: Function,
    pub handle: fn(Woken) -> Handled,
}

/// What wakes a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Changes of organizations' heads: the stream of this table, of its items of this name only, through a pipe into
    /// a FIFO queue with a group for each organization. Answers which messages of a batch are to come again.
    Doorbells {
        table: TableName,
        item: &'static str,
    },
    /// Changes of these kinds to items of a table whose names begin so, at least once and in no order that counts.
    Stream {
        table: TableName,
        items: &'static str,
        changes: &'static [Change],
    },
    Schedule {
        every: Duration,
    },
    /// A person with the cloud's permission to invoke it, and nobody else.
    Operator,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Change {
    Insert,
    Modify,
    Remove,
}

impl Change {
    /// As DynamoDB writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Change::Insert => "INSERT",
            Change::Modify => "MODIFY",
            Change::Remove => "REMOVE",
        }
    }
}

/// An event, and all that a function may react with.
pub struct Woken {
    pub aws: Arc<Aws>,
    pub event: Value,
}

pub type Handled = Pin<Box<dyn Future<Output = Result<Reacted, String>> + Send>>;

/// What a reaction came to. Its error is a sentence for the log, and makes whatever woke it try again.
#[derive(Debug, Default, PartialEq)]
pub struct Reacted {
    pub answer: Value,
    /// Metrics, written whatever is wrong beside.
    pub counts: Vec<(&'static str, u64)>,
    /// Parts that failed while the others were done, a sentence each. Any makes whatever woke it try again.
    pub wrong: Vec<String>,
}
