//! Delivers events to webhooks when an organization's head has moved.
//!
//! As the projector, it believes nothing of the record but whose head it is: what is to be delivered is read from the
//! log behind each subscription's cursor. Records of one organization come one after the other. What failed is tried
//! again here while that is soon; what is due later, or was left when the time was over, [`super::retry`] delivers.

use super::records::{self, Record};
use super::{Change, Handled, Reacted, Reaction, Trigger, Woken};
use crate::endpoint::{Function, Grant};
use domain::limits::WEBHOOK_TIMEOUT;
use events::OrganizationId;
use infra::storage::dynamodb::tables::TableName;
use serde_json::json;
use std::time::{Duration, Instant};

const HEAD: &str = "HEAD";

pub static REACTION: Reaction = Reaction {
    name: "webhooks-deliver",
    summary: "Delivers an organization's new events to its webhooks",
    // The second reader of this stream, beside the pipe of the doorbells: DynamoDB serves two.
    woken_by: Trigger::Stream {
        table: TableName::Heads,
        items: HEAD,
        changes: &[Change::Insert, Change::Modify],
    },
    function: Function {
        grants: &[Grant::Append, Grant::Dial, Grant::ReadDeliveries, Grant::WriteDeliveries],
        memory_mb: 512,
        timeout: Duration::from_secs(60),
    },
    handle: |woken| -> Handled { Box::pin(handle(woken)) },
};

/// Kept of the time for what a last attempt leaves to be written.
const SPARE: Duration = Duration::from_secs(5);

/// When the last attempt of an invocation may begin, so that it can end.
pub fn until(function: Function) -> Instant {
    Instant::now() + function.timeout.saturating_sub(WEBHOOK_TIMEOUT + SPARE)
}

async fn handle(woken: Woken) -> Result<Reacted, String> {
    let until = until(REACTION.function);
    let (mut delivered, mut wrong) = (0, Vec::new());
    for record in records::batch(&woken.event)? {
        let Some(organization) = moved(&record) else { continue };
        match woken.aws.services.deliver_soon(&organization, until).await {
            Ok(done) => delivered += done.events,
            Err(problem) => wrong.push(format!("webhooks of {organization}: {}", problem.detail)),
        }
    }
    let counts = vec![("WebhookEvents", delivered)];
    Ok(Reacted { answer: json!({ "delivered": delivered }), counts, wrong })
}

/// Whose head a record tells of. The stream's filter lets through what begins like it.
fn moved(record: &Record) -> Option<OrganizationId> {
    let is_head = record.item() == Some(HEAD);
    record.organization().filter(|_| is_head).map(OrganizationId::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(organization: &str, item: &str) -> Option<OrganizationId> {
        let keys = json!({ "organization": { "S": organization }, "item": { "S": item } });
        let event = json!({ "Records": [{ "eventName": "MODIFY", "dynamodb": { "Keys": keys } }] });
        moved(&records::batch(&event).expect("a batch")[0])
    }

    #[test]
    fn a_head_names_its_organization_and_what_only_begins_like_one_names_none() {
        assert_eq!(of("clinic", "HEAD"), Some(OrganizationId::from("clinic")));
        assert_eq!(of("ORGANIZATIONS", "HEADQUARTERS"), None);
    }

    #[test]
    fn an_attempt_that_begins_last_can_end_within_the_invocation() {
        for function in [REACTION.function, super::super::retry::REACTION.function] {
            let left = until(function).saturating_duration_since(Instant::now());
            assert!(left > Duration::from_secs(10) && left + WEBHOOK_TIMEOUT < function.timeout, "{left:?}");
        }
    }
}
