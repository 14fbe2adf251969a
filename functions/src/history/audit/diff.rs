//! `GET /audit/diff`

use super::Point;
use super::view::View;
use super::words::Told;
use crate::body::schema;
use crate::changes::{Change, changes};
use crate::clock;
use crate::endpoint::{Context, Endpoint, Function, QueryParameter, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use events::Seq;
use http::Method;
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffResponse {
    from: Seq,
    to: Seq,
    /// What is otherwise at `to` than at `from`, by its path in `GET /audit/state`.
    changes: Vec<Change>,
    /// What happened in between and who did it, oldest first; the first hundred.
    events: Vec<Told>,
    /// How many happened.
    event_count: u64,
}

/// Events that one answer tells; the rest is in `GET /events`.
const TOLD: usize = 100;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "audit-diff",
    method: Method::GET,
    path: "/audit/diff",
    scope: Scope::AuditRead,
    summary: "What changed between two instants, and who changed it",
    query: &[
        QueryParameter {
            name: "from",
            required: true,
            meaning: "An instant in RFC 3339, or a sequence number",
        },
        QueryParameter { name: "to", required: false, meaning: "The same; now when absent" },
    ],
    request: None,
    response: schema::<DiffResponse>,
    shape: Shape::One,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function::PAST,
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let from = context.point("from", context.query("from").unwrap_or_default()).await?;
    let to = match context.query("to") {
        Some(to) => context.point("to", to).await?,
        None => Point { seq: context.caller.state.head, at: None },
    };
    if to.seq < from.seq {
        let message = format!("must not be before from, which is {}", from.seq);
        return Err(Problem::field("to", message));
    }
    let before = view(&context, from).await?;
    let after = view(&context, to).await?;
    let count = to.seq.0 - from.seq.0;
    let wanted = usize::try_from(count).unwrap_or(TOLD).min(TOLD);
    let told = context.services.log.read(&context.caller.organization, from.seq, wanted).await?;
    Ok(Reply::ok(&DiffResponse {
        from: from.seq,
        to: to.seq,
        changes: changes(&before, &after),
        events: told.iter().map(Told::of).collect(),
        event_count: count,
    }))
}

async fn view(context: &Context, point: Point) -> Result<serde_json::Value, Problem> {
    let state = context.state_at(point).await?;
    let view = View::of(&state, point.at.unwrap_or_else(clock::now));
    Ok(serde_json::to_value(view).expect("a view is JSON"))
}
