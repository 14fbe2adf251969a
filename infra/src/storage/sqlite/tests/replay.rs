//! Documents are the same, however the log came about.

use super::*;
use crate::storage::conformance::{acme, append, commit, past};
use crate::storage::documents::in_order;
use crate::storage::histories::{Step, cases, events, fold, recorded, steps};
use domain::organization::Document;
use proptest::prelude::*;

/// Documents as a store that takes the steps in commits of these sizes keeps them.
async fn stored(steps: &[Step], sizes: &[usize]) -> (Vec<Document>, Arc<Organization>) {
    let backend = Sqlite::new();
    let mut store = backend.open().await;
    let mut left = events(steps);
    for (at, size) in sizes.iter().cycle().enumerate() {
        if left.is_empty() {
            break;
        }
        let rest = left.split_off((*size).min(left.len()));
        append(&*store, commit(&acme(), &format!("{at}"), left)).await;
        left = rest;
        if at % 5 == 4 {
            // A new process goes on from the documents.
            drop(store);
            store = backend.open().await;
        }
    }
    let compared = store.compare_projections(&acme()).await.expect("compares");
    assert!(compared.equal, "documents at the head are those of a rebuild");
    for _ in 0..2 {
        assert!(store.rebuild_projections(&acme()).await.expect("rebuilds").equal);
    }
    let mut connection = backend.connection().await;
    let documents = documents::stored(&mut connection, &acme()).await.expect("reads");
    (documents, store.state(&acme()).await.expect("a state"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(12), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn documents_have_the_same_bytes_at_any_size_of_commits(
        steps in steps(),
        sizes in proptest::collection::vec(1..20_usize, 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let whole = fold(Organization::empty(acme()), &recorded(&steps));
            for sizes in [sizes, vec![1], vec![100]] {
                let (documents, state) = stored(&steps, &sizes).await;
                prop_assert_eq!(&documents, &in_order(whole.documents()), "commits of {:?}", sizes);
                prop_assert_eq!(state.as_ref(), &whole);
            }
            Ok(())
        })?;
    }

    #[test]
    fn every_cut_of_the_past_is_told_the_same_at_any_size_of_commits_whatever_is_kept(
        steps in steps(),
        sizes in proptest::collection::vec(1..20_usize, 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            for sizes in [sizes, vec![1]] {
                let backend = Sqlite::new();
                let store = backend.open().await;
                past::live_through(&*store, &steps, &sizes).await;
                past::every_cut_is_told_the_same(&store).await;
            }
        });
    }
}
