//! Brings the views of organizations whose doorbell rang to the head of their log.
//!
//! What a doorbell says beyond the organization is not believed: the projector pulls what is there. So one that rings
//! twice, late or out of order does no harm, and the sweeper finds what a lost one has left behind.

use super::records::Record;
use super::{Handled, Reacted, Reaction, Trigger, Woken};
use crate::endpoint::{Function, Grant};
use domain::limits::PAST_EVERY;
use events::OrganizationId;
use infra::storage::dynamodb::tables::TableName;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

pub static REACTION: Reaction = Reaction {
    name: "views-project",
    summary: "Brings the views of an organization to the head of its log",
    woken_by: Trigger::Doorbells { table: TableName::Heads, item: "HEAD" },
    function: Function {
        grants: &[Grant::Project, Grant::KeepPast],
        memory_mb: 512,
        timeout: Duration::from_secs(60),
    },
    handle: |woken| -> Handled { Box::pin(handle(woken)) },
};

#[derive(Deserialize)]
struct Batch {
    #[serde(rename = "Records")]
    records: Vec<Message>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    message_id: String,
    body: String,
}

/// Messages by their organization; those without one are to come again, until the queue puts them aside.
#[derive(Debug, Default, PartialEq)]
struct Doorbells {
    by_organization: BTreeMap<OrganizationId, Vec<String>>,
    unreadable: Vec<String>,
}

fn doorbells(event: &Value) -> Result<Doorbells, String> {
    let batch = Batch::deserialize(event).map_err(|_| "the event is no batch of a queue".to_owned())?;
    let mut doorbells = Doorbells::default();
    for message in batch.records {
        let record: Option<Record> = serde_json::from_str(&message.body).ok();
        match record.as_ref().and_then(Record::organization) {
            Some(organization) => {
                let rung = doorbells.by_organization.entry(OrganizationId::from(organization));
                rung.or_default().push(message.message_id);
            }
            None => doorbells.unreadable.push(message.message_id),
        }
    }
    Ok(doorbells)
}

async fn handle(woken: Woken) -> Result<Reacted, String> {
    let Doorbells { by_organization, unreadable } = doorbells(&woken.event)?;
    let (mut again, mut projected, mut grown) = (unreadable, 0, Vec::new());
    for (organization, messages) in by_organization {
        match woken.aws.store.project(&organization).await {
            Ok(done) => {
                projected += done.behind();
                if done.to.0 / PAST_EVERY > done.from.0 / PAST_EVERY {
                    grown.push(organization);
                }
            }
            Err(error) => {
                tracing::warn!(%organization, %error, "the views stay behind until the doorbell rings again");
                again.extend(messages);
            }
        }
    }
    // Views first: states of the past are only there for those who ask about it.
    for organization in grown {
        if let Err(error) = woken.aws.services.past.keep_up(&organization).await {
            tracing::warn!(%organization, %error, "states of the past are not kept for now");
        }
    }
    let failed = again.len() as u64;
    let again: Vec<Value> = again.into_iter().map(|id| json!({ "itemIdentifier": id })).collect();
    Ok(Reacted {
        answer: json!({ "batchItemFailures": again }),
        counts: vec![("EventsProjected", projected), ("DoorbellsFailed", failed)],
        ..Reacted::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_doorbells_of_one_organization_are_one() {
        let event = serde_json::from_str(include_str!("samples/doorbells.json")).unwrap();
        let doorbells = doorbells(&event).expect("a batch");
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let expected = BTreeMap::from([
            (
                OrganizationId::from("default"),
                ids(&["11d6ee51-4cc7-4302-9e22-7cd8afdaadf5", "d2c4b1a0-9a59-4c1b-8f0e-2f6cf3a7e0a1"]),
            ),
            (OrganizationId::from("clinic"), ids(&["059f36b4-87a3-44ab-83d2-661975830a7d"])),
        ]);
        assert_eq!(doorbells.by_organization, expected);
        assert_eq!(doorbells.unreadable, ids(&["2e1424d4-f796-459a-8184-9c92662be6da"]));
    }

    #[test]
    fn what_is_no_batch_is_an_error_and_not_an_empty_one() {
        assert!(doorbells(&json!({ "detail-type": "Scheduled Event" })).is_err());
    }
}
