//! What is said of requests that a dead process left behind.

use super::outcome::{Answer, CallBody};
use super::repeats::CALL_PREFIX;
use crate::endpoint::Reply;
use crate::idempotency;
use crate::problem::Problem;
use crate::services::Services;
use infra::storage::AnswerState;

/// At start: what ran when the process died.
///
/// A write to a customer's database is in doubt and does not run again. A change of configuration is handed back,
/// because the log knows whether it happened.
pub async fn settle_abandoned(services: &Services) -> Result<u64, Problem> {
    let mut in_doubt = 0;
    for slot in services.answers.abandoned().await? {
        if slot.key.starts_with(CALL_PREFIX) {
            let answer = Answer::in_doubt();
            let reply = Reply::ok(&CallBody::without_rows(&answer));
            let sealed = idempotency::seal(services, &slot, &reply).await?;
            services.answers.finish(&[(slot, sealed)], AnswerState::InDoubt, None).await?;
            in_doubt += 1;
        } else {
            services.answers.release(&[slot]).await?;
        }
    }
    Ok(in_doubt)
}
