//! `POST /agents/{agentId}/skills/{skillId}/test`: runs the draft.

use super::execute::CallRequest;
use super::outcome::CallResponse;
use super::run::Run;
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
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
    repeat: Repeat::Own,
    function: Function {
        grants: &[Grant::Dial, Grant::OpenCredentials, Grant::KeepAnswers, Grant::KeepCalls],
        ..Function::CALL
    },
    handle: handler!(handle),
};

async fn handle(mut context: Context) -> Result<Reply, Problem> {
    let started = Instant::now();
    let request: CallRequest = context.body()?;
    loop {
        let state = &context.caller.state;
        let (agent_id, _) = state.agent(context.path("agentId"))?;
        let (skill_id, skill) = state.skill(agent_id, context.path("skillId"))?;
        let run = Run { skill_id, skill, definition: skill.draft(), version: None, live: None };
        if let Some(reply) = run.answer(&context, state, &request, started).await? {
            return Ok(reply);
        }
        let Context { services, caller, headers, .. } = &context;
        context.caller = services.authenticate_at_the_end(caller, headers, &ENDPOINT).await?;
    }
}
