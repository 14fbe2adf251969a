//! What nobody came back for: views that are behind because a doorbell was lost, answers that a dead function left
//! running, writes whose end nobody saw, sealed credentials that were to be destroyed. What has expired goes by itself.

use super::{Handled, Reacted, Reaction, Trigger, Woken};
use crate::endpoint::{Function, Grant};
use crate::skills::answers::settle_abandoned;
use crate::skills::doubts::Found;
use domain::limits::STATEMENT_TIMEOUT;
use serde_json::json;
use std::time::{Duration, Instant};

/// Kept of the function's time for what it says at its end.
const SPARE: Duration = Duration::from_secs(20);
/// How much of it databases that do not answer may take from the rest.
const ASKING: Duration = Duration::from_secs(60);

pub static REACTION: Reaction = Reaction {
    name: "leftovers-sweep",
    summary: "Brings late views to the head, settles abandoned answers, destroys ended credentials",
    woken_by: Trigger::Schedule { every: Duration::from_secs(300) },
    function: Function {
        grants: &[
            Grant::SeeAllOrganizations,
            Grant::Project,
            Grant::KeepAnswers,
            Grant::ShredCredentials,
            Grant::Dial,
            Grant::OpenCredentials,
        ],
        memory_mb: 512,
        timeout: Duration::from_secs(280),
    },
    handle: |woken| -> Handled { Box::pin(handle(woken)) },
};

/// Each part is tried, whatever became of the one before: what secrets and writes are about first, and then as many
/// views as there is time for. Those that are left are no less late for the next round.
async fn handle(woken: Woken) -> Result<Reacted, String> {
    let services = &woken.aws.services;
    let give_up = Instant::now() + REACTION.function.timeout.saturating_sub(SPARE);
    let asked_until = Instant::now() + ASKING;
    let settled = settle_abandoned(services).await;
    let mut in_doubt = settled.for_a_person;
    let mut wrong: Vec<String> =
        settled.failed.into_iter().map(|problem| format!("abandoned answers: {}", problem.detail)).collect();
    for doubt in settled.doubts {
        // Those that there is no time for are asked about by the next round, or by whoever repeats the write.
        let deadline = (Instant::now() + STATEMENT_TIMEOUT).min(asked_until);
        if Instant::now() >= asked_until {
            in_doubt += 1;
            continue;
        }
        match services.find_out(&doubt, deadline).await {
            Ok(Found::Settled) => {}
            Ok(Found::Open | Found::ForAPerson) => in_doubt += 1,
            Err(problem) => wrong.push(format!("a write in doubt: {}", problem.detail)),
        }
    }
    if in_doubt > 0 {
        tracing::warn!(in_doubt, "writes are in doubt, and their database could not tell");
    }
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
    let counts = vec![("OrganizationsLate", late), ("WritesInDoubt", in_doubt)];
    Ok(Reacted { answer: json!({ "late": late, "inDoubt": in_doubt }), counts, wrong })
}
