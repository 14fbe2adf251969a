use super::*;

fn on_scoping(command: &str, seq: u64, table: &str) -> Commit {
    let expects = Expects::Streams(vec![(scoping(), Seq(seq))]);
    Commit { expects, ..commit(&acme(), command, vec![blocks(table)]) }
}

pub async fn a_stream_that_moved_is_named<B: Backend>(backend: &B) {
    let store = backend.open().await;
    append(&*store, on_scoping("one", 0, "a")).await;
    let refused = store.append(on_scoping("two", 0, "b")).await.err();
    assert_eq!(refused, Some(AppendError::StreamMoved { subject: scoping(), actual: Seq(1) }));

    // A stream that is expected and was never written is as wrong as one that moved.
    let missing = key("nobody").0;
    let mut expecting = on_scoping("three", 1, "c");
    expecting.expects = Expects::Streams(vec![(scoping(), Seq(1)), (missing.clone(), Seq(1))]);
    let refused = store.append(expecting).await.err();
    assert_eq!(refused, Some(AppendError::StreamMoved { subject: missing, actual: Seq(0) }));
    assert_eq!(store.head(&acme()).await, Ok(Seq(1)));
}

pub async fn a_head_that_moved_alone_is_no_conflict_for_streams<B: Backend>(backend: &B) {
    let store = backend.open().await;
    append(&*store, on_scoping("one", 0, "a")).await;
    append(&*store, commit(&acme(), "elsewhere", vec![key("a"), key("b")])).await;
    let committed = append(&*store, on_scoping("two", 1, "b")).await;
    assert_eq!(seqs(&committed.events), [4]);
    let refused = store.append(on_scoping("three", 1, "c")).await.err();
    assert_eq!(refused, Some(AppendError::StreamMoved { subject: scoping(), actual: Seq(4) }));
}

pub async fn a_decision_on_everything_is_refused_when_anything_happened<B: Backend>(backend: &B) {
    let store = backend.open().await;
    let on_head = |command: &str, seq: u64, id: &str| {
        let expects = Expects::Head(Seq(seq));
        Commit { expects, ..commit(&acme(), command, vec![key(id)]) }
    };
    append(&*store, on_head("one", 0, "a")).await;
    append(&*store, commit(&acme(), "elsewhere", vec![agent("x", "X")])).await;
    let refused = store.append(on_head("two", 1, "b")).await.err();
    assert_eq!(refused, Some(AppendError::HeadMoved { actual: Seq(2) }));
    let refused = store.append(on_head("future", 3, "b")).await.err();
    assert_eq!(refused, Some(AppendError::HeadMoved { actual: Seq(2) }));
    append(&*store, on_head("two", 2, "b")).await;
}

const WRITERS: usize = 8;
const APPENDS: usize = 25;

pub async fn a_storm_of_writers_on_one_stream_loses_and_doubles_nothing<B: Backend>(backend: &B) {
    // Two handles: conflicts inside of one process and between two.
    let stores = [backend.open().await, backend.open().await];
    let tasks: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = stores[writer % stores.len()].clone();
            tokio::spawn(async move {
                let mut conflicts = 0;
                for at in 0..APPENDS {
                    let mut seen = store.state(&acme()).await.expect("a state").version(&scoping()).0;
                    loop {
                        let command = on_scoping(&format!("{writer}/{at}"), seen, &format!("{writer}_{at}"));
                        match store.append(command).await {
                            Ok(committed) => {
                                assert!(!committed.replayed);
                                break;
                            }
                            Err(AppendError::StreamMoved { actual, .. }) => {
                                seen = actual.0;
                                conflicts += 1;
                            }
                            Err(other) => panic!("{other}"),
                        }
                    }
                }
                conflicts
            })
        })
        .collect();
    let mut conflicts = 0;
    for task in tasks {
        conflicts += task.await.expect("ends");
    }
    assert!(conflicts > 0, "a storm without a conflict proves nothing");
    assert_all_there(&*stores[0]).await;
}

pub async fn a_storm_of_writers_on_their_own_streams_never_conflicts<B: Backend>(backend: &B) {
    let store = backend.open().await;
    let tasks: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for at in 0..APPENDS {
                    let (subject, event) = key(&format!("{writer}_{at}"));
                    let expects = Expects::Streams(vec![(subject.clone(), Seq(0))]);
                    let command = commit(&acme(), &format!("{writer}/{at}"), vec![(subject, event)]);
                    append(&*store, Commit { expects, ..command }).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("ends");
    }
    assert_all_there(&*store).await;
}

async fn assert_all_there(store: &dyn EventLog) {
    let events = store.read(&acme(), Seq(0), usize::MAX).await.expect("reads");
    assert_eq!(seqs(&events), (1..=(WRITERS * APPENDS) as u64).collect::<Vec<_>>());
    let data = events.iter().map(|event| serde_json::to_string(&event.event).expect("JSON"));
    assert_eq!(data.collect::<BTreeSet<_>>().len(), WRITERS * APPENDS, "every append is there once");
    let verified = store.verify(&acme()).await.expect("verifies");
    assert_eq!((verified.events, verified.first_bad), ((WRITERS * APPENDS) as u64, None));
}
