//! States of the past are told the same whatever is kept of them, and whatever somebody did to that.

use super::*;
use crate::derive::Bytes32;
use crate::storage::histories::{Step, events, steps};
use crate::storage::past::Past;
use crate::storage::{PastStates, StoreError};
use domain::{Organization, Present};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use std::collections::BTreeSet;
use std::sync::Mutex;
use zeroize::Zeroizing;

/// Few enough that a short history crosses many of them.
const EVERY: u64 = 3;

fn ours() -> Bytes32 {
    Zeroizing::new([7; 32])
}

/// What became of states between their keeping and their reading.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Kept,
    /// Nothing is kept at all.
    Gone,
    /// Every second one is.
    HalfGone,
    BitFlipped,
    CutOff,
    /// Each stands where the next one stood.
    Moved,
    Unreadable,
}

const FATES: [Fate; 7] =
    [Fate::Kept, Fate::Gone, Fate::HalfGone, Fate::BitFlipped, Fate::CutOff, Fate::Moved, Fate::Unreadable];

struct Meddled<S> {
    store: Arc<S>,
    fate: Fate,
    /// Positions that were read here.
    read: Mutex<BTreeSet<Seq>>,
}

#[async_trait]
impl<S: PastStates> PastStates for Meddled<S> {
    async fn nearest_state(
        &self,
        organization: &OrganizationId,
        through: Seq,
    ) -> Result<Option<Seq>, StoreError> {
        match self.fate {
            Fate::Gone => Ok(None),
            Fate::Unreadable => Err(StoreError::Unavailable("no bucket".to_owned())),
            Fate::Kept | Fate::HalfGone | Fate::BitFlipped | Fate::CutOff | Fate::Moved => {
                self.store.nearest_state(organization, through).await
            }
        }
    }

    async fn kept_state(
        &self,
        organization: &OrganizationId,
        at: Seq,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.read.lock().expect("not poisoned").insert(at);
        let mut from = at;
        if let Fate::Moved = self.fate {
            from = self.store.nearest_state(organization, Seq(at.0 - 1)).await?.unwrap_or(at);
        }
        let found = self.store.kept_state(organization, from).await?;
        Ok(found.and_then(|mut bytes| match self.fate {
            Fate::Kept | Fate::Moved => Some(bytes),
            Fate::Gone | Fate::Unreadable => None,
            Fate::HalfGone => (at.0 % 2 == 1).then_some(bytes),
            Fate::BitFlipped => {
                // Another bit each time: of the seal, of the hash, and of what they cover.
                let bit = usize::try_from(at.0 * 97).expect("small") % (bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
                Some(bytes)
            }
            Fate::CutOff => {
                bytes.truncate(bytes.len() / 2);
                Some(bytes)
            }
        }))
    }

    async fn keep_state(
        &self,
        organization: &OrganizationId,
        at: Seq,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        self.store.keep_state(organization, at, bytes).await
    }
}

/// A process of its own, with nothing in memory.
fn process<S: EventLog + PastStates + 'static>(
    store: &Arc<S>,
    fate: Fate,
    key: Bytes32,
) -> (Past, Arc<Meddled<S>>) {
    let meddled = Arc::new(Meddled { store: store.clone(), fate, read: Mutex::default() });
    (Past::keeping(store.clone(), meddled.clone(), key, EVERY), meddled)
}

/// What is told of each position when nothing is ever kept.
async fn told<S: EventLog>(store: &S) -> Vec<Organization> {
    let mut present = Present::empty(acme());
    let mut told = vec![present.state().clone()];
    for event in store.read(&acme(), Seq(0), usize::MAX).await.expect("reads") {
        present.apply(&event);
        let mut present = present.clone();
        present.leave_out();
        told.push(present.state().clone());
    }
    told
}

/// The same history on every backend, in commits of these sizes.
async fn lived_through<S: EventLog>(store: &S, sizes: &[usize]) {
    let mut runner = TestRunner::deterministic();
    let long_enough =
        steps().prop_filter("a history of some length", |steps| (30..40).contains(&steps.len()));
    live_through(store, &long_enough.new_tree(&mut runner).expect("a history").current(), sizes).await;
}

pub async fn live_through<S: EventLog>(store: &S, steps: &[Step], sizes: &[usize]) {
    let mut left = events(steps);
    for (at, size) in sizes.iter().cycle().enumerate() {
        if left.is_empty() {
            break;
        }
        let rest = left.split_off((*size).min(left.len()));
        append(store, commit(&acme(), &format!("{at}"), left)).await;
        left = rest;
    }
}

