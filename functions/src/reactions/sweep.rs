//! What nobody came back for: views that are behind because a doorbell was lost, answers that a dead function left
//! running, sealed credentials that were to be destroyed. What has expired goes by itself.

use super::{Handled, Reacted, Reaction, Trigger, Woken};
use crate::endpoint::{Function, Grant};
use crate::skills::answers::settle_abandoned;
use serde_json::json;
use std::time::Duration;

pub static REACTION: Reaction = Reaction {
    name: "leftovers-sweep",
    summary: "Brings late views to the head, settles abandoned answers, destroys ended credentials",
    woken_by: Trigger::Schedule { every: Duration::from_secs(300) },
    function: Function {
        grants: &[Grant::SeeAllOrganizations, Grant::Project, Grant::KeepAnswers, Grant::ShredCredentials],
        memory_mb: 512,
        timeout: Duration::from_secs(280),
    },
    handle: |woken| -> Handled { Box::pin(handle(woken)) },
};

/// Each part is tried, whatever became of the one before.
async fn handle(woken: Woken) -> Result<Reacted, String> {
    let services = &woken.aws.services;
    let (mut late, mut wrong) = (0, Vec::new());
    match woken.aws.store.sweep().await {
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
    let in_doubt = match settle_abandoned(services).await {
        Ok(in_doubt) => in_doubt,
        Err(problem) => {
            wrong.push(format!("abandoned answers: {}", problem.detail));
            0
        }
    };
    if in_doubt > 0 {
        tracing::warn!(in_doubt, "writes were cut off; they stay in doubt");
    }
    if let Err(error) = services.shred_leftovers().await {
        wrong.push(format!("ended credentials: {error}"));
    }
    if wrong.is_empty() {
        let counts = vec![("OrganizationsLate", late), ("WritesInDoubt", in_doubt)];
        return Ok(Reacted { answer: json!({ "late": late, "inDoubt": in_doubt }), counts });
    }
    Err(wrong.join("; "))
}
