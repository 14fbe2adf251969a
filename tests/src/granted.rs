//! Every endpoint with the grants that it declares and no others, as its Lambda's role will have them. A port that is
//! used without a grant panics, and the request answers with an internal error.

use crate::site::Site;
use async_trait::async_trait;
use domain::limits::CALLS_KEPT_EVERY;
use events::{IntegrationKind, OrganizationId};
use functions::calls::recorder::keep_up;
use functions::endpoints;
use functions::integrations::discoveries::Discoveries;
use functions::problem::Problem;
use functions::reactions;
use functions::router::router_of;
use functions::services::{Ports, Services};
use functions::start::embedded::Embedded;
use infra::storage::DiscoveryJob;
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Site {
    /// A server on which each endpoint is a function of its own: its grants, its pools, its memory of schemas.
    pub async fn start_granted(variables: &[(&str, &str)]) -> Self {
        Self::start_routed(variables, |embedded: &Embedded, services: &Arc<Services>| {
            let config = services.config.clone();
            let ports = Ports { assistant: services.assistant.clone(), ..embedded.ports() };
            let granted = |ports: &Ports, name, grants| {
                let granted = Services::granted(config.clone(), ports, embedded.keys(), name, grants);
                let records = Arc::downgrade(&granted.records);
                tokio::spawn(keep_up(records, CALLS_KEPT_EVERY, granted.stopping.clone()));
                Arc::new(granted)
            };
            let worker = &reactions::discover::REACTION;
            let runs = Worker {
                discoveries: ports.discoveries.clone(),
                services: granted(&ports, worker.name, worker.function.grants),
            };
            let delivers = &reactions::retry::REACTION;
            tokio::spawn(deliver(granted(&ports, delivers.name, delivers.function.grants)));
            let ports = Ports { discoveries: Arc::new(runs), ..ports };
            router_of(services.clone(), endpoints::ALL, |endpoint| {
                granted(&ports, endpoint.name, endpoint.function.grants)
            })
        })
        .await
    }
}

/// Delivers to webhooks as the function on a schedule does, until the site is gone.
async fn deliver(services: Arc<Services>) {
    while let Ok(organizations) = services.log.organizations().await {
        let done = services.deliver_all_due(organizations, Instant::now() + Duration::from_millis(100)).await;
        if !done.wrong.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Discoveries run with the grants of the function that runs them, whoever asks.
struct Worker {
    discoveries: Arc<dyn Discoveries>,
    services: Arc<Services>,
}

#[async_trait]
impl Discoveries for Worker {
    async fn start_or_join(&self, _: &Arc<Services>, job: DiscoveryJob) -> Result<DiscoveryJob, Problem> {
        self.discoveries.start_or_join(&self.services, job).await
    }

    async fn wait(&self, job: DiscoveryJob, patience: Duration) -> Result<DiscoveryJob, Problem> {
        self.discoveries.wait(job, patience).await
    }

    async fn look(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        id: &str,
    ) -> Result<Option<DiscoveryJob>, Problem> {
        self.discoveries.look(organization, kind, id).await
    }
}