pub async fn the_nearest_kept_state_is_found<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    let nearest = async |organization: &str, through| {
        store.nearest_state(&organization.into(), Seq(through)).await.expect("reads").map(|at| at.0)
    };
    assert_eq!(nearest("acme", 100).await, None);
    for (organization, at, bytes) in [("acme", 9, "nine"), ("acme", 5, "five"), ("other", 7, "seven")] {
        store.keep_state(&organization.into(), Seq(at), bytes.as_bytes()).await.expect("keeps");
    }
    for (through, at) in [(4, None), (5, Some(5)), (8, Some(5)), (9, Some(9)), (u64::MAX, Some(9))] {
        assert_eq!(nearest("acme", through).await, at, "through {through}");
    }
    let kept = async |at| store.kept_state(&acme(), Seq(at)).await.expect("reads");
    assert_eq!(kept(5).await.as_deref(), Some(&b"five"[..]));
    assert_eq!(kept(7).await, None);
    store.keep_state(&acme(), Seq(5), b"again").await.expect("keeps");
    assert_eq!(kept(5).await.as_deref(), Some(&b"again"[..]));
}

pub async fn the_past_is_the_same_whatever_became_of_kept_states<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    lived_through(&*store, &[1, 4, 2]).await;
    let told = told(&*store).await;
    let head = Seq(told.len() as u64 - 1);
    process(&store, Fate::Kept, ours()).0.keep_up(&acme()).await.expect("folds");
    for fate in FATES {
        let (warm, _) = process(&store, fate, ours());
        for at in [head.0, head.0 / 2, 1, head.0 - 1] {
            let (cold, _) = process(&store, fate, ours());
            for past in [&cold, &warm] {
                let state = past.state(&acme(), Seq(at)).await.expect("folds");
                assert_eq!(state.documents(), told[at as usize].documents(), "{fate:?} at {at}");
                assert_eq!(*state, told[at as usize], "{fate:?} at {at}");
            }
        }
    }
}

/// Every position, each after another fate, in the order of nobody's questions.
pub async fn every_cut_is_told_the_same<S: EventLog + PastStates + 'static>(store: &Arc<S>) {
    let told = told(&**store).await;
    let (warm, _) = process(store, Fate::Kept, ours());
    for (nth, fate) in (0..told.len()).zip(FATES.iter().cycle()) {
        let at = nth * 31 % told.len();
        let (cold, _) = process(store, *fate, ours());
        for past in [&cold, &warm] {
            let state = past.state(&acme(), Seq(at as u64)).await.expect("folds");
            assert_eq!(*state, told[at], "{fate:?} at {at} of {}", told.len());
        }
    }
}

pub async fn a_kept_state_saves_the_fold_of_what_is_before_it<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    lived_through(&*store, &[1]).await;
    let head = store.head(&acme()).await.expect("a head");
    let (first, _) = process(&store, Fate::Kept, ours());
    first.state(&acme(), head).await.expect("folds");
    let (second, meddled) = process(&store, Fate::Kept, ours());
    second.state(&acme(), head).await.expect("folds");
    let nearest = store.nearest_state(&acme(), head).await.expect("reads").expect("kept");
    assert_eq!(
        *meddled.read.lock().expect("not poisoned"),
        BTreeSet::from([nearest]),
        "one is read, and believed"
    );
}

pub async fn a_state_that_another_service_sealed_is_not_believed<B: Backend<Store: Store>>(backend: &B) {
    let store = backend.open().await;
    lived_through(&*store, &[2]).await;
    let told = told(&*store).await;
    let head = Seq(told.len() as u64 - 1);
    let theirs = Zeroizing::new([8; 32]);
    process(&store, Fate::Kept, theirs).0.state(&acme(), head).await.expect("folds");
    let kept = store.nearest_state(&acme(), head).await.expect("reads").expect("kept");
    let before = store.kept_state(&acme(), kept).await.expect("reads");
    let (ours, meddled) = process(&store, Fate::Kept, ours());
    assert_eq!(*ours.state(&acme(), head).await.expect("folds"), told[head.0 as usize]);
    assert!(meddled.read.lock().expect("not poisoned").len() > 1, "it was looked for further back");
    let after = store.kept_state(&acme(), kept).await.expect("reads");
    assert_ne!(after, before, "what is not believed is put right");
}
