//! `POST /agents/{agentId}/skills/{skillId}/test`: runs the draft.

use super::execute::{CallRequest, prepare};
use super::outcome::{CallBody, CallResponse};
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use http::Method;
use std::time::Instant;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "skills-test",
    method: Method::POST,
    path: "/agents/{agentId}/skills/{skillId}/test",
    scope: Scope::SkillsWrite,
    summary: "Runs the draft once; a write really writes",
    query: &[],
    request: Some(schema::<CallRequest>),
    response: schema::<CallResponse>,
    shape: Shape::One,
    success: &[200],
    problems: &[],
    repeat: Repeat::Answered,
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let started = Instant::now();
    let request: CallRequest = context.body()?;
    let state = &context.caller.state;
    let (agent_id, _) = state.agent(context.path("agentId"))?;
    let (_, skill) = state.skill(agent_id, context.path("skillId"))?;
    let definition = skill.draft();
    let answer = match prepare(state, skill, definition, &request) {
        Ok(ready) => context.services.execute(&ready, request.context.deadline(started)).await,
        Err(answer) => answer,
    };
    let (columns, total) = (&definition.statement.columns, started.elapsed());
    Ok(Reply::ok(&CallBody { answer: &answer, columns, version: None, total }))
}
