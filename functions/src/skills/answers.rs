//! Kept answers of live writes, and what is said of a write that a dead process left behind.

use super::outcome::{Answer, CallBody};
use super::repeats::CALL_PREFIX;
use crate::endpoint::Reply;
use crate::idempotency::{self, CHANGE_PREFIX};
use crate::problem::Problem;
use crate::services::Services;
use infra::storage::{AnswerSlot, AnswerState};

pub async fn keep(
    services: &Services,
    slot: &AnswerSlot,
    state: AnswerState,
    reply: &Reply,
) -> Result<(), Problem> {
    let sealed = idempotency::seal(services, slot, reply).await?;
    Ok(services.answers.finish(slot, state, &sealed).await?)
}

pub async fn open(
    services: &Services,
    slot: &AnswerSlot,
    sealed: &infra::sealing::Sealed,
) -> Result<Reply, Problem> {
    idempotency::open(services, slot, sealed).await
}

/// At start: what ran when the process died.
///
/// A change of configuration is handed back, because the log knows whether it happened. A write to a customer's
/// database is in doubt and does not run again.
pub async fn settle_abandoned(services: &Services) -> Result<u64, Problem> {
    let mut in_doubt = 0;
    for slot in services.answers.abandoned().await? {
        if slot.key.starts_with(CHANGE_PREFIX) {
            services.answers.release(&slot).await?;
        } else if slot.key.starts_with(CALL_PREFIX) {
            let error = infra::databases::DatabaseError::new(infra::databases::error::Fault::InDoubt, "");
            let answer = Answer::failed(&error, events::skill::Action::Update);
            let body = CallBody::without_rows(&answer);
            keep(services, &slot, AnswerState::InDoubt, &Reply::ok(&body)).await?;
            in_doubt += 1;
        }
    }
    Ok(in_doubt)
}
