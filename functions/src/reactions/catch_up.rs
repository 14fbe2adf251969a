//! Puts on the bus what was left because a record was lost, or the bus or the time was not there.

use super::publish::until;
use super::{Handled, Reacted, Reaction, Trigger, Woken};
use crate::endpoint::{Function, Grant};
use events::OrganizationId;
use futures_util::{StreamExt, stream};
use serde_json::json;
use std::time::Duration;

/// Organizations at the same time.
const AT_ONCE: usize = 16;

pub static REACTION: Reaction = Reaction {
    name: "events-catch-up",
    summary: "Puts on the event bus what was left behind",
    woken_by: Trigger::Schedule { every: Duration::from_secs(300) },
    function: Function {
        grants: &[
            Grant::SeeAllOrganizations,
            Grant::PublishEvents,
            Grant::ReadDeliveries,
            Grant::WriteDeliveries,
        ],
        memory_mb: 256,
        timeout: Duration::from_secs(280),
    },
    handle: |woken| -> Handled { Box::pin(handle(woken)) },
};

async fn handle(woken: Woken) -> Result<Reacted, String> {
    let (services, bus) = (&woken.aws.services, woken.aws.bus.as_ref());
    let until = until(REACTION.function);
    let organizations = services.log.organizations().await.map_err(|error| error.to_string())?;
    let one = |organization: OrganizationId| async move {
        let published = services.publish_due(bus, &organization, until).await;
        (organization, published)
    };
    let all: Vec<_> = stream::iter(organizations).map(one).buffer_unordered(AT_ONCE).collect().await;
    let (mut published, mut wrong) = (0, Vec::new());
    for (organization, done) in all {
        match done {
            Ok(done) => published += done.events,
            Err(problem) => wrong.push(format!("events of {organization}: {}", problem.detail)),
        }
    }
    let counts = vec![("EventsPublishedLate", published)];
    Ok(Reacted { answer: json!({ "published": published }), counts, wrong })
}
