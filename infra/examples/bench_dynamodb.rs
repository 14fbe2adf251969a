//! What the log does on the emulator: `cargo run -p infra --features conformance --example bench_dynamodb`.
//!
//! The emulator answers from memory on loopback, so the figures are those of this code and the SDK; DynamoDB adds its
//! own milliseconds to every round trip.

use aws_sdk_dynamodb::Client;
use infra::emulators;
use infra::storage::EventLog;
use infra::storage::conformance::{acme, append, blocks, commit, fill};
use infra::storage::dynamodb::tables::Names;
use infra::storage::dynamodb::{DynamoStore, create_tables};
use std::time::{Duration, Instant};

const SINGLE: usize = 500;
const LARGE: usize = 200;
const EVENTS: usize = 100;

#[tokio::main]
async fn main() {
    let aws = emulators::sdk_config(&emulators::dynamodb().url).await;
    let names = Names { prefix: "bench".to_owned(), bucket: "bench".to_owned() };
    create_tables(&Client::new(&aws), &names).await;
    let store = DynamoStore::open(&aws, names.clone());

    let mut commits = Vec::with_capacity(SINGLE);
    let mut reads = Vec::with_capacity(SINGLE);
    let mut doorbells = Vec::with_capacity(SINGLE);
    for at in 0..SINGLE {
        let command = commit(&acme(), &format!("{at}"), vec![blocks(&format!("table_{at}"))]);
        commits.push(timed(append(&*store, command)).await);
        reads.push(timed(store.state(&acme())).await);
        doorbells.push(timed(store.project(&acme())).await);
    }
    percentiles("a one-event commit", commits);
    percentiles("a state with its head confirmed", reads);
    percentiles("a doorbell that projects one commit", doorbells);

    let organization = "large".into();
    let start = Instant::now();
    fill(&*store, &organization, &[EVENTS; LARGE]).await;
    rate("appended, 100 a commit", start.elapsed());
    let start = Instant::now();
    assert!(store.verify(&organization).await.expect("verifies").first_bad.is_none());
    rate("verified", start.elapsed());
    let start = Instant::now();
    let cold = DynamoStore::open(&aws, names.clone());
    cold.state(&organization).await.expect("a state");
    rate("folded by a cold process without views", start.elapsed());
    store.project(&organization).await.expect("projects");
    let cold = DynamoStore::open(&aws, names);
    println!("a cold process with views: {:?}", timed(cold.state(&organization)).await);
}

async fn timed<T>(what: impl Future<Output = T>) -> Duration {
    let start = Instant::now();
    what.await;
    start.elapsed()
}

fn percentiles(what: &str, mut took: Vec<Duration>) {
    took.sort();
    println!("{what}: p50 {:?}, p99 {:?}", took[took.len() / 2], took[took.len() * 99 / 100]);
}

fn rate(what: &str, took: Duration) {
    println!("events {what}: {:.0} a second", (LARGE * EVENTS) as f64 / took.as_secs_f64());
}
