//! Reads a table's stream as a Pipe or an event source mapping does.

use super::wire::Wire;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a reader waits when there was nothing new.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A reader of a stream's one shard: emulators have no more.
pub struct Reader {
    wire: Wire,
    iterator: String,
}

impl Reader {
    /// From the stream's start.
    pub async fn of(wire: Wire, table: &str) -> Self {
        let target = |operation: &str| format!("DynamoDBStreams_20120810.{operation}");
        let streams = wire.call(&target("ListStreams"), json!({ "TableName": table })).await;
        let stream = streams["Streams"][0]["StreamArn"].clone();
        assert!(stream.is_string(), "{table} has no stream");
        let described = wire.call(&target("DescribeStream"), json!({ "StreamArn": stream })).await;
        let shards = described["StreamDescription"]["Shards"].as_array().expect("shards");
        assert_eq!(shards.len(), 1, "{table}");
        let start = json!({
            "StreamArn": stream, "ShardId": shards[0]["ShardId"], "ShardIteratorType": "TRIM_HORIZON",
        });
        let iterator = wire.call(&target("GetShardIterator"), start).await;
        let iterator = iterator["ShardIterator"].as_str().expect("an iterator").to_owned();
        Self { wire, iterator }
    }

    /// The records that came since the last time; none when there are none.
    pub async fn read(&mut self) -> Vec<Value> {
        let request = json!({ "ShardIterator": self.iterator });
        let mut page = self.wire.call("DynamoDBStreams_20120810.GetRecords", request).await;
        self.iterator = page["NextShardIterator"].as_str().expect("the stream is open").to_owned();
        page["Records"].as_array_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The next records, at least one.
    pub async fn next(&mut self) -> Vec<Value> {
        loop {
            let records = self.read().await;
            if !records.is_empty() {
                return records;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}
