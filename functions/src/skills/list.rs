//! `GET /agents/{agentId}/skills`

use super::wire::SkillItem;
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use http::Method;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "skills-list",
    method: Method::GET,
    path: "/agents/{agentId}/skills",
    scope: Scope::SkillsRead,
    summary: "The drafts of an agent, oldest first",
    query: &[],
    request: None,
    response: schema::<SkillItem>,
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
    let (agent_id, _) = state.agent(context.path("agentId"))?;
    let (skills, pagination) = page.cut(state.skills_of(agent_id), |(id, _)| id.to_string());
    let items: Vec<SkillItem> =
        skills.into_iter().map(|(id, skill)| SkillItem::of(state, id, skill)).collect();
    Ok(Reply::list(&items, &pagination))
}
