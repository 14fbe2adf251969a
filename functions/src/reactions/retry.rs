//! Tries again what webhooks failed to take, and delivers what was left for want of time or because a record was lost.

use super::deliver::until;
use super::{Handled, Reacted, Reaction, Trigger, Woken};
use crate::endpoint::{Function, Grant};
use crate::services::Services;
use crate::subscriptions::due::{Delivered, instant};
use events::OrganizationId;
use futures_util::{StreamExt, stream};
use serde_json::json;
use std::time::{Duration, Instant};

pub static REACTION: Reaction = Reaction {
    name: "webhooks-retry",
    summary: "Tries again what webhooks did not take, when it is due",
    woken_by: Trigger::Schedule { every: Duration::from_secs(60) },
    function: Function {
        grants: &[
            Grant::SeeAllOrganizations,
            Grant::Append,
            Grant::Dial,
            Grant::ReadDeliveries,
            Grant::WriteDeliveries,
        ],
        memory_mb: 512,
        timeout: Duration::from_secs(75),
    },
    handle: |woken| -> Handled { Box::pin(handle(woken)) },
};

/// Organizations at the same time: one with slow receivers does not hold the others up.
const AT_ONCE: usize = 16;

async fn handle(woken: Woken) -> Result<Reacted, String> {
    let services = &woken.aws.services;
    let organizations = services.log.organizations().await.map_err(|error| error.to_string())?;
    let Retried { delivered, failing, wrong } =
        services.deliver_all_due(organizations, until(REACTION.function)).await;
    let counts = vec![("WebhookEvents", delivered), ("WebhooksFailing", failing)];
    Ok(Reacted { answer: json!({ "delivered": delivered, "failing": failing }), counts, wrong })
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retried {
    pub delivered: u64,
    /// Subscriptions that fail still.
    pub failing: u64,
    /// A sentence for each organization whose webhooks could not be looked after.
    pub wrong: Vec<String>,
}

impl Services {
    /// Delivers what is due to the webhooks of these organizations, and waits for what comes due before `until`.
    pub async fn deliver_all_due(&self, mut organizations: Vec<OrganizationId>, until: Instant) -> Retried {
        let mut retried = Retried::default();
        loop {
            let one = |organization: OrganizationId| async move {
                let delivered = self.deliver_due(&organization, until).await;
                (organization, delivered)
            };
            let turn: Vec<_> =
                stream::iter(organizations.drain(..)).map(one).buffer_unordered(AT_ONCE).collect().await;
            let mut next: Option<Instant> = None;
            for (organization, delivered) in turn {
                match delivered {
                    Ok(Delivered { events, failing, again_at }) => {
                        retried.delivered += events;
                        match again_at.map(instant).filter(|again_at| *again_at < until) {
                            Some(again_at) => {
                                next = Some(next.map_or(again_at, |next| next.min(again_at)));
                                organizations.push(organization);
                            }
                            None => retried.failing += failing,
                        }
                    }
                    Err(problem) => {
                        retried.wrong.push(format!("webhooks of {organization}: {}", problem.detail));
                    }
                }
            }
            match next {
                Some(next) => tokio::time::sleep_until(next.into()).await,
                None => return retried,
            }
        }
    }
}
