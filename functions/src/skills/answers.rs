//! What is said of requests that a dead process left behind.

use super::doubts::Doubt;
use super::repeats::CALL_PREFIX;
use crate::problem::Problem;
use crate::services::Services;
use infra::sealing::Sealed;
use infra::storage::{Abandoned, AnswerSlot, AnswerState, Settlement};
use std::collections::HashSet;

/// What became of them.
#[derive(Default)]
pub struct Settled {
    /// Writes to customers' databases that may have been committed: their database is to be asked.
    pub doubts: Vec<Doubt>,
    /// Those of which not even that is known.
    pub for_a_person: u64,
    /// Why some stay as they are until the next time.
    pub failed: Vec<Problem>,
}

/// What ran when its process died: at a start, and whenever the sweeper comes by. One that fails keeps no other from
/// being settled.
///
/// A change of configuration is handed back, because the log knows whether it happened; and a write to a customer's
/// database that was never marked, because it was never committed.
pub async fn settle_abandoned(services: &Services) -> Settled {
    let mut settled = Settled::default();
    let abandoned = services.answers.abandoned().await.unwrap_or_else(|error| {
        settled.failed.push(error.into());
        Vec::new()
    });
    // The slots of one write share its evidence.
    let mut seen = HashSet::new();
    for Abandoned { slot, evidence } in abandoned {
        let done = match evidence {
            Some(evidence) if slot.key.starts_with(CALL_PREFIX) => {
                if !seen.insert((slot.organization.clone(), evidence.body.clone()))
                    && !evidence.body.is_empty()
                {
                    continue;
                }
                match Doubt::open(services, &slot.organization, &evidence).await {
                    Ok(Some(doubt)) => doubt.leave(services).await.map_err(Problem::from).map(|is_there| {
                        settled.doubts.extend(is_there.then_some(doubt));
                    }),
                    Ok(None) => leave_to_a_person(services, slot, &evidence).await.map(|()| {
                        settled.for_a_person += 1;
                    }),
                    Err(problem) => Err(problem),
                }
            }
            Some(_) | None => services.answers.release(&[slot]).await.map_err(Problem::from),
        };
        settled.failed.extend(done.err());
    }
    settled
}

async fn leave_to_a_person(services: &Services, slot: AnswerSlot, evidence: &Sealed) -> Result<(), Problem> {
    // Of a release that did not mark there is nothing that it could be known by.
    if evidence.body.is_empty() {
        let kept = [(slot, evidence.clone())];
        return Ok(services.answers.finish(&kept, AnswerState::InDoubt, None).await?);
    }
    services.answers.settle(&[slot], evidence, Settlement::ForAPerson).await?;
    Ok(())
}
