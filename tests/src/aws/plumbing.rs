//! What AWS does between tables and functions, as the template wires it: streams are filtered and wake functions, by
//! way of a FIFO queue where doorbells of one organization must not overtake each other.

use super::fleet::Fleet;
use super::resources::Resources;
use super::streams::Reader;
use functions::random;
use infra::storage::dynamodb::tables::{SORT, TableName};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// How often the queue delivers a message before it goes to the queue of dead letters, as in the template.
const RECEIVES: u32 = 5;
/// The queue shows a message again after this; the template's visibility timeout is longer, and nothing depends on it.
const VISIBLE_AGAIN: Duration = Duration::from_millis(50);

/// Everything that is woken, from the start of the streams on.
pub struct Plumbing {
    fleet: Arc<Fleet>,
    /// Messages that no function could handle.
    dead_letters: Arc<AtomicU64>,
}

impl Plumbing {
    pub async fn start(fleet: Arc<Fleet>, resources: &Resources) -> Self {
        let plumbing = Self { fleet, dead_letters: Arc::default() };
        let reader =
            async |table| Reader::of(resources.dynamodb.clone(), &resources.names.table(table)).await;
        tokio::spawn(ring(
            plumbing.fleet.clone(),
            reader(TableName::Heads).await,
            plumbing.dead_letters.clone(),
        ));
        let source = |name, events| Source { name, events, fleet: plumbing.fleet.clone() };
        let discoveries = source(super::deployment::WORKER, &["INSERT"]);
        tokio::spawn(discoveries.feed(reader(TableName::Discoveries).await));
        let tampering = source(super::deployment::ALARM, &["MODIFY", "REMOVE"]);
        tokio::spawn(tampering.feed(reader(TableName::Commits).await));
        plumbing
    }

    pub fn dead_letters(&self) -> u64 {
        self.dead_letters.load(Ordering::SeqCst)
    }
}

/// An event source mapping of a stream, with a filter on the event's name.
struct Source {
    name: &'static str,
    events: &'static [&'static str],
    fleet: Arc<Fleet>,
}

impl Source {
    async fn feed(self, mut reader: Reader) {
        loop {
            for record in reader.next().await {
                if !self.events.iter().any(|event| record["eventName"] == *event) {
                    continue;
                }
                let (fleet, name) = (self.fleet.clone(), self.name);
                tokio::spawn(async move {
                    // Its failures are in its log; a job nobody ended is seen by who waits for it.
                    let _ = fleet.invoke(name, &json!({ "Records": [record] })).await;
                });
            }
        }
    }
}

/// The doorbell that a head's record becomes; `None` for what is no head.
pub fn doorbell(record: &Value) -> Option<Doorbell> {
    let image = &record["dynamodb"]["NewImage"];
    if image[SORT]["S"] != "HEAD" {
        return None;
    }
    let organization = image["organization"]["S"].as_str()?.to_owned();
    let seq = image["seq"]["N"].as_str()?.parse().ok()?;
    Some(Doorbell { organization, seq })
}

#[derive(Clone, Debug, PartialEq)]
pub struct Doorbell {
    pub organization: String,
    pub seq: u64,
}

impl Doorbell {
    /// As the queue hands it to the projector.
    pub fn event(&self) -> Value {
        let id = random::request_id().to_string();
        json!({ "Records": [{
            "messageId": id,
            "receiptHandle": id,
            "body": json!({ "organization": self.organization, "seq": self.seq }).to_string(),
            "attributes": {
                "ApproximateReceiveCount": "1",
                "MessageGroupId": self.organization,
                "MessageDeduplicationId": format!("{}-{}", self.organization, self.seq),
            },
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:doorbells.fifo",
            "awsRegion": "eu-central-1",
        }]})
    }
}

/// From the heads' stream through the queue to the projector. Each organization is a group with a line of its own.
async fn ring(fleet: Arc<Fleet>, mut heads: Reader, dead_letters: Arc<AtomicU64>) {
    let mut groups: HashMap<String, mpsc::UnboundedSender<Doorbell>> = HashMap::new();
    loop {
        for doorbell in heads.next().await.iter().filter_map(doorbell) {
            let group = groups.entry(doorbell.organization.clone()).or_insert_with(|| {
                let (sender, receiver) = mpsc::unbounded_channel();
                tokio::spawn(answer(fleet.clone(), receiver, dead_letters.clone()));
                sender
            });
            group.send(doorbell).expect("a group lives as long as its queue");
        }
    }
}

async fn answer(
    fleet: Arc<Fleet>,
    mut group: mpsc::UnboundedReceiver<Doorbell>,
    dead_letters: Arc<AtomicU64>,
) {
    while let Some(doorbell) = group.recv().await {
        let mut receives = 0;
        while !was_handled(&fleet, &doorbell).await {
            receives += 1;
            if receives == RECEIVES {
                dead_letters.fetch_add(1, Ordering::SeqCst);
                break;
            }
            tokio::time::sleep(VISIBLE_AGAIN).await;
        }
    }
}

async fn was_handled(fleet: &Fleet, doorbell: &Doorbell) -> bool {
    let answer = fleet.ask(super::deployment::PROJECTOR, &doorbell.event()).await;
    answer.is_ok_and(|answer| answer["batchItemFailures"].as_array().is_none_or(Vec::is_empty))
}
