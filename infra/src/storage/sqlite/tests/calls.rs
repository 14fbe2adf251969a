use crate::storage::calls::{CallRecord, CallStore, Path, Protocol, Span, id_from};
use crate::storage::conformance::{CallBackend, acme, noon};
use crate::storage::sqlite::SqliteCalls;
use async_trait::async_trait;
use jiff::SignedDuration;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    async fn open(&self) -> Arc<SqliteCalls> {
        SqliteCalls::open(self.0.path()).await.expect("opens")
    }
}

#[async_trait]
impl CallBackend for Folder {
    async fn open_calls(&self) -> Arc<dyn CallStore> {
        self.open().await
    }
}

crate::storage_conformance!(calls: Folder::new());

fn record(agent: &str, day: i64) -> CallRecord {
    let at = noon() + SignedDuration::from_hours(24 * day);
    CallRecord {
        id: format!("{}_x", id_from(at)),
        organization: acme(),
        agent: agent.into(),
        at,
        skill: "skl_1".into(),
        tool: "find".to_owned(),
        version: None,
        protocol: Protocol::Http,
        outcome: "ok".into(),
        code: None,
        rows: 1,
        replayed: false,
        total_us: 1,
        database_us: 1,
        key: "k1".into(),
        request_id: "req_1".into(),
        call_id: None,
        tool_call_id: None,
        lookup: None,
        arguments: Vec::new(),
        doubt: None,
        resolution: None,
    }
}

async fn keep(calls: &SqliteCalls, records: &[CallRecord]) {
    calls.keep_calls(&Arc::new(records.iter().collect()), Duration::ZERO).await.expect("kept");
}

#[tokio::test]
async fn what_is_older_than_its_retention_goes_and_the_rest_stays_for_every_agent() {
    let folder = Folder::new();
    let calls = folder.open().await;
    let records: Vec<CallRecord> =
        ["agt_1", "agt_2"].iter().flat_map(|agent| (0..6).map(|day| record(agent, day))).collect();
    keep(&calls, &records).await;
    let before = noon() + SignedDuration::from_hours(4 * 24);
    assert_eq!(calls.expire(before).await.expect("swept"), 8);
    assert_eq!(calls.expire(before).await.expect("swept"), 0);
    for agent in ["agt_1", "agt_2"] {
        let left = calls.calls(&acme(), &agent.into(), Path::All, Span::default(), 10).await.expect("read");
        assert_eq!(left, [record(agent, 5), record(agent, 4)]);
    }
}

#[tokio::test]
async fn the_file_is_for_its_owner_alone_and_opens_again() {
    let folder = Folder::new();
    keep(&*folder.open().await, &[record("agt_1", 0)]).await;
    for file in ["calls.db", "calls.db-wal"] {
        let mode = std::fs::metadata(folder.0.path().join(file)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let again = folder.open().await;
    let kept = again.calls(&acme(), &"agt_1".into(), Path::All, Span::default(), 10).await.expect("read");
    assert_eq!(kept, [record("agt_1", 0)]);
}
