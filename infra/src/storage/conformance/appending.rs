use super::*;
use crate::storage::StoreError;
use std::time::{Duration, Instant};

pub async fn events_get_gapless_positions_and_follow_each_other<B: Backend>(backend: &B) {
    let store = backend.open().await;
    append(&*store, commit(&acme(), "one", vec![key("a"), key("b"), agent("x", "X")])).await;
    append(&*store, commit(&acme(), "two", vec![key("c"), key("d")])).await;

    let events = store.read(&acme(), Seq(0), 100).await.expect("reads");
    assert_eq!(seqs(&events), [1, 2, 3, 4, 5]);
    assert_eq!(events[0].prev_hash, [0; 32]);
    for pair in events.windows(2) {
        assert_eq!(pair[1].prev_hash, pair[0].hash);
        assert_ne!(pair[1].hash, pair[0].hash);
        assert_ne!(pair[1].id, pair[0].id);
    }
    assert_eq!(store.head(&acme()).await, Ok(Seq(5)));
}

pub async fn time_moves_on_even_when_the_clock_stands_still_or_goes_back<B: Backend>(backend: &B) {
    let store = backend.open().await;
    let offsets = [0, 0, -3600, 1, 0];
    for (at, seconds) in offsets.into_iter().enumerate() {
        let mut commit =
            commit(&acme(), &format!("{at}"), vec![key(&format!("a{at}")), key(&format!("b{at}"))]);
        commit.now = noon() + jiff::SignedDuration::from_secs(seconds);
        append(&*store, commit).await;
    }
    let events = store.read(&acme(), Seq(0), 100).await.expect("reads");
    assert_eq!(events[0].recorded_at, noon());
    for pair in events.windows(2) {
        assert!(pair[0].recorded_at < pair[1].recorded_at);
    }
    let micros = |at: usize| events[at].recorded_at.as_microsecond() - noon().as_microsecond();
    assert_eq!([micros(1), micros(5), micros(6), micros(9)], [1, 5, 1_000_000, 1_000_003]);
}

pub async fn a_commit_holds_one_to_a_hundred_events<B: Backend>(backend: &B) {
    let store = backend.open().await;
    let agents = |count: usize| (0..count).map(|at| agent(&format!("a{at}"), "A")).collect::<Vec<_>>();
    for count in [0, 101] {
        let refused = store.append(commit(&acme(), &format!("{count}"), agents(count))).await.err();
        assert!(
            matches!(refused, Some(AppendError::BadSize { events, .. }) if events == count),
            "{count}: {refused:?}"
        );
    }
    assert_eq!(append(&*store, commit(&acme(), "100", agents(100))).await.events.len(), 100);
    assert_eq!(store.head(&acme()).await, Ok(Seq(100)));
}

pub async fn a_commit_holds_at_most_256_kb<B: Backend>(backend: &B) {
    let store = backend.open().await;
    let refused =
        store.append(commit(&acme(), "large", vec![agent("x", &"n".repeat(256 * 1024))])).await.err();
    assert!(
        matches!(refused, Some(AppendError::BadSize { events: 1, bytes }) if bytes > 256 * 1024),
        "{refused:?}"
    );
    append(&*store, commit(&acme(), "fits", vec![agent("x", &"n".repeat(255 * 1024))])).await;
    assert_eq!(store.head(&acme()).await, Ok(Seq(1)));
    assert!(store.verify(&acme()).await.expect("verifies").first_bad.is_none());
}

pub async fn the_same_command_is_answered_with_what_is_stored<B: Backend>(backend: &B) {
    let store = backend.open().await;
    append(&*store, commit(&acme(), "before", vec![key("a"), key("b")])).await;
    let first = append(&*store, commit(&acme(), "same", vec![key("c"), agent("x", "X")])).await;
    assert!(!first.replayed);
    append(&*store, commit(&acme(), "after", vec![key("d")])).await;

    // Whatever it asks for and expects now, the command has happened.
    let mut again = commit(&acme(), "same", vec![key("e")]);
    again.expects = Expects::Head(Seq(99));
    let second = append(&*store, again).await;
    assert!(second.replayed);
    assert_eq!(second.events, first.events);
    assert_eq!(second.state.head, Seq(5));
    assert_eq!(store.head(&acme()).await, Ok(Seq(5)));
}

