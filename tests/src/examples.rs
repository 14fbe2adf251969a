//! The example subscribers, run as their readers run them.

use crate::built;
use crate::http::Http;
use crate::site::Site;
use serde_json::json;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

/// A subscriber that is cut off again and again.
const SHORT: &[(&str, &str)] = &[("BINDERY_STREAM_ENDS_AFTER_MS", "50")];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

async fn follow(mut command: Command, http: &Http, position: &Path, events: usize) -> Output {
    command.arg(position).arg(events.to_string());
    command.env("BINDERY_URL", &http.url).env("BINDERY_KEY", &http.key);
    let ended = tokio::task::spawn_blocking(move || command.output().expect("it runs"));
    tokio::time::timeout(Duration::from_secs(60), ended).await.expect("it ends").expect("no panic")
}

async fn follows_without_a_gap_or_a_repetition(program: impl Fn() -> Command) {
    let site = Site::start_with(SHORT).await;
    let folder = tempfile::tempdir().expect("a folder");
    let position = folder.path().join("position.txt");
    let http = site.http.clone();
    let writing = tokio::spawn(async move {
        for _ in 0..30 {
            http.post("/agents", json!({ "name": "An agent" })).await.data();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let first = follow(program(), &site.http, &position, 7).await;
    let second = follow(program(), &site.http, &position, 24).await;
    writing.await.expect("written");
    let said = |output: &Output| {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout.clone()).expect("UTF-8")
    };
    let lines = said(&first) + &said(&second);
    let seqs: Vec<&str> = lines.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(seqs, (1..=31).map(|seq| seq.to_string()).collect::<Vec<_>>());

    let nobody = follow(program(), &site.http.with_key("nobody"), &position, 1).await;
    assert!(!nobody.status.success() && String::from_utf8_lossy(&nobody.stderr).contains("401"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_subscriber_in_python_follows_without_a_gap_or_a_repetition() {
    follows_without_a_gap_or_a_repetition(|| {
        let mut python = Command::new("python3");
        python.arg(root().join("examples/subscriber.py"));
        python
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_subscriber_in_rust_follows_without_a_gap_or_a_repetition() {
    follows_without_a_gap_or_a_repetition(|| {
        Command::new(built::program("examples/subscriber", "run: make build-tested (make test does)"))
    })
    .await;
}
