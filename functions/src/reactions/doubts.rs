//! Requests that a dead function left running, and writes whose end nobody saw: asked about until it is known, also
//! when nobody repeats the write.

use super::{Handled, Reacted, Reaction, Trigger, Woken};
use crate::endpoint::{Function, Grant};
use crate::skills::answers::settle_abandoned;
use crate::skills::doubts::{Doubt, Found};
use domain::limits::{DOUBT_ASKED_AGAIN_MAX, DOUBTS_ASKED_AT_ONCE, STATEMENT_TIMEOUT};
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::json;
use std::time::{Duration, Instant};

/// As often as a schedule can be. Each round goes on asking until the next one begins, so a database that is back is
/// asked within seconds.
const EVERY: Duration = Duration::from_secs(60);
/// Kept of the function's time for what it says at its end.
const SPARE: Duration = Duration::from_secs(10);

pub static REACTION: Reaction = Reaction {
    name: "doubts-settle",
    summary: "Asks customers' databases about writes whose end nobody saw, and settles abandoned answers",
    woken_by: Trigger::Schedule { every: EVERY },
    function: Function {
        grants: &[
            Grant::SeeAllOrganizations,
            Grant::KeepAnswers,
            Grant::KeepCalls,
            Grant::Dial,
            Grant::OpenCredentials,
        ],
        memory_mb: 256,
        timeout: EVERY,
    },
    handle: |woken| -> Handled { Box::pin(handle(woken)) },
};

async fn handle(woken: Woken) -> Result<Reacted, String> {
    let services = &woken.aws.services;
    let give_up = Instant::now() + REACTION.function.timeout.saturating_sub(SPARE);
    let settled = settle_abandoned(services).await;
    let mut for_a_person = settled.for_a_person;
    let mut wrong: Vec<String> =
        settled.failed.into_iter().map(|problem| format!("abandoned answers: {}", problem.detail)).collect();
    let mut open = settled.doubts;
    loop {
        let ask = async |doubt: Doubt| {
            let deadline = give_up.min(Instant::now() + STATEMENT_TIMEOUT);
            let found = services.find_out(&doubt, deadline).await;
            (doubt, found)
        };
        let asked: Vec<_> =
            stream::iter(open).map(ask).buffer_unordered(DOUBTS_ASKED_AT_ONCE).collect().await;
        open = Vec::new();
        for (doubt, found) in asked {
            match found {
                Ok(Found::Settled) => {}
                Ok(Found::Open) => open.push(doubt),
                Ok(Found::ForAPerson) => for_a_person += 1,
                Err(problem) => wrong.push(format!("a write in doubt: {}", problem.detail)),
            }
        }
        if open.is_empty() || Instant::now() + DOUBT_ASKED_AGAIN_MAX >= give_up {
            break;
        }
        tokio::time::sleep(DOUBT_ASKED_AGAIN_MAX).await;
    }
    let in_doubt = open.len() as u64 + for_a_person;
    if in_doubt > 0 {
        tracing::warn!(in_doubt, for_a_person, "writes are in doubt, and their database could not tell");
    }
    Ok(Reacted { answer: json!({ "inDoubt": in_doubt }), counts: vec![("WritesInDoubt", in_doubt)], wrong })
}
