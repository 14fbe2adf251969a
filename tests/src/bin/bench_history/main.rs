//! A long history and what is asked of it, for `scripts/bench_history.sh`.
//!
//! `fill DIR EVENTS` writes two logs of so many events into a data folder, `verify DIR` computes their chains again,
//! `states DIR` folds them, and `ask URL KEY` asks a server about the past of the organization that the key belongs to.

mod asking;
mod history;
mod states;

use asking::Asker;
use events::{Actor, ActorKind, OrganizationId, RequestId};
use futures_util::{StreamExt, stream};
use history::History;
use infra::storage::sqlite::SqliteStore;
use infra::storage::{Commit, EventLog, Expects};
use jiff::{SignedDuration, Timestamp};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Each organization, and the sizes of its commits in turn.
const ORGANIZATIONS: [(&str, &[usize]); 2] = [("ones", &[1]), ("mixed", &[1, 1, 2, 1, 3, 1, 1, 40])];
/// Of a verification.
const ROUNDS: usize = 5;
/// Commits that are under way at once.
const AT_ONCE: usize = 64;
/// Between two commits: 100,000 events are some years.
const PACE: SignedDuration = SignedDuration::from_mins(25);

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["fill", dir, events] => fill(Path::new(dir), events.parse().expect("a number")).await,
        ["verify", dir] => verify(Path::new(dir)).await,
        ["states", dir] => {
            let store = open(Path::new(dir)).await;
            for (organization, _) in ORGANIZATIONS {
                states::measure(&store, &organization.into()).await;
            }
        }
        ["ask", url, key] => Asker::new(url, key).measure().await,
        _ => panic!("fill DIR EVENTS, verify DIR, states DIR, or ask URL KEY"),
    }
}

async fn open(dir: &Path) -> Arc<SqliteStore> {
    SqliteStore::open(dir).await.expect("the data folder opens")
}

async fn fill(dir: &Path, events: usize) {
    let store = open(dir).await;
    for (seed, (organization, sizes)) in (0..).zip(ORGANIZATIONS) {
        let began = Instant::now();
        let organization = OrganizationId::from(organization);
        let mut history = History::new(seed).take(events);
        let mut now: Timestamp = "2021-03-01T08:00:00Z".parse().expect("an instant");
        let commits = sizes.iter().cycle().enumerate().map_while(|(at, size)| {
            let events: Vec<_> = history.by_ref().take(*size).collect();
            now += PACE;
            (!events.is_empty()).then(|| Commit {
                organization: organization.clone(),
                command_id: format!("{at}").as_str().into(),
                actor: Actor { kind: ActorKind::Key, id: "k7Hq2".to_owned() },
                request_id: RequestId::from("req_0197b1c2d3e4f5a6"),
                cause: None,
                now,
                expects: Expects::Streams(Vec::new()),
                events,
            })
        });
        // They are asked for in order, and the store takes them in the order in which they are asked for.
        let mut appended = stream::iter(commits).map(|commit| store.append(commit)).buffered(AT_ONCE);
        while let Some(committed) = appended.next().await {
            committed.expect("it is taken");
        }
        println!("{organization}: {events} events written in {:.1} s", began.elapsed().as_secs_f64());
    }
}

async fn verify(dir: &Path) {
    let store = open(dir).await;
    for (organization, _) in ORGANIZATIONS {
        let mut rates = Vec::new();
        for _ in 0..ROUNDS {
            let began = Instant::now();
            let verified = store.verify(&organization.into()).await.expect("it can be read");
            assert_eq!(verified.first_bad, None);
            rates.push(verified.events as f64 / began.elapsed().as_secs_f64());
        }
        rates.sort_by(f64::total_cmp);
        let (least, middle, most) = (rates[0], rates[ROUNDS / 2], rates[ROUNDS - 1]);
        println!("{organization}: events verified a second: {middle:.0} ({least:.0} to {most:.0})");
    }
}
