//! What nobody came back for: views that are behind because a doorbell was lost, sealed credentials that were to be
//! destroyed. What has expired goes by itself.

use super::{Handled, Reacted, Reaction, Trigger, Woken};
use crate::endpoint::{Function, Grant};
use serde_json::json;
use std::time::{Duration, Instant};

/// Kept of the function's time for what it says at its end.
const SPARE: Duration = Duration::from_secs(20);

pub static REACTION: Reaction = Reaction {
    name: "leftovers-sweep",
    summary: "Brings late views to the head, destroys ended credentials",
    woken_by: Trigger::Schedule { every: Duration::from_secs(300) },
    function: Function {
        grants: &[Grant::SeeAllOrganizations, Grant::Project, Grant::ShredCredentials],
        memory_mb: 512,
        timeout: Duration::from_secs(280),
    },
    handle: |woken| -> Handled { Box::pin(handle(woken)) },
};

/// Each part is tried, whatever became of the one before: what secrets are about first, and then as many
/// views as there is time for. Those that are left are no less late for the next round.
async fn handle(woken: Woken) -> Result<Reacted, String> {
    let services = &woken.aws.services;
    let give_up = Instant::now() + REACTION.function.timeout.saturating_sub(SPARE);
    let mut wrong = Vec::new();
    for (organization, error) in services.shred_leftovers().await {
        wrong.push(format!("ended credentials of {organization}: {error}"));
    }
    let mut late = 0;
    match woken.aws.store.sweep(give_up).await {
        Ok(swept) => {
            for it in swept {
                match it.projected {
                    Ok(projected) => late += u64::from(projected.behind() > 0),
                    Err(error) => wrong.push(format!("views of {}: {error}", it.organization)),
                }
            }
        }
        Err(error) => wrong.push(format!("organizations: {error}")),
    }
    let counts = vec![("OrganizationsLate", late)];
    Ok(Reacted { answer: json!({ "late": late }), counts, wrong })
}
