//! Puts events on the deployment's bus when an organization's log has grown.
//!
//! A commit's record is a doorbell as good as a moved head's, whose stream has its two readers already. As everybody
//! who hears one, it believes nothing but the organization, and pulls what the log holds behind its cursor.

use super::records;
use super::{Change, Handled, Reacted, Reaction, Trigger, Woken};
use crate::endpoint::{Function, Grant};
use events::OrganizationId;
use infra::storage::dynamodb::tables::TableName;
use serde_json::json;
use std::time::{Duration, Instant};

/// What the keys of commits begin with.
const COMMIT: &str = "C#";
/// Kept of the time for what a last request leaves to be written.
const SPARE: Duration = Duration::from_secs(15);

pub static REACTION: Reaction = Reaction {
    name: "events-publish",
    summary: "Puts an organization's new events on the event bus",
    woken_by: Trigger::Stream { table: TableName::Commits, items: COMMIT, changes: &[Change::Insert] },
    function: Function {
        grants: &[Grant::PublishEvents, Grant::ReadDeliveries, Grant::WriteDeliveries],
        memory_mb: 256,
        timeout: Duration::from_secs(60),
    },
    handle: |woken| -> Handled { Box::pin(handle(woken)) },
};

pub fn until(function: Function) -> Instant {
    Instant::now() + function.timeout.saturating_sub(SPARE)
}

async fn handle(woken: Woken) -> Result<Reacted, String> {
    let until = until(REACTION.function);
    let (mut published, mut wrong) = (0, Vec::new());
    for record in records::batch(&woken.event)? {
        let Some(organization) = record.organization().map(OrganizationId::from) else { continue };
        match woken.aws.services.publish_due(woken.aws.bus.as_ref(), &organization, until).await {
            Ok(done) => published += done.events,
            Err(problem) => wrong.push(format!("events of {organization}: {}", problem.detail)),
        }
    }
    let counts = vec![("EventsPublished", published)];
    Ok(Reacted { answer: json!({ "published": published }), counts, wrong })
}
