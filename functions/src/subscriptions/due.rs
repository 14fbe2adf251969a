//! Delivering for as long as an invocation may take, in processes that do nothing in between.

use super::deliver::Step;
use crate::problem::Problem;
use crate::services::Services;
use events::{OrganizationId, SubscriptionId};
use futures_util::future::join_all;
use jiff::Timestamp;
use std::time::Instant;

/// What became of an organization's webhooks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Events that were delivered or passed over.
    pub events: u64,
    /// Subscriptions whose next event is to be tried again.
    pub failing: u64,
    /// When the first of them is.
    pub retry_at: Option<Timestamp>,
}

impl Delivered {
    pub fn and(self, other: Self) -> Self {
        Self {
            events: self.events + other.events,
            failing: self.failing + other.failing,
            retry_at: [self.retry_at, other.retry_at].into_iter().flatten().min(),
        }
    }
}

impl Services {
    /// Delivers what is due to every active subscription of an organization. No attempt begins after `until`; what is
    /// left then is for the next who asks.
    ///
    /// # Errors
    /// The first, when every subscription has had its turn.
    pub async fn deliver_due(
        &self,
        organization: &OrganizationId,
        until: Instant,
    ) -> Result<Delivered, Problem> {
        let state = self.log.state(organization).await?;
        let active = state.subscriptions().filter(|(_, subscription)| subscription.is_active());
        let delivered = join_all(active.map(|(id, _)| self.deliver_due_to(organization, id, until))).await;
        delivered.into_iter().try_fold(Delivered::default(), |all, one| Ok(all.and(one?)))
    }

    async fn deliver_due_to(
        &self,
        organization: &OrganizationId,
        id: &SubscriptionId,
        until: Instant,
    ) -> Result<Delivered, Problem> {
        let mut delivered = Delivered::default();
        while Instant::now() < until {
            match self.deliver_next(organization, id).await? {
                Step::Moved => delivered.events += 1,
                Step::Failing(retry_at) => {
                    return Ok(Delivered { failing: 1, retry_at: Some(retry_at), ..delivered });
                }
                // Who overtook this one goes on.
                Step::CaughtUp(_) | Step::Ended | Step::Overtaken => break,
            }
        }
        Ok(delivered)
    }
}
