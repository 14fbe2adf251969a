//! A process that is killed while it appends loses nothing that it has acknowledged.

use super::*;
use crate::storage::conformance::{acme, append, commit, key};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const FOLDER: &str = "BINDERY_TEST_KILLED_FOLDER";

/// `make prove` sets the variable.
fn rounds() -> usize {
    if std::env::var_os("BINDERY_PROVE").is_some() { 500 } else { 100 }
}

/// What the child does: appends until it is killed, and says so after every answer.
async fn append_until_killed(folder: &Path) {
    let store = SqliteStore::open(folder).await.expect("opens");
    let start = store.head(&acme()).await.expect("a head").0;
    for at in start.. {
        // Two at once, so that they may share a transaction.
        let one = append(&*store, commit(&acme(), &format!("{at} a"), vec![key(&format!("a{at}"))]));
        let two = append(
            &*store,
            commit(&acme(), &format!("{at} b"), vec![key(&format!("b{at}")), key(&format!("c{at}"))]),
        );
        let (one, two) = tokio::join!(one, two);
        for committed in [one, two] {
            let last = committed.events.last().expect("an event");
            println!("\nacknowledged {} {}", last.seq, last.id);
        }
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9_in_a_loop() {
    // The child is this same test in another process.
    if let Some(folder) = std::env::var_os(FOLDER) {
        return append_until_killed(Path::new(&folder)).await;
    }
    let backend = Sqlite::new();
    let mut acknowledged = 0;
    for round in 0..rounds() {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args([
                "--exact",
                "storage::sqlite::tests::kill::what_was_acknowledged_survives_kill_9_in_a_loop",
                "--nocapture",
            ])
            .env(FOLDER, backend.0.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let take = |lines: &mut dyn Iterator<Item = std::io::Result<String>>, at_most: usize| {
            let told = lines.map_while(Result::ok);
            let told = told.filter_map(|line| line.strip_prefix("acknowledged ").map(str::to_owned));
            told.take(at_most).collect::<Vec<_>>()
        };
        // Killed at another place each time, in the middle of whatever it does then. What it said before it died
        // counts as well.
        let mut told = take(&mut lines, 1 + round % 5);
        child.kill().expect("kills");
        told.extend(take(&mut lines, usize::MAX));
        child.wait().expect("ends");
        assert!(!told.is_empty(), "it died before it was killed");

        let store = backend.open().await;
        let verified = store.verify(&acme()).await.expect("verifies");
        assert_eq!(verified.first_bad, None);
        for line in &told {
            let (seq, id) = line.split_once(' ').expect("a position and an id");
            let seq: u64 = seq.parse().expect("a position");
            let event = store.read(&acme(), Seq(seq - 1), 1).await.expect("reads").remove(0);
            assert_eq!((event.seq.0, event.id.as_str()), (seq, id), "round {round}");
            acknowledged = acknowledged.max(seq);
        }
        assert!(verified.head.0 >= acknowledged);
        assert!(store.compare_projections(&acme()).await.expect("compares").equal, "round {round}");
    }
    assert!(acknowledged as usize > rounds(), "every round appended something");
}
