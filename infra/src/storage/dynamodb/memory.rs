//! The states in memory, each with the moment at which the log last said that it is the head.

use crate::storage::chain::Head;
use domain::Organization;
use domain::limits::AGGREGATES_IN_MEMORY;
use events::{OrganizationId, Seq};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// A state and the end of the log that it was folded from.
#[derive(Clone, Debug)]
pub struct Tip {
    pub head: Head,
    pub state: Arc<Organization>,
}

impl Tip {
    pub fn start(organization: OrganizationId) -> Self {
        Self { head: Head::START, state: Arc::new(Organization::empty(organization)) }
    }
}

/// By two clocks: a function is frozen between requests, and its monotonic clock may stand still meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    instant: Instant,
    time: SystemTime,
}

impl Moment {
    pub fn now() -> Self {
        Self { instant: Instant::now(), time: SystemTime::now() }
    }

    /// By the clock that says more. One that was set back says nothing.
    pub fn age(&self) -> Duration {
        self.instant.elapsed().max(self.time.elapsed().unwrap_or_default())
    }

    fn later(self, other: Self) -> Self {
        if self.age() <= other.age() { self } else { other }
    }
}

struct Known {
    tip: Tip,
    /// Before the question was sent whose answer was this head.
    confirmed: Moment,
    /// When the log last failed to answer for it, since it last did.
    silent: Option<Moment>,
}

pub struct Memory {
    organizations: Mutex<HashMap<OrganizationId, Known>>,
    /// Aggregates of all organizations that may stay.
    room: usize,
    turns: Mutex<HashMap<OrganizationId, Arc<tokio::sync::Mutex<()>>>>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { organizations: Mutex::default(), room: AGGREGATES_IN_MEMORY, turns: Mutex::default() }
    }
}

impl Memory {
    pub fn get(&self, organization: &OrganizationId) -> Option<Tip> {
        locked(&self.organizations).get(organization).map(|known| known.tip.clone())
    }

    /// The same, if its head was confirmed no longer ago than this.
    pub fn get_within(&self, organization: &OrganizationId, age: Duration) -> Option<Tip> {
        let organizations = locked(&self.organizations);
        organizations.get(organization).filter(|known| known.confirmed.age() <= age).map(|it| it.tip.clone())
    }

    /// Keeps what was the head when it was asked for at `confirmed`, unless something newer is known.
    pub fn confirm(&self, tip: &Tip, confirmed: Moment) {
        if tip.head.seq == Seq(0) {
            // Anybody may ask for organizations that do not exist; they must not fill the memory.
            return;
        }
        let mut organizations = locked(&self.organizations);
        match organizations.get_mut(&tip.state.id) {
            Some(known) if known.tip.head.seq > tip.head.seq => known.silent = None,
            Some(known) => {
                let confirmed = confirmed.later(known.confirmed);
                *known = Known { tip: tip.clone(), confirmed, silent: None };
            }
            None => {
                let known = Known { tip: tip.clone(), confirmed, silent: None };
                organizations.insert(tip.state.id.clone(), known);
            }
        }
        self.make_room(&mut organizations, &tip.state.id);
    }

    /// Lets go of those that were confirmed longest ago, but never of the one that is being served: what is gone is
    /// loaded again when it is asked for.
    fn make_room(&self, organizations: &mut HashMap<OrganizationId, Known>, serving: &OrganizationId) {
        let size = |known: &Known| known.tip.state.size();
        let mut total: usize = organizations.values().map(size).sum();
        while total > self.room {
            let others = organizations.iter().filter(|(id, _)| *id != serving);
            let Some((oldest, known)) = others.max_by_key(|(_, known)| known.confirmed.age()) else { return };
            total -= size(known);
            let oldest = oldest.clone();
            organizations.remove(&oldest);
        }
    }

    /// The log of this organization cannot be believed: nothing is served from memory until it can.
    pub fn forget(&self, organization: &OrganizationId) {
        locked(&self.organizations).remove(organization);
    }

    /// Appends of one organization take turns inside a process. A courtesy only: they would lose against each other
    /// in the store.
    pub fn turn(&self, organization: &OrganizationId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = locked(&self.turns);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        turns.entry(organization.clone()).or_default().clone()
    }

    pub fn log_failed(&self, organization: &OrganizationId) {
        if let Some(known) = locked(&self.organizations).get_mut(organization) {
            known.silent = Some(Moment::now());
        }
    }

    /// The log failed to answer for this organization within this time and has not answered since.
    pub fn log_silent_within(&self, organization: &OrganizationId, age: Duration) -> bool {
        let organizations = locked(&self.organizations);
        organizations.get(organization).and_then(|known| known.silent).is_some_and(|it| it.age() <= age)
    }
}

// A panic while a lock is held cannot leave a map half changed.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::chain::stamp;
    use crate::storage::conformance::{agent, commit};

    fn tip(organization: &str, agents: usize) -> Tip {
        let mut state = Organization::empty(organization.into());
        let events = (0..agents).map(|number| agent(&format!("a{number}"), "Front desk")).collect();
        let (row, events) = stamp(&Head::START, commit(&state.id, "fill", events)).expect("a commit");
        for event in &events {
            state.apply(event);
        }
        let head = Head { seq: row.seq, hash: row.hash, recorded_at: row.recorded_at };
        Tip { head, state: Arc::new(state) }
    }

    fn known(memory: &Memory) -> Vec<String> {
        let mut ids: Vec<String> = locked(&memory.organizations).keys().map(|id| id.to_string()).collect();
        ids.sort();
        ids
    }

    #[test]
    fn the_organizations_that_were_confirmed_longest_ago_make_room() {
        let memory = Memory { room: 5, ..Memory::default() };
        for organization in ["a", "b"] {
            memory.confirm(&tip(organization, 2), Moment::now());
        }
        memory.confirm(&tip("a", 2), Moment::now());
        memory.confirm(&tip("c", 2), Moment::now());
        assert_eq!(known(&memory), ["a", "c"]);
        memory.confirm(&tip("c", 4), Moment::now());
        assert_eq!(known(&memory), ["c"], "one that grows makes room, too");
    }

    #[test]
    fn an_organization_that_is_larger_than_the_room_is_served_alone() {
        let memory = Memory { room: 5, ..Memory::default() };
        memory.confirm(&tip("a", 2), Moment::now());
        memory.confirm(&tip("b", 9), Moment::now());
        assert_eq!(known(&memory), ["b"]);
    }
}
