//! The views are the same, however the log came about and whenever the projector ran.

use super::*;
use crate::storage::conformance::{acme, append, commit};
use crate::storage::documents::in_order;
use crate::storage::histories::{Step, cases, events, fold, recorded, steps};
use domain::organization::Document;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

/// Documents after the steps in commits of these sizes, projected at every commit that is due.
async fn stored(
    steps: &[Step],
    sizes: &[usize],
    due: fn(usize) -> bool,
) -> (Vec<Document>, Arc<Organization>) {
    let backend = Dynamo::new();
    let mut store = backend.open().await;
    let mut left = events(steps);
    for (at, size) in sizes.iter().cycle().enumerate() {
        if left.is_empty() {
            break;
        }
        let rest = left.split_off((*size).min(left.len()));
        append(&*store, commit(&acme(), &format!("{at}"), left)).await;
        left = rest;
        if due(at) {
            store.project(&acme()).await.expect("projects");
        }
        if at % 5 == 4 {
            // A new process goes on from the views and the tail.
            store = backend.open().await;
        }
    }
    for _ in 0..2 {
        store.project(&acme()).await.expect("projects");
        assert!(store.compare_projections(&acme()).await.expect("compares").equal);
    }
    assert!(store.rebuild_projections(&acme()).await.expect("rebuilds").equal);
    let documents = store.stored(&acme()).await.expect("reads").documents.expect("readable");
    (documents, backend.open().await.state(&acme()).await.expect("a state"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(6), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn views_have_the_same_bytes_at_any_size_of_commits_and_any_number_of_projections(
        steps in steps(),
        sizes in proptest::collection::vec(1..20_usize, 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let whole = fold(Organization::empty(acme()), &recorded(&steps));
            let every: fn(usize) -> bool = |_| true;
            for (sizes, due) in [(sizes.clone(), every), (sizes, |at| at % 3 == 1), (vec![100], |_| false)] {
                let (documents, state) = stored(&steps, &sizes, due).await;
                prop_assert_eq!(&documents, &in_order(whole.documents()), "commits of {:?}", sizes);
                prop_assert_eq!(state.as_ref(), &whole);
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_process_that_starts_at_any_cut_of_the_log_folds_to_the_same() {
    let backend = Dynamo::new();
    let store = backend.open().await;
    let runner = &mut proptest::test_runner::TestRunner::deterministic();
    let steps = steps().new_tree(runner).expect("a history").current();
    let mut head = 0;
    for (at, event) in events(&steps).into_iter().enumerate() {
        head = append(&*store, commit(&acme(), &format!("{at}"), vec![event])).await.state.head.0;
        if at % 4 == 0 {
            store.project(&acme()).await.expect("projects");
        }
        // From the views as far as they go, and the tail.
        let started = backend.open().await.state(&acme()).await.expect("a state");
        assert_eq!(*started, *store.state(&acme()).await.expect("a state"));
        assert_eq!(started.head, Seq(head));
    }
    assert!(head > 4, "a history of some length");
    let log = store.read(&acme(), Seq(0), usize::MAX).await.expect("reads");
    assert_eq!(*store.state(&acme()).await.expect("a state"), fold(Organization::empty(acme()), &log));
}
