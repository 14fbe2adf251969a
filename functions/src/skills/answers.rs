//! What is said of requests that a dead process left behind.

use super::outcome::{Answer, CallBody};
use super::repeats::CALL_PREFIX;
use crate::endpoint::Reply;
use crate::idempotency;
use crate::problem::Problem;
use crate::services::Services;
use infra::storage::{AnswerSlot, AnswerState};

/// What became of them.
#[derive(Default)]
pub struct Settled {
    /// Writes to customers' databases that nobody will know the end of from us.
    pub in_doubt: u64,
    /// Why some stay as they are until the next time.
    pub failed: Vec<Problem>,
}

/// What ran when its process died: at a start, and whenever the sweeper comes by. One that fails keeps no other from
/// being settled.
///
/// A write to a customer's database is in doubt and does not run again. A change of configuration is handed back,
/// because the log knows whether it happened.
pub async fn settle_abandoned(services: &Services) -> Settled {
    let mut settled = Settled::default();
    let abandoned = services.answers.abandoned().await.unwrap_or_else(|error| {
        settled.failed.push(error.into());
        Vec::new()
    });
    for slot in abandoned {
        let is_write = slot.key.starts_with(CALL_PREFIX);
        match settle(services, slot, is_write).await {
            Ok(()) => settled.in_doubt += u64::from(is_write),
            Err(problem) => settled.failed.push(problem),
        }
    }
    settled
}

async fn settle(services: &Services, slot: AnswerSlot, is_write: bool) -> Result<(), Problem> {
    if !is_write {
        return Ok(services.answers.release(&[slot]).await?);
    }
    let answer = Answer::in_doubt();
    let reply = Reply::ok(&CallBody::without_rows(&answer));
    let sealed = idempotency::seal(services, &slot, &reply).await?;
    Ok(services.answers.finish(&[(slot, sealed)], AnswerState::InDoubt, None).await?)
}
