//! `GET /events`

use super::who::Who;
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, QueryParameter, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::pages::Pagination;
use crate::problem::{Code, Problem};
use domain::{FieldError, nearest};
use events::{Event, EventId, Recorded, RequestId, Seq, Subject, WireEvent};
use http::Method;
use infra::storage::directory::KeyNames;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::HashSet;

/// Read from the log at once while looking for the types asked for.
const BATCH: usize = 500;

/// An event as subscribers get it, and who did it as far as that is known today.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventItem {
    seq: Seq,
    id: EventId,
    r#type: String,
    version: u32,
    subject: Subject,
    actor: Who,
    request_id: RequestId,
    /// The event that this one follows from; absent when it is what the request itself asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<EventId>,
    #[schemars(with = "String")]
    recorded_at: Timestamp,
    data: Value,
    prev_hash: String,
    hash: String,
}

impl EventItem {
    fn of(recorded: &Recorded, names: &KeyNames) -> Self {
        let WireEvent {
            seq,
            id,
            name,
            version,
            subject,
            actor,
            request_id,
            cause,
            recorded_at,
            data,
            prev_hash,
            hash,
        } = recorded.on_the_wire();
        let actor = Who::of(&actor, names);
        Self {
            seq,
            id,
            r#type: name,
            version,
            subject,
            actor,
            request_id,
            cause,
            recorded_at,
            data,
            prev_hash,
            hash,
        }
    }
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "events-list",
    method: Method::GET,
    path: "/events",
    scope: Scope::AuditRead,
    summary: "The event log in order; total counts all events of the organization",
    query: &[
        QueryParameter { name: "after", required: false, meaning: "Starts after this sequence number" },
        QueryParameter { name: "types", required: false, meaning: "Comma list of event types" },
    ],
    request: None,
    response: schema::<EventItem>,
    shape: Shape::List,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function { grants: &[Grant::ReadNames], ..Function::READ },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let page = context.page()?;
    let types = wanted_types(context.query("types"))?;
    let start = page.after.as_deref().or(context.query("after")).unwrap_or("0");
    let mut at = position("after", start)?;
    let organization = &context.caller.organization;
    let head = context.services.log.head(organization).await?;
    let names = context.services.directory.names(organization).await?;
    let mut items: Vec<EventItem> = Vec::new();
    let mut more = false;
    // Without a filter every event read is shown, so no more than the page is read.
    let batch_size = if types.is_some() { BATCH } else { page.limit as usize + 1 };
    'log: while at < head {
        let batch = context.services.log.read(organization, at, batch_size).await?;
        let Some(last) = batch.last().map(|event| event.seq) else { break };
        for event in &batch {
            if types.as_ref().is_some_and(|types| !types.contains(event.event.name())) {
                continue;
            }
            if items.len() == page.limit as usize {
                more = true;
                break 'log;
            }
            items.push(EventItem::of(event, &names));
        }
        at = last;
    }
    let last = items.last().map(|item| item.seq.to_string());
    let next_cursor = last.filter(|_| more).map(|last| page.cursor(&last));
    Ok(Reply::list(&items, &Pagination { limit: page.limit, next_cursor, total: head.0 }))
}

pub fn position(field: &str, text: &str) -> Result<Seq, Problem> {
    text.parse().map(Seq).map_err(|_| Problem::field(field, "must be a sequence number, 0 or more"))
}

pub fn wanted_types(types: Option<&str>) -> Result<Option<HashSet<&str>>, Problem> {
    let Some(types) = types else { return Ok(None) };
    let known = || Event::ALL.iter().map(|(name, _)| *name);
    let wanted: HashSet<&str> = types.split(',').map(str::trim).collect();
    let unknown = wanted.iter().filter(|name| !known().any(|known| known == **name));
    let errors: Vec<FieldError> = unknown
        .map(|name| {
            FieldError::new("types", "unknown_type", format!("{name:?} is no event type"))
                .nearest(nearest::nearest(name, known()))
        })
        .collect();
    if errors.is_empty() { Ok(Some(wanted)) } else { Err(Problem::fields(Code::ValidationError, errors)) }
}
