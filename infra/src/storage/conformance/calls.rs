use super::{CallBackend, acme, noon};
use crate::storage::calls::{
    CallRecord, CallStore, DoubtSlots, Ended, IN_DOUBT, Path, Protocol, Resolution, Span, id_from,
};
use events::{AgentId, OrganizationId};
use jiff::SignedDuration;
use std::sync::Arc;
use std::time::Duration;

const KEPT: Duration = Duration::from_secs(3600);

fn agent() -> AgentId {
    AgentId::from("agt_1")
}

/// The call that began `second` seconds after noon.
fn record(second: i64) -> CallRecord {
    let at = noon() + SignedDuration::from_secs(second);
    CallRecord {
        id: format!("{}_{second}", id_from(at)),
        organization: acme(),
        agent: agent(),
        at,
        skill: "skl_1".into(),
        tool: "find_patient".to_owned(),
        version: Some(3),
        protocol: Protocol::Mcp,
        outcome: "not_found".into(),
        code: Some("no_rows".into()),
        rows: 0,
        replayed: false,
        total_us: 1500,
        database_us: 900,
        key: "k1".into(),
        request_id: "req_1".into(),
        call_id: None,
        tool_call_id: Some("tool \"1\"".to_owned()),
        lookup: None,
        arguments: Vec::new(),
        doubt: None,
        resolution: None,
    }
}

fn looked_up(second: i64, hash: &str) -> CallRecord {
    let arguments = vec![("phone".to_owned(), hash.to_owned()), ("other".to_owned(), "ff".to_owned())];
    CallRecord { lookup: Some("phone".to_owned()), arguments, ..record(second) }
}

fn in_doubt(second: i64) -> CallRecord {
    let slots = DoubtSlots { keys: vec!["call:t:1".to_owned()], body_hash: "b".to_owned() };
    CallRecord { outcome: IN_DOUBT.into(), doubt: Some(slots), ..record(second) }
}

async fn keep(store: &dyn CallStore, records: &[CallRecord]) {
    store.keep_calls(&Arc::new(records.iter().collect()), KEPT).await.expect("kept");
}

async fn all(store: &dyn CallStore, path: Path<'_>, span: Span<'_>, limit: usize) -> Vec<CallRecord> {
    store.calls(&acme(), &agent(), path, span, limit).await.expect("read")
}

fn newest_first(records: &[CallRecord]) -> Vec<CallRecord> {
    records.iter().rev().cloned().collect()
}

pub async fn calls_are_read_newest_first_and_page_by_page<B: CallBackend>(backend: &B) {
    let store = backend.open_calls().await;
    let records: Vec<CallRecord> = (0..10).map(record).collect();
    keep(&*store, &records[5..]).await;
    keep(&*store, &records[..5]).await;
    assert_eq!(all(&*store, Path::All, Span::default(), 100).await, newest_first(&records));
    let mut read = Vec::new();
    let mut before: Option<String> = None;
    loop {
        let span = Span { from: None, before: before.as_deref() };
        let page = all(&*store, Path::All, span, 3).await;
        let Some(last) = page.last() else { break };
        before = Some(last.id.clone());
        assert!(page.len() <= 3);
        read.extend(page);
    }
    assert_eq!(read, newest_first(&records));
    let (from, to) = (id_from(records[2].at), id_from(records[7].at));
    let span = Span { from: Some(&from), before: Some(&to) };
    assert_eq!(
        all(&*store, Path::All, span, 100).await,
        newest_first(&records[2..7]),
        "from is in, to is not"
    );
}

