//! The tasks that deliver: one for each active subscription of this process.

use super::deliver::Step;
use crate::clock;
use crate::services::Services;
use events::{OrganizationId, SubscriptionId};
use infra::storage::StoreError;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// How long a subscription without news waits before it looks whether it still exists.
const QUIET: Duration = Duration::from_secs(60);
/// After the store could not be used, the first time, and doubled from there up to [`QUIET`]: a receiver that took an
/// event whose delivery cannot be recorded, because the disk is full, gets it again each time.
const PAUSE: Duration = Duration::from_secs(1);

type Name = (OrganizationId, SubscriptionId);

#[derive(Default)]
pub struct Deliverer {
    running: Mutex<HashSet<Name>>,
}

impl Deliverer {
    /// False when it goes on already.
    fn begins(&self, name: &Name) -> bool {
        self.running.lock().expect("not poisoned").insert(name.clone())
    }

    fn ends(&self, name: &Name) {
        self.running.lock().expect("not poisoned").remove(name);
    }
}

impl Services {
    /// Starts delivering for every active subscription.
    pub async fn deliver_all(self: &Arc<Self>) -> Result<(), StoreError> {
        for organization in self.log.organizations().await? {
            // One log that cannot be read must not keep the others from being delivered.
            match self.log.state(&organization).await {
                Ok(state) => {
                    let active = state.subscriptions().filter(|(_, subscription)| subscription.is_active());
                    active.for_each(|(id, _)| self.deliver(&organization, id));
                }
                Err(error) => tracing::error!(%organization, %error, "its webhooks are not delivered"),
            }
        }
        Ok(())
    }

    /// Starts delivering for a subscription, unless that goes on already or is another function's.
    pub fn deliver(self: &Arc<Self>, organization: &OrganizationId, id: &SubscriptionId) {
        let Some(deliverer) = &self.deliverer else { return };
        let name = (organization.clone(), id.clone());
        if deliverer.begins(&name) {
            tokio::spawn(run(Arc::downgrade(self), name));
        }
    }
}

async fn run(services: Weak<Services>, name: Name) {
    let (organization, id) = &name;
    let mut pause = PAUSE;
    loop {
        let Some(services) = services.upgrade() else { return };
        if services.stopping.is_cancelled() {
            return;
        }
        // An attempt that has begun is finished and recorded before a server stops.
        let attempt = services.tasks.track_future(services.deliver_next(organization, id, None));
        let step = attempt.await;
        if step.is_ok() {
            pause = PAUSE;
        }
        match step {
            Ok(Step::Moved) => {}
            Ok(Step::Ended) => {
                if let Some(deliverer) = &services.deliverer {
                    deliverer.ends(&name);
                }
                // It may have been resumed between the look and the removal.
                let state = services.log.state(organization).await;
                if let Ok(state) = state
                    && state.subscription(id.as_str()).is_ok_and(|(_, it)| it.is_active())
                {
                    services.deliver(organization, id);
                }
                return;
            }
            Ok(Step::CaughtUp(at)) => {
                let stopping = services.stopping.clone();
                tokio::select! {
                    _ = services.log.beyond(organization, at, QUIET) => {}
                    () = stopping.cancelled() => return,
                }
            }
            Ok(Step::Failing(retry_at)) => {
                let wait = retry_at.duration_since(clock::now());
                let stopping = services.stopping.clone();
                drop(services);
                tokio::select! {
                    () = tokio::time::sleep(Duration::try_from(wait).unwrap_or_default()) => {}
                    () = stopping.cancelled() => return,
                }
            }
            Ok(Step::Overtaken) => tokio::time::sleep(PAUSE).await,
            Err(problem) => {
                tracing::warn!(%organization, subscription = %id, problem = problem.detail, "not delivered for now");
                let stopping = services.stopping.clone();
                drop(services);
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = stopping.cancelled() => return,
                }
                pause = (pause * 2).min(QUIET);
            }
        }
    }
}
