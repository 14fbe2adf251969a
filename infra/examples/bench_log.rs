//! What the embedded log does on this machine: `cargo run --release -p infra --example bench_log [FOLDER]`.
//!
//! The folder should be on the disk that would be used; without one, a temporary one is.

use events::key::KeyMinted;
use events::scoping::{Blocked, ScopingChanged};
use events::{Actor, ActorKind, Event, IntegrationKind, OrganizationId, Seq, Subject, SubjectKind};
use infra::storage::sqlite::SqliteStore;
use infra::storage::{Commit, EventLog, Expects};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Error = Box<dyn std::error::Error + Send + Sync>;

const SINGLE: usize = 300;
const WRITERS: usize = 64;
const EACH: usize = 30;
const LARGE: usize = 400;
const EVENTS: usize = 100;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let temporary = tempfile::tempdir()?;
    let folder = std::env::args().nth(1);
    let folder = folder.as_deref().map_or(temporary.path(), Path::new);
    let store = SqliteStore::open(folder).await?;
    println!("in {}", folder.display());
    one_by_one(&store).await?;
    many_at_once(&store).await?;
    hundreds(&store).await?;
    replay(&store).await
}

async fn one_by_one(store: &SqliteStore) -> Result<(), Error> {
    let mut took = Vec::with_capacity(SINGLE);
    for at in 0..SINGLE {
        let start = Instant::now();
        store.append(commit("single", &at.to_string(), vec![blocks(at)])).await?;
        took.push(start.elapsed());
    }
    took.sort();
    println!("durable one-event commit: p50 {:?}, p99 {:?}", took[SINGLE / 2], took[SINGLE * 99 / 100]);
    Ok(())
}

async fn many_at_once(store: &Arc<SqliteStore>) -> Result<(), Error> {
    let start = Instant::now();
    let tasks: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for at in 0..EACH {
                    store.append(commit("group", &format!("{writer}/{at}"), vec![blocks(at)])).await?;
                }
                Ok::<_, Error>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    rate("one-event commits, 64 writers, commits", WRITERS * EACH, start.elapsed());
    Ok(())
}

async fn hundreds(store: &SqliteStore) -> Result<(), Error> {
    let events = |at: usize| -> Vec<_> { (0..EVENTS).map(|event| key(at * EVENTS + event)).collect() };
    let start = Instant::now();
    for at in 0..LARGE {
        store.append(commit("large", &at.to_string(), events(at))).await?;
    }
    rate("100 events a commit, each on a new aggregate, events", LARGE * EVENTS, start.elapsed());
    let start = Instant::now();
    for at in 0..LARGE {
        let events = (0..EVENTS).map(|event| blocks(at * EVENTS + event)).collect();
        store.append(commit("stream", &at.to_string(), events)).await?;
    }
    rate("100 events a commit, all on one aggregate, events", LARGE * EVENTS, start.elapsed());
    Ok(())
}

async fn replay(store: &SqliteStore) -> Result<(), Error> {
    for organization in ["group", "large", "stream"] {
        let organization = OrganizationId::from(organization);
        let start = Instant::now();
        let verified = store.verify(&organization).await?;
        if verified.first_bad.is_some() {
            return Err("the log is broken".into());
        }
        let events = usize::try_from(verified.events)?;
        rate(&format!("{organization}: verify, events"), events, start.elapsed());
        let start = Instant::now();
        let read = store.read(&organization, Seq(0), usize::MAX).await?.len();
        rate(&format!("{organization}: read with chain check and decode, events"), read, start.elapsed());
        let start = Instant::now();
        if !store.compare_projections(&organization).await?.equal {
            return Err("the documents are not those of the log".into());
        }
        rate(&format!("{organization}: the same, folded and compared, events"), events, start.elapsed());
    }
    Ok(())
}

fn rate(what: &str, count: usize, took: Duration) {
    println!("{what}/s: {:.0}", count as f64 / took.as_secs_f64());
}

fn commit(organization: &str, command: &str, events: Vec<(Subject, Event)>) -> Commit {
    Commit {
        organization: organization.into(),
        command_id: command.into(),
        actor: Actor { kind: ActorKind::Operator, id: "bench".to_owned() },
        request_id: "req_bench".into(),
        cause: None,
        now: Timestamp::now(),
        expects: Expects::Streams(Vec::new()),
        events,
    }
}

fn blocks(at: usize) -> (Subject, Event) {
    let kind = IntegrationKind::Postgres;
    let blocked =
        Blocked { blocked_tables: BTreeSet::from([format!("table_{at}")]), blocked_columns: BTreeMap::new() };
    (Subject::new(SubjectKind::Scoping, kind), ScopingChanged { kind, blocked }.into())
}

fn key(at: usize) -> (Subject, Event) {
    let minted = KeyMinted {
        key_id: format!("key{at}").into(),
        scopes: vec!["agents:read".to_owned(), "skills:call".to_owned()],
        secret_hash: "00".repeat(32),
        expires_at: None,
    };
    (Subject::new(SubjectKind::Key, &minted.key_id), minted.into())
}
