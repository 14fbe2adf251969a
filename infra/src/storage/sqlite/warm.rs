//! The states in memory. A lock is held only while an `Arc` is cloned or put in its place.

use domain::Organization;
use events::{OrganizationId, Seq};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::watch;

#[derive(Default)]
pub struct Warm {
    states: RwLock<HashMap<OrganizationId, Arc<Organization>>>,
    news: watch::Sender<()>,
}

impl Warm {
    pub fn get(&self, organization: &OrganizationId) -> Option<Arc<Organization>> {
        self.read().get(organization).cloned()
    }

    /// Puts a state in place unless a newer one stands there.
    pub fn publish(&self, state: Arc<Organization>) {
        let mut states = self.write();
        let newer = states.get(&state.id).is_none_or(|known| known.head < state.head);
        if newer {
            states.insert(state.id.clone(), state);
            drop(states);
            self.news.send_replace(());
        }
    }

    /// Told after a state was put in place.
    pub fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// The log of this organization cannot be read: nothing is served from memory until it can.
    pub fn forget(&self, organization: &OrganizationId) {
        self.write().remove(organization);
    }

    pub fn heads(&self) -> HashMap<OrganizationId, Seq> {
        self.read().values().map(|state| (state.id.clone(), state.head)).collect()
    }

    // A panic while the lock is held cannot leave the map half changed.
    fn read(&self) -> RwLockReadGuard<'_, HashMap<OrganizationId, Arc<Organization>>> {
        self.states.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<OrganizationId, Arc<Organization>>> {
        self.states.write().unwrap_or_else(PoisonError::into_inner)
    }
}
