//! One discovery: dial, read, store the snapshot, commit. The same on one machine and in the worker on AWS.

use super::{Ending, Outcome};
use crate::decide::{Command, Decided, decide};
use crate::integrations::discover::DiscoverResponse;
use crate::problem::{Code, Problem};
use crate::services::Services;
use domain::integration;
use domain::limits::DISCOVERY_TIMEOUT;
use futures_util::FutureExt;
use infra::databases::error::Fault;
use infra::databases::{DatabaseError, Session};
use infra::storage::DiscoveryJob;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Runs it to its end, whatever that is. `progress` gets tables so far.
pub async fn run(
    services: &Arc<Services>,
    job: &DiscoveryJob,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Ending {
    let tables = AtomicU64::new(0);
    let counting = |count: u64| {
        tables.store(count, Ordering::Relaxed);
        progress(count);
    };
    let discovered = AssertUnwindSafe(discover(services, job, &counting)).catch_unwind().await;
    let outcome = match discovered {
        Ok(Ok((response, decided))) => {
            let data = serde_json::to_value(&response).expect("answers are JSON");
            Outcome::Finished { data, position: decided.position() }
        }
        Ok(Err(problem)) => Outcome::failed(&problem),
        Err(_panic) => {
            tracing::error!(id = job.id, "a discovery was lost by a panic");
            Outcome::failed(&Problem::internal())
        }
    };
    Ending { tables: tables.load(Ordering::Relaxed), outcome }
}

async fn discover(
    services: &Arc<Services>,
    job: &DiscoveryJob,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<(DiscoverResponse, Decided), Problem> {
    let (organization, kind, version) = (&job.organization, job.kind, job.credential_version);
    let _turn = services.manage(organization, kind).await;
    let source = services.credential_source(organization, kind, version);
    let credentials = source().await.map_err(failed)?;
    let reading = async {
        let drivers = services.pools.drivers();
        let mut connection = drivers
            .open(kind, &credentials, Session::ReadOnly)
            .await
            .map_err(|failure| failed(failure.error))?;
        let catalog = connection.introspect(progress).await.map_err(failed)?;
        connection.close().await;
        Ok::<_, Problem>(Arc::new(catalog))
    };
    let catalog = tokio::time::timeout(DISCOVERY_TIMEOUT, reading).await.map_err(|_| {
        let detail = format!("the schema could not be read within {} s", DISCOVERY_TIMEOUT.as_secs());
        Problem::new(Code::ConnectionFailed, detail)
    })??;
    // The snapshot first, the event second: the log never points at what is not there.
    let root = services.snapshots.store(organization, catalog.clone()).await?;
    let command = Command {
        organization,
        id: job.command_id.clone(),
        actor: job.actor.clone(),
        request_id: job.request_id.clone(),
        cause: None,
    };
    let decided = decide(services.log.as_ref(), Some(&services.turns), command, |state| {
        let (catalog, root) = (catalog.clone(), root.clone());
        async move {
            let before = match state.last_discovery(kind) {
                Some(discovery) => Some(services.snapshot(&state, discovery).await?),
                None => None,
            };
            // Off the threads that serve calls: a large schema is hashed and compared for half a second.
            let decide =
                move || integration::discover(&state, kind, &catalog, before.as_deref(), root, version);
            let decided = tokio::task::spawn_blocking(decide).await;
            Ok(decided.map_err(|_| Problem::internal())??)
        }
    })
    .await?;
    services.visible.forget(organization, kind);
    let response = DiscoverResponse::of(&decided, kind)?;
    Ok((response, decided))
}

fn failed(error: DatabaseError) -> Problem {
    if error.fault == Fault::CredentialsUnavailable {
        return Problem::unavailable(error.advice);
    }
    Problem::new(Code::ConnectionFailed, error.to_string())
}
