//! Whose turn it is to deliver, among processes that do not know each other.
//!
//! A turn ends by itself, so a process that dies holds nobody up for long. Before each attempt it is kept for longer when
//! the attempt might outlast it, and a turn that may have ended is never used: somebody may have moved the cursor since.
//! So at no moment two attempts to one receiver are on their way.

use crate::clock;
use crate::random;
use crate::services::Services;
use events::{OrganizationId, SubscriptionId};
use infra::storage::StoreError;
use infra::storage::deliveries::Lease;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

pub struct Turn<'t> {
    services: &'t Services,
    organization: &'t OrganizationId,
    /// Whose cursor is moved.
    receiver: &'t SubscriptionId,
    holder: String,
    /// What one attempt may take.
    attempt: SignedDuration,
    held_until: Option<Timestamp>,
}

impl<'t> Turn<'t> {
    pub fn of(
        services: &'t Services,
        organization: &'t OrganizationId,
        receiver: &'t SubscriptionId,
        attempt: Duration,
    ) -> Self {
        let attempt = SignedDuration::try_from(attempt).expect("it fits");
        Self { services, organization, receiver, holder: random::base62(22), attempt, held_until: None }
    }

    pub fn is_held(&self) -> bool {
        self.held_until.is_some()
    }

    /// Until when somebody else has it; None when it is taken, and the cursor is to be read.
    pub async fn take(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let now = clock::now();
        let lease = Lease { holder: self.holder.clone(), until: now + self.attempt * 2 };
        let theirs = self.services.deliveries.claim(self.organization, self.receiver, &lease, now).await?;
        self.held_until = theirs.is_none().then_some(lease.until);
        Ok(theirs)
    }

    /// Whether an attempt that begins now ends within the turn, with time to spare for clocks that differ. False when it
    /// may be somebody else's.
    pub async fn lasts(&mut self) -> Result<bool, StoreError> {
        let Some(left) = self.held_until.map(|until| until.duration_since(clock::now())) else {
            return Ok(false);
        };
        if left >= self.attempt + self.attempt / 2 {
            return Ok(true);
        }
        if left.is_positive() && self.take().await?.is_none() {
            return Ok(true);
        }
        self.held_until = None;
        Ok(false)
    }

    /// What is not given back ends by itself, so a store that cannot be reached only makes the next one wait.
    pub async fn give_back(&mut self) {
        if self.held_until.take().is_none() {
            return;
        }
        let (deliveries, now) = (&self.services.deliveries, clock::now());
        let given_back = deliveries.give_back(self.organization, self.receiver, &self.holder, now).await;
        if let Err(error) = given_back {
            tracing::warn!(organization = %self.organization, %error, "a turn is not given back; it ends by itself");
        }
    }
}
