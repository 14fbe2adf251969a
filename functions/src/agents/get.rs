//! `GET /agents/{agentId}`

use super::{AgentItem, item};
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use http::Method;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "agents-get",
    method: Method::GET,
    path: "/agents/{agentId}",
    scope: Scope::AgentsRead,
    summary: "One agent",
    query: &[],
    request: None,
    response: schema::<AgentItem>,
    shape: Shape::One,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function { grants: &[], ..Function::READ },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let state = &context.caller.state;
    let (id, agent) = state.agent(context.path("agentId"))?;
    Ok(Reply::ok(&item(state, id, agent)).etag(agent.version))
}
