use crate::storage::StoreError;
use crate::storage::calls::{CallRecord, CallStore, Path, Span, id_from, sample};
use crate::storage::conformance::{CallBackend, acme, noon};
use crate::storage::sqlite::SqliteCalls;
use async_trait::async_trait;
use events::AgentId;
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
    sample(agent, noon() + SignedDuration::from_hours(24 * day))
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
    assert_eq!(calls.expire(before).await.expect("swept"), 2, "the block of each agent");
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

/// The blocks of all agents, and how many records the largest has.
async fn blocks(calls: &SqliteCalls) -> (i64, i64) {
    sqlx::query_as("SELECT count(*), coalesce(max(len), 0) FROM blocks")
        .fetch_one(&calls.writer)
        .await
        .expect("counted")
}

#[tokio::test]
async fn records_that_come_slowly_stand_in_few_blocks_and_each_is_found() {
    let folder = Folder::new();
    let calls = folder.open().await;
    let looked_up = |at: i64| {
        let arguments = vec![("id".to_owned(), format!("{at:032x}"))];
        let call_id = Some(format!("call \"{at}\""));
        let began = sample("agt_1", noon() + SignedDuration::from_millis(at));
        CallRecord { lookup: Some("id".to_owned()), arguments, call_id, ..began }
    };
    // Each was kept by itself, and those that began later ended earlier.
    let records: Vec<CallRecord> = (0..1500).map(looked_up).collect();
    for record in records.iter().rev() {
        keep(&calls, std::slice::from_ref(record)).await;
    }
    let (count, largest) = blocks(&calls).await;
    assert!(count < 2 * 64 && largest >= 1024, "{count} blocks, of {largest} at most");
    let newest_first: Vec<CallRecord> = records.iter().rev().cloned().collect();
    let agent = AgentId::from("agt_1");
    let read = async |path: Path<'_>, span: Span<'_>, limit: usize| {
        calls.calls(&acme(), &agent, path, span, limit).await.expect("read")
    };
    assert!(read(Path::All, Span::default(), 2000).await == newest_first);
    for at in [0, 63, 64, 1023, 1024, 1499] {
        let record = &records[at];
        let hash = record.lookup_hash().expect("it has one");
        assert_eq!(read(Path::Lookup(hash), Span::default(), 10).await, std::slice::from_ref(record));
        let call = record.call_id.as_deref().expect("it has one");
        assert_eq!(read(Path::Call(call), Span::default(), 10).await, std::slice::from_ref(record));
        assert_eq!(calls.call(&acme(), &agent, &record.id).await.expect("read"), Some(record.clone()));
        let span = Span { from: None, before: Some(&record.id) };
        let before: Vec<CallRecord> = records[..at].iter().rev().take(7).cloned().collect();
        assert!(read(Path::All, span, 7).await == before, "those before {at}");
    }
}

/// Joining opens all that is joined, so it does not wait for many blocks that are large already.
#[tokio::test]
async fn records_that_come_by_the_hundred_are_joined_once_they_fill_a_block() {
    let folder = Folder::new();
    let calls = folder.open().await;
    let began = |at: i64| sample("agt_1", noon() + SignedDuration::from_millis(at));
    let records: Vec<CallRecord> = (0..5000).map(began).collect();
    for some in records.chunks(500) {
        keep(&calls, some).await;
    }
    // The first nine of ten make one of eight and one of one, which waits for others with the tenth.
    assert_eq!(blocks(&calls).await, (3, 4000));
    let kept = calls.calls(&acme(), &"agt_1".into(), Path::All, Span::default(), 6000).await.expect("read");
    assert!(kept.iter().eq(records.iter().rev()));
}

