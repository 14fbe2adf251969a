//! Records of a table's stream, as Lambda and EventBridge Pipes deliver them. What is not looked at is not read.

use super::Change;
use infra::storage::dynamodb::tables::{PARTITION, SORT};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A batch as Lambda delivers it.
#[derive(Debug, Deserialize)]
pub struct Batch {
    #[serde(rename = "Records")]
    pub records: Vec<Record>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    pub event_name: Change,
    pub dynamodb: Changed,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Changed {
    keys: Attributes,
}

/// By name; each value is an object with its type as the only member.
type Attributes = BTreeMap<String, Value>;

impl Record {
    /// The item's partition key.
    pub fn organization(&self) -> Option<&str> {
        self.key(PARTITION)
    }

    /// The item's sort key.
    pub fn item(&self) -> Option<&str> {
        self.key(SORT)
    }

    fn key(&self, name: &str) -> Option<&str> {
        self.dynamodb.keys.get(name)?.get("S")?.as_str()
    }
}

/// # Errors
/// A sentence that quotes nothing of the event.
pub fn batch(event: &Value) -> Result<Vec<Record>, String> {
    let batch = Batch::deserialize(event);
    batch.map(|batch| batch.records).map_err(|_| "the event is no batch of a table's stream".to_owned())
}
