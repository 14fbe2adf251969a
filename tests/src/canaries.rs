//! No secret is ever where it does not belong: every one that a customer hands over or is handed, and every value of
//! a call, looked for in everything that the server says, logs and stores.

#[cfg(feature = "aws")]
mod lambda;
mod log;
mod needles;
mod scenario;
mod telemetry;

use crate::engines::engine;
use crate::site::Site;
use events::{IntegrationKind, OrganizationId};
use infra::storage::CredentialStore;
use needles::{Canary, ENCODINGS, Needles};
use scenario::Scenario;
use std::path::Path;

/// The files of the data folder, with their bytes.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).expect("the data folder");
    let files = entries.map(|entry| {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, std::fs::read(&path).expect("a readable file"))
    });
    files.collect()
}

fn assert_clean(needles: &Needles, sink: &str, bytes: &[u8]) {
    let found = needles.found_in(bytes);
    assert!(found.is_empty(), "{sink} holds {found:?}");
}

/// What the server said, but for what it shows on purpose.
fn assert_clean_answers(scenario: &Scenario, needles: &Needles) {
    assert!(scenario.canaries.len() >= 20, "{} secrets", scenario.canaries.len());
    assert!(ENCODINGS.len() >= 8);
    let answers = scenario.seen.lock().expect("not poisoned").clone();
    for (at, answer) in answers.iter().enumerate() {
        let what =
            format!("answer {at} to {} {}", answer.method, answer.path.split('?').next().unwrap_or(""));
        let found = needles.found_in(answer.text.as_bytes());
        let stray: Vec<_> = found.iter().filter(|(name, _)| !scenario.may_show(name, at)).collect();
        assert!(stray.is_empty(), "the body of {what} holds {stray:?}");
        assert_clean(needles, &format!("a header of {what}"), format!("{:?}", answer.headers).as_bytes());
    }
    let shown = |name: &str| {
        let allowed = answers.iter().enumerate().filter(|(at, _)| scenario.may_show(name, *at));
        allowed
            .filter(|(_, answer)| needles.found_in(answer.text.as_bytes()).iter().any(|it| it.0 == name))
            .count()
    };
    for name in ["generated password", "minted key", "successor key", "value of a row"] {
        assert!(shown(name) >= 1, "the scenario must show the {name} once");
    }
    for name in ["generated password", "minted key", "successor key"] {
        assert_eq!(shown(name), 1, "{name}");
    }
}

async fn secrets_stay_where_they_belong(kind: IntegrationKind) {
    log::capture();
    let site = Site::start().await;
    let master = std::fs::read_to_string(site.folder.path().join("bindery.key")).expect("the master key");
    let master = master.lines().nth(1).expect("its second line").trim_end_matches('=');
    let known = vec![Canary::of("the master key", master)];
    let scenario = Scenario::play(&site.http, known, engine(kind)).await;
    let needles = Needles::of(&scenario.canaries);

    assert_clean_answers(&scenario, &needles);
    for event in scenario.events(&site.http).await {
        assert_clean(&needles, "an event", event.to_string().as_bytes());
    }
    let answers = scenario.seen.lock().expect("not poisoned").clone();
    let written = log::written();
    let request = answers.last().and_then(|answer| answer.header("x-request-id")).expect("an id");
    assert!(String::from_utf8_lossy(&written).contains(request), "the log is captured");
    assert_clean(&needles, "the log", &written);

    let organization = OrganizationId::from("default");
    let version = scenario.credential_version;
    let sealed = site.embedded.store.get(&organization, kind, version).await.expect("it can be read");
    let sealed = sealed.expect("the credentials are sealed");
    let stored = files(site.folder.path());
    assert!(stored.iter().any(|(_, bytes)| holds(bytes, &sealed.body)), "and in a file");
    for name in ["bindery.db", "bindery.db-wal", "bindery.key", "calls.db", "calls.db-wal"] {
        assert!(
            stored.iter().any(|(known, _)| known == name),
            "{name} was looked at: {stored:?}",
            stored = stored.len()
        );
    }
    assert!(stored.iter().any(|(_, bytes)| holds(bytes, b"Front desk")), "what is no secret is found");
    for (name, bytes) in &stored {
        assert_clean_file(&needles, name, bytes);
    }
    let records = site.kept_calls().await;
    assert!(holds(&records, b"\"outcome\":\"ok\""), "records of calls are there");
    assert_clean_file(&needles, "calls.db, unpacked,", &records);

    site.http.delete(&format!("/integrations/{kind}")).await.data();
    for version in 1..=version {
        let left = site.embedded.store.get(&organization, kind, version).await.expect("it can be read");
        assert!(left.is_none(), "version {version} of the credentials is gone");
    }
    for (name, bytes) in files(site.folder.path()) {
        assert!(!holds(&bytes, &sealed.body), "{name} still holds the sealed credentials");
        assert!(!holds(&bytes, &sealed.wrapped_key), "{name} still holds their wrapped key");
        assert_clean_file(&needles, &name, &bytes);
    }
}

/// What is found where it does not belong. The master key has a file of its own, and records of calls are found by the
/// platform's ids.
fn assert_clean_file(needles: &Needles, name: &str, bytes: &[u8]) {
    let mut found = needles.found_in(bytes);
    found.retain(|(canary, _)| match *canary {
        "the master key" => name != "bindery.key",
        "call id" | "tool call id" => !name.starts_with("calls"),
        _ => true,
    });
    assert!(found.is_empty(), "{name} holds {found:?}");
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    let first = part[0];
    let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == first);
    starts.map(|(at, _)| at).any(|at| bytes[at..].starts_with(part))
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_stay_where_they_belong_on_postgres() {
    secrets_stay_where_they_belong(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_stay_where_they_belong_on_mariadb() {
    secrets_stay_where_they_belong(IntegrationKind::Mysql).await;
}
