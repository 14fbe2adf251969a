//! What AWS does between tables and functions, as the list of reactions says and the template wires it: streams are
//! filtered and wake functions, by way of a FIFO queue where doorbells of one organization must not overtake each
//! other. What is on a schedule or an operator's is invoked by tests.

use super::fleet::Fleet;
use super::resources::Resources;
use super::streams::Reader;
use functions::reactions::{self, Change, Trigger};
use infra::storage::dynamodb::tables::{PARTITION, SORT};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use uuid::Uuid;

/// How often a message or a record is delivered before it goes to the queue of what failed.
const DELIVERIES: u32 = 5;
/// Messages that one invocation gets at most.
const BATCH: usize = 10;
/// What failed comes again after this; on AWS later, and nothing depends on it.
const AGAIN: Duration = Duration::from_millis(50);

/// Streams that wake functions, from their start on, until the runtime ends.
pub struct Plumbing {
    failed: Arc<AtomicU64>,
}

impl Plumbing {
    pub async fn start(fleet: Arc<Fleet>, resources: &Resources) -> Self {
        let failed = Arc::<AtomicU64>::default();
        for reaction in reactions::ALL {
            let wired = Wired { name: reaction.name, fleet: fleet.clone(), failed: failed.clone() };
            let reader =
                async |table| Reader::of(resources.dynamodb.clone(), &resources.names.table(table)).await;
            match reaction.woken_by {
                Trigger::Doorbells { table, item } => {
                    tokio::spawn(wired.ring(reader(table).await, item));
                }
                Trigger::Stream { table, items, changes } => {
                    tokio::spawn(wired.feed(reader(table).await, items, changes));
                }
                Trigger::Schedule { .. } | Trigger::Operator => {}
            }
        }
        Self { failed }
    }

    /// Messages and records that no function could handle.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::SeqCst)
    }
}

#[derive(Clone)]
struct Wired {
    name: &'static str,
    fleet: Arc<Fleet>,
    failed: Arc<AtomicU64>,
}

impl Wired {
    /// An event source mapping of a stream: one record for each invocation, several at once.
    async fn feed(self, mut reader: Reader, items: &'static str, changes: &'static [Change]) {
        loop {
            for record in reader.next().await {
                let is_wanted = changes.iter().any(|change| record["eventName"] == change.as_str());
                if is_wanted && item_of(&record).starts_with(items) {
                    tokio::spawn(self.clone().deliver(json!({ "Records": [record] })));
                }
            }
        }
    }

    async fn deliver(self, event: Value) {
        for _ in 0..DELIVERIES {
            if self.fleet.invoke(self.name, &event).await.is_ok() {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
        self.failed.fetch_add(1, Ordering::SeqCst);
    }

    /// A pipe into a FIFO queue. Each organization is a group with a line of its own.
    async fn ring(self, mut reader: Reader, item: &'static str) {
        let mut groups: HashMap<String, mpsc::UnboundedSender<Doorbell>> = HashMap::new();
        let mut seen = HashSet::new();
        loop {
            for doorbell in reader.next().await.iter().filter_map(|record| Doorbell::of(record, item)) {
                // The queue takes a message of a group once in five minutes.
                if !seen.insert((doorbell.organization.clone(), doorbell.seq.clone())) {
                    continue;
                }
                let group = groups.entry(doorbell.organization.clone()).or_insert_with(|| {
                    let (sender, receiver) = mpsc::unbounded_channel();
                    tokio::spawn(self.clone().answer(receiver));
                    sender
                });
                group.send(doorbell).expect("a group lives as long as its queue");
            }
        }
    }

    async fn answer(self, mut group: mpsc::UnboundedReceiver<Doorbell>) {
        let mut rung = Vec::new();
        while group.recv_many(&mut rung, BATCH).await > 0 {
            for _ in 0..DELIVERIES {
                rung = self.failed_of(rung).await;
                if rung.is_empty() {
                    break;
                }
                tokio::time::sleep(AGAIN).await;
            }
            self.failed.fetch_add(rung.len() as u64, Ordering::SeqCst);
            rung.clear();
        }
    }

    /// Those that are to come again.
    async fn failed_of(&self, mut rung: Vec<Doorbell>) -> Vec<Doorbell> {
        match self.fleet.ask(self.name, &batch(&rung)).await {
            Ok(answer) => {
                let failures = answer["batchItemFailures"].as_array().cloned().unwrap_or_default();
                let is_failed =
                    |it: &Doorbell| failures.iter().any(|failure| failure["itemIdentifier"] == it.id);
                rung.retain(is_failed);
                rung
            }
            Err(_) => rung,
        }
    }
}

fn item_of(record: &Value) -> &str {
    record["dynamodb"]["Keys"][SORT]["S"].as_str().unwrap_or_default()
}

/// A message of the queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Doorbell {
    id: String,
    pub organization: String,
    seq: String,
    /// The stream's record, as the pipe passes it on.
    body: String,
}

impl Doorbell {
    /// Of a record of the heads' stream; `None` for what the pipe's filter keeps back.
    pub fn of(record: &Value, item: &str) -> Option<Self> {
        let is_wanted =
            matches!(record["eventName"].as_str(), Some("INSERT" | "MODIFY")) && item_of(record) == item;
        is_wanted.then(|| Self {
            id: Uuid::new_v4().to_string(),
            organization: record["dynamodb"]["Keys"][PARTITION]["S"]
                .as_str()
                .expect("its partition")
                .to_owned(),
            seq: record["dynamodb"]["NewImage"]["seq"]["N"].as_str().expect("a head's position").to_owned(),
            body: record.to_string(),
        })
    }
}

/// The event of a batch, as the queue's event source mapping makes it.
pub fn batch(rung: &[Doorbell]) -> Value {
    let message = |doorbell: &Doorbell| {
        json!({
            "messageId": doorbell.id,
            "receiptHandle": doorbell.id,
            "body": doorbell.body,
            "attributes": {
                "ApproximateReceiveCount": "1",
                "MessageGroupId": doorbell.organization,
                "MessageDeduplicationId": doorbell.seq,
            },
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:doorbells.fifo",
            "awsRegion": "eu-central-1",
        })
    };
    json!({ "Records": rung.iter().map(message).collect::<Vec<_>>() })
}
