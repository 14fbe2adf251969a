//! `GET /agents/{agentId}/skills/{skillId}`

use super::wire::SkillItem;
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use http::Method;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "skills-get",
    method: Method::GET,
    path: "/agents/{agentId}/skills/{skillId}",
    scope: Scope::SkillsRead,
    summary: "One draft, its statement included",
    query: &[],
    request: None,
    response: schema::<SkillItem>,
    shape: Shape::One,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function { grants: &[], ..Function::READ },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let state = &context.caller.state;
    let (agent_id, _) = state.agent(context.path("agentId"))?;
    let (id, skill) = state.skill(agent_id, context.path("skillId"))?;
    Ok(Reply::ok(&SkillItem::of(state, id, skill)).etag(skill.revision))
}
