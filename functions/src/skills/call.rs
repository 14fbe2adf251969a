//! `POST /agents/{agentId}/skills/{skill}/call`: the live call.

use super::execute::CallRequest;
use super::outcome::CallResponse;
use super::run::Run;
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use domain::Refusal;
use http::Method;
use infra::storage::calls::Protocol;
use std::time::Instant;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "skills-call",
    method: Method::POST,
    path: "/agents/{agentId}/skills/{skill}/call",
    scope: Scope::SkillsCall,
    summary: "Runs a published skill; what happened is in outcome",
    query: &[],
    request: Some(schema::<CallRequest>),
    response: schema::<CallResponse>,
    shape: Shape::One,
    success: &[200],
    problems: &[Code::NoPublishedVersion],
    repeat: Repeat::Own,
    function: Function {
        grants: &[Grant::Dial, Grant::OpenCredentials, Grant::KeepAnswers, Grant::KeepCalls],
        ..Function::CALL
    },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let started = Instant::now();
    let request: CallRequest = context.body()?;
    let name = context.path("skill").to_owned();
    published(context, &ENDPOINT, Protocol::Http, &name, &request, started).await
}

/// The live call, whichever protocol it came by. `name` is a skill's id or its tool.
///
/// # Errors
/// 404 without such a skill, 409 before the first publish, and what [`Run::answer`] says.
pub async fn published(
    mut context: Context,
    endpoint: &'static Endpoint,
    protocol: Protocol,
    name: &str,
    request: &CallRequest,
    started: Instant,
) -> Result<Reply, Problem> {
    loop {
        if let Some(reply) = answer(&context, protocol, name, request, started).await? {
            return Ok(reply);
        }
        let Context { services, caller, headers, .. } = &context;
        // Boxed, so that a read is not moved with room for it.
        context.caller = Box::pin(services.authenticate_at_the_end(caller, headers, endpoint)).await?;
    }
}

/// None when the log has moved on from the caller's state.
async fn answer(
    context: &Context,
    protocol: Protocol,
    name: &str,
    request: &CallRequest,
    started: Instant,
) -> Result<Option<Reply>, Problem> {
    let state = context.caller.state.clone();
    let (agent_id, agent) = state.agent(context.path("agentId"))?;
    let (skill_id, skill, definition, version) = if request.draft_mode {
        let own = &state.keys[&context.caller.key_id];
        if !own.has_scope(Scope::SkillsWrite.as_str()) {
            let scope = Scope::SkillsWrite.as_str();
            return Err(Problem::lacks_scope(scope, format!("draftMode needs the scope {scope} too")));
        }
        // The id first: a tool may be named like another skill's id.
        let by_tool = || state.skills_of(agent_id).find(|(_, skill)| skill.draft().tool == name);
        let found = state.skill(agent_id, name).ok().or_else(by_tool);
        let (id, skill) = found.ok_or(Refusal::NotFound { what: "skill" })?;
        (id, skill.as_ref(), skill.draft(), None)
    } else {
        if agent.live.is_none() {
            return Err(Problem::new(Code::NoPublishedVersion, "publish the agent before it is called"));
        }
        let live = state.live_skill(agent, name);
        let live = live.ok_or(Refusal::NotFound { what: "skill" })?;
        (live.skill_id, live.skill, live.definition, Some(live.version))
    };
    let run = Run { skill_id, skill, definition, version, live: Some(protocol) };
    run.answer(context, &state, request, started).await
}
