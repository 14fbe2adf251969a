//! `GET /audit/checkpoint`

use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::history::checkpoint::Checkpoint;
use crate::problem::Problem;
use http::Method;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "audit-checkpoint",
    method: Method::GET,
    path: "/audit/checkpoint",
    scope: Scope::AuditRead,
    summary: "Where the log ends, signed: kept outside, it shows later whether the log was rewritten",
    query: &[],
    request: None,
    response: schema::<Checkpoint>,
    shape: Shape::One,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function { grants: &[Grant::SignCheckpoints], ..Function::READ },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    Ok(Reply::ok(&context.checkpoint().await?))
}
