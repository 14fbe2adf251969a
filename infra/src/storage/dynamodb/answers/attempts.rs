//! Slots are taken by an attempt that bears a name of its own. So an answer that was lost can be asked for again, and
//! nobody keeps or gives back what another attempt has taken since.

use super::{ATTEMPT, LOOKS, contended};
use crate::storage::dynamodb::DynamoStore;
use crate::storage::dynamodb::errors::Failure;
use crate::storage::dynamodb::items::get_text;
use crate::storage::{AnswerSlot, Begun, StoreError};
use domain::limits::AWS_ATTEMPT_TIMEOUT;
use events::OrganizationId;
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The attempts that this process answers for: its own, and those that it found left behind.
#[derive(Default)]
pub struct Attempts(Mutex<HashMap<(OrganizationId, String), String>>);

impl Attempts {
    pub fn remember(&self, slot: &AnswerSlot, attempt: &str) {
        self.locked().insert(named(slot), attempt.to_owned());
    }

    pub fn of(&self, slot: &AnswerSlot) -> Option<String> {
        self.locked().get(&named(slot)).cloned()
    }

    pub fn forget<'s>(&self, slots: impl IntoIterator<Item = &'s AnswerSlot>) {
        let mut attempts = self.locked();
        for slot in slots {
            attempts.remove(&named(slot));
        }
    }

    // A panic while the lock is held cannot leave the map half changed.
    fn locked(&self) -> MutexGuard<'_, HashMap<(OrganizationId, String), String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn named(slot: &AnswerSlot) -> (OrganizationId, String) {
    (slot.organization.clone(), slot.key.clone())
}

impl DynamoStore {
    pub(super) async fn begin_slots(
        &self,
        slots: &[AnswerSlot],
        now: Timestamp,
    ) -> Result<Begun, StoreError> {
        let attempt = uuid::Uuid::new_v4().simple().to_string();
        let take = || slots.iter().map(|slot| self.take(slot, &attempt, now)).collect::<Result<_, Failure>>();
        for _ in 0..LOOKS {
            let failure = match self.transact(take()?).await {
                Ok(()) => return Ok(self.taken(slots, &attempt)),
                Err(failure @ Failure::Refused(_)) => return Err(failure.into()),
                Err(failure) => failure,
            };
            // It may have been this attempt that took them: its answer was lost, or it was sent twice. Where time is
            // used up already, the look is a short one.
            let patience = match failure {
                Failure::Cancelled(_) => self.patience.operation,
                Failure::Busy(_) | Failure::Lost(_) | Failure::Refused(_) => AWS_ATTEMPT_TIMEOUT,
            };
            let looked = tokio::time::timeout(patience, self.slots(slots)).await;
            let Ok(Ok(items)) = looked else {
                self.give_up(slots, &attempt);
                return Err(failure.into());
            };
            let is_own = |item| get_text(item, ATTEMPT).is_ok_and(|it| it == attempt);
            if items.iter().flatten().any(is_own) {
                return Ok(self.taken(slots, &attempt));
            }
            let begun = Self::known(slots, &items, now)?;
            if begun != Begun::Fresh {
                return Ok(begun);
            }
            if !matches!(failure, Failure::Cancelled(_)) {
                // It may still be under way.
                self.give_up(slots, &attempt);
                return Err(failure.into());
            }
        }
        Err(contended())
    }

    fn taken(&self, slots: &[AnswerSlot], attempt: &str) -> Begun {
        for slot in slots {
            self.attempts.remember(slot, attempt);
        }
        Begun::Fresh
    }

    /// Gives back what this attempt may have taken, as far as the store can be reached: the caller is told that
    /// nothing ran, so nobody else would before the lease is over. Nobody waits for it, and late it does no harm: it
    /// gives back what bears the name of this attempt.
    fn give_up(&self, slots: &[AnswerSlot], attempt: &str) {
        let given_back = slots.iter().map(|slot| self.give_back(slot, Some(attempt)));
        let Ok(given_back) = given_back.collect::<Result<Vec<_>, Failure>>() else { return };
        let request = self.client.transact_write_items().set_transact_items(Some(given_back));
        tokio::spawn(async move {
            match request.send().await.map_err(Failure::of) {
                Ok(_) | Err(Failure::Cancelled(_)) => {}
                Err(failure) => tracing::warn!(?failure, "slots may be taken that nobody gives back"),
            }
        });
    }
}
