//! `GET /agents/{agentId}/skills/{skillId}`

use super::wire::SkillItem;
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use http::Method;
use std::collections::HashMap;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "skills-get",
    method: Method::GET,
    path: "/agents/{agentId}/skills/{skillId}",
    scope: Scope::SkillsRead,
    summary: "One draft, its statement and how long its live calls took included",
    query: &[],
    request: None,
    response: schema::<SkillItem>,
    shape: Shape::One,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function { grants: &[Grant::ReadCalls], ..Function::READ },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let state = &context.caller.state;
    let (agent_id, _) = state.agent(context.path("agentId"))?;
    let (id, skill) = state.skill(agent_id, context.path("skillId"))?;
    // Without its records a skill is still worth an answer.
    let latencies = context.services.latencies(&state.id, agent_id).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the latency of a skill cannot be told for now");
        HashMap::new()
    });
    let latency = latencies.into_iter().find(|(skill, _)| skill == id).map(|(_, latency)| latency);
    Ok(Reply::ok(&SkillItem { latency, ..SkillItem::of(state, id, skill) }).etag(skill.revision))
}
