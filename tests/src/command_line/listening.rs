//! Streams that nobody reads.

use super::program::{Server, mint};
use crate::http::Http;
use crate::streaming::Stream;
use events::agent::AgentCreated;
use events::{Actor, ActorKind, OrganizationId, Subject, SubjectKind};
use functions::{clock, random};
use infra::storage::sqlite::SqliteStore;
use infra::storage::{Commit, EventLog, Expects};
use std::path::Path;

const COMMITS: u64 = 40;
const EVENTS: u64 = 50;
const STREAMS: usize = 20;

/// A log of some 8 MB.
async fn fill(folder: &Path) {
    let store = SqliteStore::open(folder).await.expect("a data folder");
    for _ in 0..COMMITS {
        let agents = (0..EVENTS).map(|_| {
            let created = AgentCreated { name: "An agent".to_owned(), description: Some("x".repeat(4_000)) };
            (Subject::new(SubjectKind::Agent, random::agent_id().as_str()), created.into())
        });
        let commit = Commit {
            organization: OrganizationId::from("default"),
            command_id: random::command_id(),
            actor: Actor { kind: ActorKind::Operator, id: "test".to_owned() },
            request_id: random::request_id(),
            cause: None,
            now: clock::now(),
            expects: Expects::Streams(Vec::new()),
            events: agents.collect(),
        };
        store.append(commit).await.expect("appended");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_do_not_read_hold_a_batch_each_and_hold_nobody_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = String::from_utf8(mint(folder.path(), &["--scopes", "all"]).stdout).expect("a key");
    fill(folder.path()).await;
    let server = Server::start(folder.path());
    let http = Http::new(&server.url, key.trim_end());
    // One that reads everything shows what a server needs for that, and what it takes it keeps.
    let last = 1 + COMMITS * EVENTS;
    let mut reader = Stream::open(&http, "", None).await;
    for expected in 1..=last {
        assert_eq!(reader.next().await.expect("an event").id, expected);
    }
    let before = server.resident();
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let mut stream = Stream::open(&http, "", None).await;
        assert_eq!(stream.next().await.expect("the first").id, 1);
        streams.push(stream);
    }
    // Longer than a stream of the whole log takes to be made.
    for _ in 0..30 {
        assert_eq!(http.get("/agents?limit=1").await.status, 200, "others are served meanwhile");
    }
    let grown = server.resident().saturating_sub(before);
    assert!(grown < 80 << 20, "{STREAMS} streams of 8 MB each took {} MB", grown >> 20);
    for stream in &mut streams {
        for expected in 2..=300 {
            assert_eq!(stream.next().await.expect("it goes on").id, expected, "none was left out");
        }
    }
}
