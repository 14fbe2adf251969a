//! Delivering for as long as an invocation may take, in processes that do nothing in between.

use super::deliver::Step;
use super::turn::Turn;
use crate::clock;
use crate::problem::Problem;
use crate::services::Services;
use domain::limits::WEBHOOK_RETRY_SOON;
use events::{OrganizationId, Seq, SubscriptionId};
use futures_util::future::join_all;
use jiff::Timestamp;
use std::time::{Duration, Instant};

/// What became of an organization's webhooks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Events that were delivered or passed over.
    pub events: u64,
    /// Subscriptions whose next event is to be tried again.
    pub failing: u64,
    /// When to look again first: one of them is due, or the turn of somebody else ends.
    pub again_at: Option<Timestamp>,
}

impl Delivered {
    pub fn and(self, other: Self) -> Self {
        Self {
            events: self.events + other.events,
            failing: self.failing + other.failing,
            again_at: [self.again_at, other.again_at].into_iter().flatten().min(),
        }
    }
}

pub fn instant(at: Timestamp) -> Instant {
    Instant::now() + Duration::try_from(at.duration_since(clock::now())).unwrap_or_default()
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
        self.deliver_from(organization, until).await.map(|(delivered, _)| delivered)
    }

    /// The same, and tries again what is due soon: a first retry must not wait for a clock. News that come meanwhile
    /// are delivered as they come.
    ///
    /// # Errors
    /// As [`Services::deliver_due`].
    pub async fn deliver_soon(
        &self,
        organization: &OrganizationId,
        until: Instant,
    ) -> Result<Delivered, Problem> {
        let soon = until.min(Instant::now() + WEBHOOK_RETRY_SOON);
        let mut events = 0;
        loop {
            let (delivered, head) = self.deliver_from(organization, until).await?;
            events += delivered.events;
            let Some(again) = delivered.again_at.map(instant).filter(|again| *again < soon) else {
                return Ok(Delivered { events, ..delivered });
            };
            let wait = again.saturating_duration_since(Instant::now());
            self.log.beyond(organization, head, wait).await?;
        }
    }

    /// With where the log ended when it began.
    async fn deliver_from(
        &self,
        organization: &OrganizationId,
        until: Instant,
    ) -> Result<(Delivered, Seq), Problem> {
        let state = self.log.state(organization).await?;
        let active = state.subscriptions().filter(|(_, subscription)| subscription.is_active());
        let all = join_all(active.map(|(id, _)| self.deliver_due_to(organization, id, until))).await;
        let all = all.into_iter().try_fold(Delivered::default(), |all, one| Ok::<_, Problem>(all.and(one?)));
        Ok((all?, state.head))
    }

    async fn deliver_due_to(
        &self,
        organization: &OrganizationId,
        id: &SubscriptionId,
        until: Instant,
    ) -> Result<Delivered, Problem> {
        let mut turn = Turn::of(self, organization, id, self.config.webhook_timeout);
        let mut delivered = Delivered::default();
        let ended = self.deliver_in_turn(&mut turn, &mut delivered, organization, id, until).await;
        turn.give_back().await;
        ended.map(|()| delivered)
    }

    async fn deliver_in_turn(
        &self,
        turn: &mut Turn<'_>,
        delivered: &mut Delivered,
        organization: &OrganizationId,
        id: &SubscriptionId,
        until: Instant,
    ) -> Result<(), Problem> {
        // A look that finds nothing takes no turn, and costs no write.
        let mut step = self.look(organization, id).await?;
        while Instant::now() < until {
            match step {
                Step::Moved => {}
                Step::CaughtUp(_) if !turn.is_held() => break,
                // Who came while the turn was taken has left what came with them to its holder.
                Step::CaughtUp(_) | Step::Overtaken => {
                    turn.give_back().await;
                    step = self.look(organization, id).await?;
                    continue;
                }
                Step::Failing(retry_at) => {
                    (delivered.failing, delivered.again_at) = (1, Some(retry_at));
                    break;
                }
                Step::Ended => break,
            }
            if !turn.is_held()
                && let Some(theirs) = turn.take().await?
            {
                delivered.again_at = Some(theirs);
                break;
            }
            step = self.deliver_next(organization, id, Some(turn)).await?;
            delivered.events += u64::from(step == Step::Moved);
        }
        Ok(())
    }
}
