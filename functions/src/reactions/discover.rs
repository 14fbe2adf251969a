//! Runs discoveries that were asked for: the worker behind `POST /integrations/{kind}/discover`, whose own function can
//! neither dial nor open credentials.
//!
//! A record may come twice, and a worker may die. The discovery is committed under the id of the request that asked for
//! it, so running it again commits nothing twice; a job that gave no sign for its lease is taken over by the next
//! request.

use super::records::{self, Record};
use super::{Change, Handled, Reacted, Reaction, Trigger, Woken};
use crate::endpoint::{Function, Grant};
use crate::integrations::discoveries::run;
use crate::services::Services;
use domain::limits::DISCOVERY_SIGN;
use events::{IntegrationKind, OrganizationId};
use infra::storage::dynamodb::discoveries;
use infra::storage::dynamodb::tables::TableName;
use infra::storage::{DiscoveryJob, DiscoveryProgress, DiscoveryStore};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub static REACTION: Reaction = Reaction {
    name: "discoveries-run",
    summary: "Reads a customer's schema for whoever asked for it",
    woken_by: Trigger::Stream {
        table: TableName::Discoveries,
        items: discoveries::JOBS,
        changes: &[Change::Insert],
    },
    function: Function {
        grants: &[
            Grant::Append,
            Grant::ReadArtefacts,
            Grant::WriteArtefacts,
            Grant::OpenCredentials,
            Grant::Discoveries,
            Grant::Dial,
        ],
        // A schema of 10,000 tables is parsed, compared and packed in memory.
        memory_mb: 1769,
        timeout: Duration::from_secs(180),
    },
    handle: |woken| -> Handled { Box::pin(handle(woken)) },
};

async fn handle(woken: Woken) -> Result<Reacted, String> {
    let (mut ran, mut wrong) = (0, Vec::new());
    for record in records::batch(&woken.event)? {
        // What else is in the table wakes nobody.
        let Some((organization, kind, id)) = asked(&record) else { continue };
        let store = woken.aws.discoveries.as_ref();
        let done = match store.to_run(&organization, kind, id).await {
            // It has ended and expired, or was given up.
            Ok(None) => Ok(false),
            Ok(Some(job)) => carry_out(&woken.aws.services, store, &job).await,
            Err(error) => Err(error.to_string()),
        };
        match done {
            Ok(done) => ran += u64::from(done),
            Err(error) => wrong.push(error),
        }
    }
    Ok(Reacted { answer: json!({ "ran": ran }), counts: vec![("DiscoveriesRun", ran)], wrong })
}

/// The job that a record tells of.
fn asked(record: &Record) -> Option<(OrganizationId, IntegrationKind, &str)> {
    let (kind, id) = discoveries::job_of(record.item()?)?;
    Some((OrganizationId::from(record.organization()?), kind, id))
}

/// Runs one job to its end. False when it had ended already, or was given to another meanwhile.
///
/// # Errors
/// One sentence when its end could not be kept: the record is to come again.
pub async fn carry_out(
    services: &Arc<Services>,
    store: &dyn DiscoveryStore,
    job: &DiscoveryJob,
) -> Result<bool, String> {
    if !matches!(job.progress, DiscoveryProgress::Running { .. }) {
        return Ok(false);
    }
    let tables = AtomicU64::new(0);
    let progress = |count: u64| tables.store(count, Ordering::Relaxed);
    let mut running = std::pin::pin!(run::run(services, job, &progress));
    let ending = loop {
        // At once for the first time: who comes too late finds out before the database is asked.
        match store.advance(job, tables.load(Ordering::Relaxed)).await {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(error) => tracing::warn!(%error, id = job.id, "a sign of life was lost"),
        }
        if let Ok(ending) = tokio::time::timeout(DISCOVERY_SIGN, &mut running).await {
            break ending;
        }
    };
    store
        .end(job, ending.to_json())
        .await
        .map_err(|error| format!("the end of {} was not kept: {error}", job.id))?;
    Ok(true)
}

#[cfg(test)]
#[path = "discover_tests.rs"]
mod tests;