pub async fn the_same_command_at_the_same_time_appends_once<B: Backend>(backend: &B) {
    let store = backend.open().await;
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(
                async move { append(&*store, commit(&acme(), "same", vec![key("a"), key("b")])).await },
            )
        })
        .collect();
    let mut fresh = 0;
    for task in tasks {
        let committed = task.await.expect("ends");
        assert_eq!(seqs(&committed.events), [1, 2]);
        fresh += usize::from(!committed.replayed);
    }
    assert_eq!(fresh, 1);
    assert_eq!(store.head(&acme()).await, Ok(Seq(2)));
}

pub async fn an_answer_that_was_lost_is_found_again<B: Backend>(backend: &B) {
    let store = backend.open().await;
    append(&*store, commit(&acme(), "before", vec![key("a")])).await;
    assert!(store.committed(&acme(), &"lost".into()).await.expect("asks").is_none());

    let command = commit(&acme(), "lost", vec![key("b"), key("c")]);
    let lost = LosesAnswers(&*store).append(command.clone()).await.err();
    assert!(matches!(lost, Some(AppendError::Store(StoreError::Unavailable(_)))), "{lost:?}");

    let found = store.committed(&acme(), &"lost".into()).await.expect("asks").expect("it happened");
    assert!(found.replayed);
    assert_eq!(seqs(&found.events), [2, 3]);
    assert!(found.state.head >= Seq(3));
    let again = append(&*store, command).await;
    assert!(again.replayed);
    assert_eq!(again.events, found.events);
    assert_eq!(store.head(&acme()).await, Ok(Seq(3)));
    assert!(store.committed(&OrganizationId::from("other"), &"lost".into()).await.expect("asks").is_none());
}

pub async fn a_refused_commit_leaves_nothing_behind<B: Backend>(backend: &B) {
    let store = backend.open().await;
    append(&*store, commit(&acme(), "one", vec![key("a")])).await;
    let mut refused = commit(&acme(), "refused", vec![key("b")]);
    refused.expects = Expects::Head(Seq(0));
    // Beside others that are taken, so that all of them may share a transaction.
    let (good, bad, other) = tokio::join!(
        store.append(commit(&acme(), "two", vec![key("c")])),
        store.append(refused.clone()),
        store.append(commit(&acme(), "three", vec![key("d")])),
    );
    assert!(good.is_ok() && other.is_ok());
    assert!(matches!(bad.err(), Some(AppendError::HeadMoved { .. })));
    assert_eq!(store.head(&acme()).await, Ok(Seq(3)));
    assert_eq!(store.organization_of_key(&"b".into()).await, Ok(None));

    // Its command id was not taken either.
    refused.expects = Expects::Head(Seq(3));
    assert!(!append(&*store, refused).await.replayed);
}

pub async fn the_state_includes_the_commit_at_once<B: Backend>(backend: &B) {
    let store = backend.open().await;
    assert!(store.warm_state(&acme()).is_none());
    assert_eq!(store.state(&acme()).await.expect("a state").head, Seq(0));
    let committed = append(&*store, commit(&acme(), "one", vec![key("a"), agent("x", "X")])).await;
    assert_eq!(committed.state.head, Seq(2));
    for state in [store.warm_state(&acme()).expect("warm"), store.state(&acme()).await.expect("a state")] {
        assert_eq!(state.head, Seq(2));
        assert_eq!(state.version(&key("a").0), Seq(1));
        assert_eq!(state.version(&agent("x", "X").0), Seq(2));
        assert_eq!(state.version(&key("b").0), Seq(0));
    }
}

pub async fn what_another_process_appends_is_seen_soon<B: Backend>(backend: &B) {
    let (ours, theirs) = (backend.open().await, backend.open().await);
    append(&*ours, commit(&acme(), "one", vec![key("a")])).await;
    append(&*theirs, commit(&acme(), "two", vec![key("b")])).await;

    // A second later at most, and more on a machine that stands still for a while.
    let deadline = Instant::now() + Duration::from_secs(10);
    while ours.warm_state(&acme()).is_some_and(|state| state.head < Seq(2)) {
        assert!(Instant::now() < deadline, "not seen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(ours.organization_of_key(&"b".into()).await, Ok(Some(acme())));

    // And an append builds on it whether it was seen or not.
    append(&*theirs, commit(&acme(), "three", vec![key("c")])).await;
    let committed = append(&*ours, commit(&acme(), "four", vec![key("d")])).await;
    assert_eq!(seqs(&committed.events), [4]);
    assert_eq!(committed.state.version(&key("c").0), Seq(3));
}
