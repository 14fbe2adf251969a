//! What an organization's log said at an earlier position.

use super::{EventLog, StoreError, replay};
use domain::Organization;
use events::{OrganizationId, Seq};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// Events between two states that are remembered: folding these takes a hundredth of a second.
const EVERY: u64 = 1000;
/// States that are remembered, of all organizations. They share what did not change between them.
const REMEMBERED: usize = 500;
/// Events that are read at once.
const BATCH: usize = 1000;

/// Folds the log up to any position. States on the way are remembered, so that the next position is near one; nothing
/// depends on their being there.
pub struct Past {
    log: Arc<dyn EventLog>,
    remembered: Mutex<Remembered>,
}

#[derive(Default)]
struct Remembered {
    states: HashMap<OrganizationId, BTreeMap<Seq, (u64, Arc<Organization>)>>,
    count: usize,
    /// Counts uses, to know which was used longest ago.
    clock: u64,
}

impl Past {
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self { log, remembered: Mutex::default() }
    }

    /// The state when `seq` was the head, or at the head when that is nearer.
    pub async fn state(
        &self,
        organization: &OrganizationId,
        seq: Seq,
    ) -> Result<Arc<Organization>, StoreError> {
        let nearest = self.nearest(organization, seq);
        let mut state = match nearest {
            Some(state) if state.head == seq => return Ok(state),
            Some(state) => Arc::unwrap_or_clone(state),
            None => Organization::empty(organization.clone()),
        };
        loop {
            let wanted = usize::try_from(seq.0.saturating_sub(state.head.0)).unwrap_or(BATCH).min(BATCH);
            let events = self.log.read(organization, state.head, wanted).await?;
            for event in &events {
                replay::apply(&mut state, event)?;
                if state.head.0.is_multiple_of(EVERY) {
                    self.remember(Arc::new(state.clone()));
                }
            }
            if events.len() < wanted || state.head >= seq {
                return Ok(Arc::new(state));
            }
        }
    }

    /// The last event that was recorded at this instant or before; 0 before the first. Recorded times grow with the
    /// position, so this looks at few events.
    pub async fn position(&self, organization: &OrganizationId, at: Timestamp) -> Result<Seq, StoreError> {
        let (mut before, mut after) = (Seq(0), Seq(self.log.head(organization).await?.0 + 1));
        while after.0 - before.0 > 1 {
            let middle = Seq(before.0 + (after.0 - before.0) / 2);
            let event = self.log.read(organization, Seq(middle.0 - 1), 1).await?;
            match event.first() {
                Some(event) if event.recorded_at <= at => before = middle,
                Some(_) | None => after = middle,
            }
        }
        Ok(before)
    }

    fn nearest(&self, organization: &OrganizationId, seq: Seq) -> Option<Arc<Organization>> {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.clock += 1;
        let now = remembered.clock;
        let (_, (used, state)) = remembered.states.get_mut(organization)?.range_mut(..=seq).next_back()?;
        *used = now;
        Some(state.clone())
    }

    fn remember(&self, state: Arc<Organization>) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.clock += 1;
        let now = remembered.clock;
        let of = remembered.states.entry(state.id.clone()).or_default();
        if of.insert(state.head, (now, state)).is_none() {
            remembered.count += 1;
        }
        if remembered.count > REMEMBERED {
            remembered.forget_oldest();
        }
    }
}

impl Remembered {
    fn forget_oldest(&mut self) {
        let all =
            self.states.iter().flat_map(|(id, of)| of.iter().map(move |(seq, (used, _))| (used, id, seq)));
        let Some((id, seq)) = all.min_by_key(|(used, ..)| **used).map(|(_, id, seq)| (id.clone(), *seq))
        else {
            return;
        };
        if let Some(of) = self.states.get_mut(&id) {
            of.remove(&seq);
            self.count -= 1;
            if of.is_empty() {
                self.states.remove(&id);
            }
        }
    }
}
