//! Folding gives the same, however it is cut.

use super::super::conformance::acme;
use super::super::histories::{cases, fold, recorded, steps};
use domain::Organization;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(64), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn folding_all_is_folding_a_prefix_and_then_the_rest_at_every_cut(steps in steps()) {
        let events = recorded(&steps);
        let whole = fold(Organization::empty(acme()), &events);
        for cut in 0..=events.len() {
            let prefix = fold(Organization::empty(acme()), &events[..cut]);
            // Once in memory, and once through the documents of that instant.
            let kept = Organization::from_documents(acme(), prefix.head, prefix.documents()).expect("documents");
            prop_assert_eq!(&prefix, kept.as_ref());
            prop_assert_eq!(&fold(prefix, &events[cut..]), &whole);
            prop_assert_eq!(fold(Arc::unwrap_or_clone(kept), &events[cut..]).documents(), whole.documents());
        }
    }

    #[test]
    fn every_document_that_an_event_changes_is_named(steps in steps()) {
        let mut state = Organization::empty(acme());
        for event in recorded(&steps) {
            let before: BTreeMap<_, _> = state.documents().into_iter().map(|it| (it.subject.clone(), it)).collect();
            let named = state.apply(&event);
            for document in state.documents() {
                if before.get(&document.subject) != Some(&document) {
                    prop_assert!(named.contains(&document.subject), "{} by {}", document.subject, event.event.name());
                }
            }
        }
    }
}
