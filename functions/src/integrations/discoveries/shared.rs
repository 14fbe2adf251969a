//! Discoveries that another function runs: asked for in the store, which wakes the worker, and looked at there.

use super::Discoveries;
use crate::problem::Problem;
use crate::services::Services;
use async_trait::async_trait;
use events::{IntegrationKind, OrganizationId};
use infra::storage::{DiscoveryJob, DiscoveryProgress, DiscoveryStore};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two looks at a job: a small schema is read within a second.
const POLL: Duration = Duration::from_millis(100);

pub struct Shared {
    pub store: Arc<dyn DiscoveryStore>,
}

#[async_trait]
impl Discoveries for Shared {
    /// The store tells the worker; whoever asks holds neither credentials nor a way to the database.
    async fn start_or_join(
        &self,
        _services: &Arc<Services>,
        job: DiscoveryJob,
    ) -> Result<DiscoveryJob, Problem> {
        Ok(self.store.join_or_start(job).await?)
    }

    async fn wait(&self, job: DiscoveryJob, patience: Duration) -> Result<DiscoveryJob, Problem> {
        let give_up = Instant::now() + patience;
        let mut job = job;
        while matches!(job.progress, DiscoveryProgress::Running { .. }) && Instant::now() < give_up {
            tokio::time::sleep(POLL.min(give_up.saturating_duration_since(Instant::now()))).await;
            match self.store.get(&job.organization, job.kind, &job.id).await? {
                Some(known) => job = known,
                // It was given up for another, or has expired: it is as far as it was.
                None => break,
            }
        }
        Ok(job)
    }

    async fn look(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        id: &str,
    ) -> Result<Option<DiscoveryJob>, Problem> {
        Ok(self.store.get(organization, kind, id).await?)
    }
}
