//! Discoveries that run or ran in this process.

use crate::problem::{Code, Problem};
use domain::limits::DISCOVERIES_MAX;
use events::{IntegrationKind, OrganizationId};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// Finished discoveries are kept for as many others.
const KEPT: usize = 200;

#[derive(Default)]
pub struct Discoveries {
    jobs: Mutex<VecDeque<Arc<Job>>>,
}

/// One discovery. Its outcome is the whole answer, so that polling and waiting give the same.
pub struct Job {
    pub id: String,
    pub organization: OrganizationId,
    pub kind: IntegrationKind,
    /// Of the connection it reads.
    pub credential_version: u32,
    /// Tables read so far.
    pub tables: AtomicU64,
    outcome: watch::Sender<Option<Outcome>>,
}

pub type Outcome = Result<Arc<serde_json::Value>, Arc<Problem>>;

impl Discoveries {
    /// The discovery that already reads this connection, or a new one; whether it is new.
    ///
    /// # Errors
    /// 503 when as many run as one process can hold.
    pub fn join_or_start(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        credential_version: u32,
    ) -> Result<(Arc<Job>, bool), Problem> {
        let mut jobs = self.jobs.lock().expect("not poisoned");
        let running = || jobs.iter().filter(|job| job.outcome().is_none());
        let same = |job: &&Arc<Job>| {
            job.organization == *organization
                && job.kind == kind
                && job.credential_version == credential_version
        };
        if let Some(job) = running().find(same) {
            return Ok((job.clone(), false));
        }
        if running().count() >= DISCOVERIES_MAX {
            return Err(Problem::unavailable(
                "as many discoveries run as this server can hold; try again in a moment",
            ));
        }
        let job = Arc::new(Job {
            id: format!("dsc_{}", crate::random::base62(20)),
            organization: organization.clone(),
            kind,
            credential_version,
            tables: AtomicU64::new(0),
            outcome: watch::Sender::new(None),
        });
        if jobs.len() >= KEPT
            && let Some(oldest) = jobs.iter().position(|job| job.outcome().is_some())
        {
            jobs.remove(oldest);
        }
        jobs.push_back(job.clone());
        Ok((job, true))
    }

    /// # Errors
    /// 404 for another organization's discovery as for none.
    pub fn find(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        id: &str,
    ) -> Result<Arc<Job>, Problem> {
        let jobs = self.jobs.lock().expect("not poisoned");
        jobs.iter()
            .find(|job| job.id == id && job.organization == *organization && job.kind == kind)
            .cloned()
            .ok_or_else(|| Problem::new(Code::NotFound, "no such discovery in this organization"))
    }
}

impl Job {
    pub fn finish(&self, outcome: Outcome) {
        self.outcome.send_replace(Some(outcome));
    }

    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome.borrow().clone()
    }

    pub async fn finished(&self) -> Outcome {
        let mut receiver = self.outcome.subscribe();
        let outcome = receiver.wait_for(Option::is_some).await.expect("the job holds its own sender");
        outcome.clone().expect("waited for it")
    }

    pub fn tables(&self) -> u64 {
        self.tables.load(Ordering::Relaxed)
    }
}
