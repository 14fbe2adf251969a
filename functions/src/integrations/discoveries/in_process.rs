//! Discoveries that this process runs and alone knows of: what one machine needs.

use super::{Discoveries, Ending, run};
use crate::problem::Problem;
use crate::services::Services;
use async_trait::async_trait;
use domain::limits::DISCOVERIES_MAX;
use events::{IntegrationKind, OrganizationId};
use infra::storage::{DiscoveryJob, DiscoveryProgress};
use infra::telemetry::{carried, current};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// Ended discoveries are kept for as many others.
const KEPT: usize = 200;

type Watched = Arc<watch::Sender<DiscoveryJob>>;

#[derive(Default)]
pub struct InProcess {
    jobs: Mutex<VecDeque<Watched>>,
}

impl InProcess {
    /// The job that reads this connection already, or this one; whether it is new.
    fn join_or_keep(&self, job: DiscoveryJob) -> Result<(Watched, bool), Problem> {
        let mut jobs = self.jobs.lock().expect("not poisoned");
        let running = || jobs.iter().filter(|known| is_running(&known.borrow()));
        let same = |known: &&Watched| {
            let known = known.borrow();
            known.organization == job.organization
                && known.kind == job.kind
                && known.credential_version == job.credential_version
        };
        if let Some(known) = running().find(same) {
            return Ok((known.clone(), false));
        }
        if running().count() >= DISCOVERIES_MAX {
            return Err(Problem::unavailable(
                "as many discoveries run as this server can hold; try again in a moment",
            ));
        }
        if jobs.len() >= KEPT
            && let Some(oldest) = jobs.iter().position(|known| !is_running(&known.borrow()))
        {
            jobs.remove(oldest);
        }
        let kept = Arc::new(watch::Sender::new(job));
        jobs.push_back(kept.clone());
        Ok((kept, true))
    }

    fn find(&self, organization: &OrganizationId, kind: IntegrationKind, id: &str) -> Option<Watched> {
        let jobs = self.jobs.lock().expect("not poisoned");
        let is_it = |known: &&Watched| {
            let known = known.borrow();
            known.id == id && known.organization == *organization && known.kind == kind
        };
        jobs.iter().find(is_it).cloned()
    }
}

#[async_trait]
impl Discoveries for InProcess {
    async fn start_or_join(
        &self,
        services: &Arc<Services>,
        job: DiscoveryJob,
    ) -> Result<DiscoveryJob, Problem> {
        let (kept, is_new) = self.join_or_keep(job)?;
        if is_new {
            services.tasks.spawn(carried(current(), carry_out(services.clone(), kept.clone())));
        }
        let job = kept.borrow().clone();
        Ok(job)
    }

    async fn wait(&self, job: DiscoveryJob, patience: Duration) -> Result<DiscoveryJob, Problem> {
        let Some(kept) = self.find(&job.organization, job.kind, &job.id) else { return Ok(job) };
        let mut watched = kept.subscribe();
        let ended = watched.wait_for(|job| !is_running(job));
        // Too late or not: what is known now is the answer.
        let _ = tokio::time::timeout(patience, ended).await;
        let job = kept.borrow().clone();
        Ok(job)
    }

    async fn look(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        id: &str,
    ) -> Result<Option<DiscoveryJob>, Problem> {
        Ok(self.find(organization, kind, id).map(|kept| kept.borrow().clone()))
    }
}

fn is_running(job: &DiscoveryJob) -> bool {
    matches!(job.progress, DiscoveryProgress::Running { .. })
}

async fn carry_out(services: Arc<Services>, kept: Watched) {
    let job = kept.borrow().clone();
    // Nobody is woken by a table more: those who wait wait for the end.
    let progress = |tables: u64| {
        kept.send_if_modified(|job| {
            job.progress = DiscoveryProgress::Running { tables };
            false
        });
    };
    let ending: Ending = run::run(&services, &job, &progress).await;
    kept.send_modify(|job| job.progress = DiscoveryProgress::Ended { answer: ending.to_json() });
}
