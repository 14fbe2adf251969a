//! `GET /agents`

use super::{AgentItem, item};
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use http::Method;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "agents-list",
    method: Method::GET,
    path: "/agents",
    scope: Scope::AgentsRead,
    summary: "The agents of this organization, oldest first",
    query: &[],
    request: None,
    response: schema::<AgentItem>,
    shape: Shape::List,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function { grants: &[], ..Function::READ },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let page = context.page()?;
    let state = &context.caller.state;
    let (agents, pagination) = page.cut(&state.agents, |(id, _)| id.to_string());
    let items: Vec<AgentItem> = agents.into_iter().map(|(id, agent)| item(state, id, agent)).collect();
    Ok(Reply::list(&items, &pagination))
}