#[tokio::test]
async fn blocks_that_overlap_are_read_in_order_of_their_calls() {
    let folder = Folder::new();
    let calls = folder.open().await;
    let records: Vec<CallRecord> = (0..40).map(|day| record("agt_1", day)).collect();
    // Every fourth in one block, so that all blocks lie over all others.
    for first in 0..4 {
        let some: Vec<CallRecord> = records.iter().skip(first).step_by(4).cloned().collect();
        keep(&calls, &some).await;
    }
    let newest_first: Vec<CallRecord> = records.iter().rev().cloned().collect();
    for limit in [1, 2, 5, 39, 40, 41] {
        let read =
            calls.calls(&acme(), &"agt_1".into(), Path::All, Span::default(), limit).await.expect("read");
        assert!(read == newest_first[..limit.min(40)], "the newest {limit}");
    }
}

#[tokio::test]
async fn a_block_that_is_damaged_is_told_and_hides_no_other() {
    let folder = Folder::new();
    let calls = folder.open().await;
    keep(&calls, &[record("agt_1", 0)]).await;
    keep(&calls, &[record("agt_2", 0)]).await;
    let damage =
        "UPDATE blocks SET records = x'00' WHERE owner = (SELECT owner FROM owners WHERE agent = 'agt_1')";
    sqlx::query(damage).execute(&calls.writer).await.expect("damaged");
    let read = async |agent: &str| calls.calls(&acme(), &agent.into(), Path::All, Span::default(), 10).await;
    assert!(matches!(read("agt_1").await, Err(StoreError::Corrupt { .. })));
    assert_eq!(read("agt_2").await.expect("read"), [record("agt_2", 0)]);

    // Nor does it stop what comes after it, not even where it would be joined with others.
    for day in 1..200 {
        keep(&calls, &[record("agt_1", day)]).await;
    }
    let (count, _) = blocks(&calls).await;
    assert!(count < 100, "{count} blocks");
    let taken_again: i64 =
        sqlx::query_scalar("SELECT count(*) FROM blocks WHERE len < 1024 AND records = x'00'")
            .fetch_one(&calls.writer)
            .await
            .expect("counted");
    assert_eq!(taken_again, 0, "it is not taken out with every batch");
    let later = id_from(noon() + SignedDuration::from_hours(24 * 150));
    let span = Span { from: Some(&later), before: None };
    let newest = calls.calls(&acme(), &"agt_1".into(), Path::All, span, 10).await.expect("read");
    assert_eq!(newest[0], record("agt_1", 199));

    // Nor what is to go.
    let damage = "UPDATE blocks SET records = x'00', last = 'cal_~' WHERE len = 1";
    sqlx::query(damage).execute(&calls.writer).await.expect("damaged");
    let before = noon() + SignedDuration::from_hours(24 * 64);
    calls.expire(before).await.expect("swept");
    let left: Option<String> = sqlx::query_scalar("SELECT min(first) FROM blocks WHERE records <> x'00'")
        .fetch_one(&calls.writer)
        .await
        .expect("read");
    assert!(left.is_some_and(|first| first >= id_from(before)));
}

#[tokio::test]
async fn a_full_disk_costs_nothing_that_was_kept_and_is_over_when_there_is_room() {
    let folder = Folder::new();
    let calls = folder.open().await;
    keep(&calls, &[record("agt_1", 0)]).await;
    // As many pages as there are: the same error as that of a disk without room.
    let pages = async |most: i64| {
        let pragma = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {most}"));
        sqlx::query(pragma).execute(&calls.writer).await.expect("set");
    };
    pages(1).await;
    let noise: Vec<u8> =
        (0..200_000u32).map(|at| b'a' + (at.wrapping_mul(2_654_435_761) >> 27) as u8 % 26).collect();
    let large = CallRecord { tool: String::from_utf8(noise).expect("letters"), ..record("agt_1", 1) };
    let batch = Arc::new([&large].into_iter().collect());
    let refused = calls.keep_calls(&batch, Duration::ZERO).await.expect_err("there is no room");
    assert!(refused.to_string().contains("full"), "{refused}");
    let agent = AgentId::from("agt_1");
    let all = async || calls.calls(&acme(), &agent, Path::All, Span::default(), 10).await.expect("read");
    assert_eq!(all().await, [record("agt_1", 0)]);
    pages(1_000_000).await;
    calls.keep_calls(&batch, Duration::ZERO).await.expect("kept");
    assert_eq!(all().await, [large, record("agt_1", 0)]);
}
