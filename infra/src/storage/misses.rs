//! How many keys were looked up in vain: who tries one after another is guessing.

use super::StoreError;
use async_trait::async_trait;
use domain::limits::{MISS_BUDGETS_REMEMBERED, MISSES_MAX};
use events::OrganizationId;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many distinct keys one call, or one caller, may look up in vain. Whose it is and which keys they were is known
/// by keyed hashes alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    pub organization: OrganizationId,
    /// Nobody else's in any organization.
    pub name: u128,
    /// At most [`MISSES_MAX`].
    pub most: usize,
    /// From the first of them on.
    pub within: SignedDuration,
}

#[async_trait]
pub trait Misses: Send + Sync {
    /// Whether any budget is used up, as far as this process knows. Most of the time none is, and then a lookup pays
    /// for nothing but this.
    fn is_any_used_up(&self, now: Timestamp) -> bool;

    /// Whether this one is, as far as this process knows.
    fn is_used_up(&self, budget: &Budget, now: Timestamp) -> bool;

    /// Counts a key, once however often it is missed. False when there was no room for it.
    ///
    /// # Errors
    /// When others cannot be told; this process has counted it.
    async fn count(&self, budget: &Budget, key: u128, now: Timestamp) -> Result<bool, StoreError>;
}

/// What one process knows of them. A restart forgets it.
#[derive(Default)]
pub struct MissMemory {
    missed: Mutex<HashMap<u128, Missed>>,
    /// The last second at which a budget that was used up still is.
    used_up_until: AtomicI64,
}

#[derive(Clone, Default)]
pub(super) struct Missed {
    pub keys: BTreeSet<u128>,
    /// In seconds; then it is forgotten.
    pub until: i64,
}

impl Missed {
    fn is_over(&self, now: Timestamp) -> bool {
        self.until <= now.as_second()
    }
}

impl MissMemory {
    pub fn is_any_used_up(&self, now: Timestamp) -> bool {
        now.as_second() < self.used_up_until.load(Ordering::Relaxed)
    }

    pub fn is_used_up(&self, budget: &Budget, now: Timestamp) -> bool {
        let missed = self.locked();
        missed.get(&budget.name).is_some_and(|it| !it.is_over(now) && it.keys.len() >= budget.most)
    }

    pub fn count(&self, budget: &Budget, key: u128, now: Timestamp) -> bool {
        let mut missed = self.locked();
        make_room(&mut missed, now);
        let one = missed.entry(budget.name).or_default();
        if one.is_over(now) {
            *one = Missed { keys: BTreeSet::new(), until: ends(budget, now) };
        }
        let fits = one.keys.contains(&key) || one.keys.len() < budget.most;
        if fits {
            one.keys.insert(key);
        }
        self.note(budget, one);
        fits
    }

    /// What a store that all processes share has counted. Its answers may come in another order than it gave them.
    #[cfg(feature = "aws")]
    pub(super) fn learn(&self, budget: &Budget, mut counted: Missed, now: Timestamp) {
        let mut missed = self.locked();
        make_room(&mut missed, now);
        if let Some(known) = missed.get(&budget.name).filter(|known| !known.is_over(now)) {
            counted.keys.extend(&known.keys);
        }
        self.note(budget, &counted);
        missed.insert(budget.name, counted);
    }

    fn note(&self, budget: &Budget, missed: &Missed) {
        if missed.keys.len() >= budget.most {
            self.used_up_until.fetch_max(missed.until, Ordering::Relaxed);
        }
    }

    // A panic while the lock is held cannot leave the map half changed.
    fn locked(&self) -> MutexGuard<'_, HashMap<u128, Missed>> {
        self.missed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The second from which on a budget whose first miss is now is whole again.
pub(super) fn ends(budget: &Budget, now: Timestamp) -> i64 {
    now.as_second().saturating_add(budget.within.as_secs())
}

/// Forgets what is over, and when that is not enough the half that missed least: a guesser is not among them.
fn make_room(missed: &mut HashMap<u128, Missed>, now: Timestamp) {
    if missed.len() < MISS_BUDGETS_REMEMBERED {
        return;
    }
    missed.retain(|_, it| !it.is_over(now));
    if missed.len() < MISS_BUDGETS_REMEMBERED {
        return;
    }
    let mut least: Vec<_> = missed.iter().map(|(name, it)| (it.keys.len(), it.until, *name)).collect();
    let half = least.len() / 2;
    least.select_nth_unstable(half);
    for (_, _, name) in &least[..half] {
        missed.remove(name);
    }
}

const _: () = assert!(MISSES_MAX <= 1000, "a budget's keys fit one item of DynamoDB, which holds 400 KB");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::conformance::{acme, noon};

    fn budget(name: u128) -> Budget {
        Budget { organization: acme(), name, most: 2, within: SignedDuration::from_hours(1) }
    }

    #[test]
    fn whoever_missed_most_is_remembered_when_memory_is_full() {
        let memory = MissMemory::default();
        for key in 0..2 {
            assert!(memory.count(&budget(0), key, noon()));
        }
        for name in 1..=3 * MISS_BUDGETS_REMEMBERED as u128 {
            assert!(memory.count(&budget(name), 0, noon()));
        }
        assert!(memory.locked().len() <= MISS_BUDGETS_REMEMBERED);
        assert!(memory.is_used_up(&budget(0), noon()));
    }

    #[test]
    fn what_is_over_is_forgotten_first() {
        let memory = MissMemory::default();
        for name in 0..MISS_BUDGETS_REMEMBERED as u128 {
            memory.count(&budget(name), 0, noon());
        }
        let later = noon() + SignedDuration::from_hours(1);
        assert!(memory.count(&budget(0), 1, later));
        assert_eq!(memory.locked().len(), 1);
    }
}
