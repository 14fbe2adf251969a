//! `GET /audit/state`

use super::view::View;
use crate::body::schema;
use crate::clock;
use crate::endpoint::{Context, Endpoint, Function, Grant, QueryParameter, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use events::Seq;
use http::Method;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateResponse {
    /// The last event that counted.
    seq: Seq,
    /// The instant that keys are judged by.
    #[schemars(with = "String")]
    at: Timestamp,
    state: View,
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "audit-state",
    method: Method::GET,
    path: "/audit/state",
    scope: Scope::AuditRead,
    summary: "What was connected, blocked, published and runnable at an instant, and which keys were in force",
    query: &[QueryParameter {
        name: "at",
        required: false,
        meaning: "An instant in RFC 3339, or the sequence number of the last event to count; now when absent",
    }],
    request: None,
    response: schema::<StateResponse>,
    shape: Shape::One,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function { grants: &[Grant::KeepPast, Grant::ReadNames], ..Function::HISTORY },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let (seq, at, state) = match context.query("at") {
        None => {
            let state = context.caller.state.clone();
            (state.head, None, state)
        }
        Some(at) => {
            let (services, organization) = (&context.services, &context.caller.organization);
            let point = services.point(organization, "at", at).await?;
            (point.seq, point.at, services.past.state(organization, point.seq).await?)
        }
    };
    let at = at.unwrap_or_else(clock::now);
    let names = context.services.directory.names(&context.caller.organization).await?;
    Ok(Reply::ok(&StateResponse { seq, at, state: View::of(&state, at, &names) }))
}
