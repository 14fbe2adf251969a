//! `GET /integrations/{kind}/scoping`

use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use domain::scoping;
use events::scoping::Blocked;
use http::Method;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "integrations-scoping-get",
    method: Method::GET,
    path: "/integrations/{kind}/scoping",
    scope: Scope::IntegrationsRead,
    summary: "What the agent must never see",
    query: &[],
    request: None,
    response: schema::<Blocked>,
    shape: Shape::One,
    success: &[200],
    problems: &[Code::UnknownIntegrationKind],
    repeat: Repeat::Harmless,
    function: Function { grants: &[], ..Function::READ },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let kind = context.kind()?;
    let state = &context.caller.state;
    Ok(Reply::ok(state.blocked(kind)).etag(state.version(&scoping::subject(kind))))
}
