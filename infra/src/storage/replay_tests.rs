//! Folding gives the same, however it is cut.

use super::super::conformance::acme;
use super::super::histories::{cases, fold, recorded, steps};
use domain::{Organization, Present};
use events::Recorded;
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

/// What is missing is looked up in the log.
fn complete(present: &mut Present, log: &[Recorded]) {
    loop {
        let missing = present.missing();
        if missing.is_empty() {
            return;
        }
        for seq in missing {
            let event = log.iter().find(|event| event.seq == seq).expect("it stands in the log");
            assert!(present.bring_back(event), "{seq} is what was left out");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(32), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_present_that_left_out_its_past_at_any_cut_goes_on_to_the_same(steps in steps()) {
        let events = recorded(&steps);
        let mut whole = Present::empty(acme());
        events.iter().for_each(|event| whole.apply(event));
        whole.leave_out();
        for cut in 0..=events.len() {
            let mut present = Present::empty(acme());
            events[..cut].iter().for_each(|event| present.apply(event));
            present.leave_out();
            // As it is kept.
            let kept = serde_json::to_string(&present).expect("JSON");
            let mut present: Present = serde_json::from_str(&kept).expect("a present");
            prop_assert_eq!(serde_json::to_string(&present).expect("JSON"), kept);
            events[cut..].iter().for_each(|event| present.apply(event));
            complete(&mut present, &events);
            present.leave_out();
            prop_assert_eq!(&present, &whole, "left out at {}", cut);
        }
    }

    #[test]
    fn a_present_tells_of_everything_that_serves_what_the_whole_state_tells(steps in steps()) {
        let (mut whole, mut present) = (Organization::empty(acme()), Present::empty(acme()));
        let events = recorded(&steps);
        for event in &events {
            whole.apply(event);
            present.apply(event);
            present.leave_out();
            complete(&mut present, &events);
            let state = present.state();
            prop_assert_eq!((&state.agents, &state.keys), (&whole.agents, &whole.keys));
            prop_assert_eq!((&state.integrations, &state.scopings), (&whole.integrations, &whole.scopings));
            for agent in whole.agents.values() {
                let (version, expected) = (state.live_version(agent), whole.live_version(agent));
                prop_assert_eq!(version, expected);
                for published in expected.iter().flat_map(|version| &version.skills) {
                    let of = |state: &Organization| {
                        state.live_skill(agent, published.skill_id.as_str()).map(|it| it.definition.clone())
                    };
                    prop_assert_eq!(of(state), of(&whole));
                }
            }
            for (id, skill) in &whole.skills {
                prop_assert_eq!(state.skills[id].draft(), skill.draft());
            }
        }
    }
}
