//! `GET /agents/{agentId}/versions`

use super::{VersionItem, version_item};
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use http::Method;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "agents-versions",
    method: Method::GET,
    path: "/agents/{agentId}/versions",
    scope: Scope::AgentsRead,
    summary: "The published versions, newest first",
    query: &[],
    request: None,
    response: schema::<VersionItem>,
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
    let (_, agent) = state.agent(context.path("agentId"))?;
    let newest_first = agent.versions.iter().rev().enumerate();
    // Counted from the newest: a version that is published between two pages moves the rest by one, and the
    // reader sees one twice rather than missing one.
    let (versions, pagination) = page.cut(newest_first, |(rank, _)| format!("{rank:08}"));
    let items: Vec<VersionItem> = versions
        .into_iter()
        .filter_map(|(_, id)| Some(version_item(state, agent, id, state.versions.get(id)?)))
        .collect();
    Ok(Reply::list(&items, &pagination))
}