pub async fn each_way_leads_to_its_own_calls<B: CallBackend>(backend: &B) {
    let store = backend.open_calls().await;
    let of_call = |second, call: &str| CallRecord { call_id: Some(call.to_owned()), ..record(second) };
    let records = [
        looked_up(0, "aa"),
        looked_up(1, "bb"),
        of_call(2, "call 1"),
        in_doubt(3),
        looked_up(4, "aa"),
        of_call(5, "call 1#x"),
        in_doubt(6),
    ];
    keep(&*store, &records).await;
    let picked = |at: &[usize]| -> Vec<CallRecord> { at.iter().map(|at| records[*at].clone()).collect() };
    assert_eq!(all(&*store, Path::Lookup("aa"), Span::default(), 10).await, picked(&[4, 0]));
    assert_eq!(all(&*store, Path::Lookup("a"), Span::default(), 10).await, []);
    // The other argument's hash is no way to a call.
    assert_eq!(all(&*store, Path::Lookup("ff"), Span::default(), 10).await, []);
    assert_eq!(all(&*store, Path::Call("call 1"), Span::default(), 10).await, picked(&[2]));
    assert_eq!(all(&*store, Path::InDoubt, Span::default(), 10).await, picked(&[6, 3]));
    let span = Span { from: None, before: Some(&records[4].id) };
    assert_eq!(all(&*store, Path::Lookup("aa"), span, 10).await, picked(&[0]));
}

pub async fn a_call_is_found_by_its_id_and_only_where_it_belongs<B: CallBackend>(backend: &B) {
    let store = backend.open_calls().await;
    let ours = record(0);
    keep(&*store, std::slice::from_ref(&ours)).await;
    assert_eq!(store.call(&acme(), &agent(), &ours.id).await.expect("read"), Some(ours.clone()));
    let strangers = [(OrganizationId::from("other"), agent()), (acme(), AgentId::from("agt_2"))];
    for (organization, agent) in strangers {
        assert_eq!(store.call(&organization, &agent, &ours.id).await.expect("read"), None);
        let list = store.calls(&organization, &agent, Path::All, Span::default(), 10).await;
        assert_eq!(list.expect("read"), []);
    }
    assert_eq!(store.call(&acme(), &agent(), "cal_unknown").await.expect("read"), None);
}

pub async fn a_batch_that_is_kept_again_is_there_once<B: CallBackend>(backend: &B) {
    let store = backend.open_calls().await;
    let records = [looked_up(0, "aa"), record(1)];
    keep(&*store, &records).await;
    keep(&*store, &records).await;
    keep(&*store, &[]).await;
    assert_eq!(all(&*store, Path::All, Span::default(), 10).await, newest_first(&records));
    assert_eq!(all(&*store, Path::Lookup("aa"), Span::default(), 10).await, [records[0].clone()]);
}

pub async fn how_a_doubt_ended_stands_beside_its_call_whichever_came_first<B: CallBackend>(backend: &B) {
    let store = backend.open_calls().await;
    let (early, late, open) = (in_doubt(0), in_doubt(1), in_doubt(2));
    let unknowable = Resolution { result: Ended::Unknowable, at: noon(), by: None, note: None };
    let said = Resolution {
        result: Ended::RolledBack,
        at: noon(),
        by: Some("k7".into()),
        note: Some("no such row".to_owned()),
    };
    let resolve = async |record: &CallRecord, resolution: &Resolution| {
        store.resolve_call(&acme(), &agent(), &record.id, resolution, KEPT).await.expect("kept");
    };
    resolve(&early, &unknowable).await;
    keep(&*store, &[early.clone(), late.clone(), open.clone()]).await;
    resolve(&late, &unknowable).await;
    resolve(&late, &said).await;
    let wanted = [
        open,
        CallRecord { resolution: Some(said), ..late },
        CallRecord { resolution: Some(unknowable), ..early },
    ];
    assert_eq!(all(&*store, Path::InDoubt, Span::default(), 10).await, wanted);
    assert_eq!(wanted.each_ref().map(CallRecord::is_open), [true, false, true]);
    let one = store.call(&acme(), &agent(), &wanted[1].id).await.expect("read");
    assert_eq!(one.as_ref(), Some(&wanted[1]));
}

pub async fn a_thousand_calls_are_kept_in_one_go<B: CallBackend>(backend: &B) {
    let store = backend.open_calls().await;
    let records: Vec<CallRecord> =
        (0..1000).map(|second| looked_up(second, &format!("{second:04x}"))).collect();
    keep(&*store, &records).await;
    assert!(all(&*store, Path::All, Span::default(), 2000).await == newest_first(&records));
}
