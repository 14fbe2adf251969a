//! `POST /agents/{agentId}/integrations/{kind}/bindings`: a binding becomes a draft with a frozen statement.

use super::binding::{BindingRequest, compile};
use super::plan::explain;
use super::wire::SkillItem;
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use crate::random;
use domain::skill;
use http::Method;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "skills-bind",
    method: Method::POST,
    path: "/agents/{agentId}/integrations/{kind}/bindings",
    scope: Scope::SkillsWrite,
    summary: "Compiles a binding into a draft skill; everything wrong is reported at once",
    query: &[],
    request: Some(schema::<BindingRequest>),
    response: schema::<SkillItem>,
    shape: Shape::One,
    success: &[201],
    problems: &[
        Code::UnknownIntegrationKind,
        Code::NotDiscovered,
        Code::IntegrationNotConnected,
        Code::ToolNameTaken,
        Code::BindingInvalid,
        Code::ColumnBlocked,
        Code::FilterNotIndexed,
        Code::KeyNotUnique,
    ],
    repeat: Repeat::Answered,
    function: Function {
        grants: &[
            Grant::Dial,
            Grant::Append,
            Grant::ReadArtefacts,
            Grant::OpenCredentials,
            Grant::KeepAnswers,
        ],
        ..Function::DIAL
    },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let kind = context.kind()?;
    let request: BindingRequest = context.body()?;
    let services = &context.services;
    let id = random::skill_id();
    // The database is asked once, before deciding: its answer holds while others change other things.
    let first = compile(services, &context.caller.state, context.path("agentId"), kind, &request).await?;
    let asked = explain(services, &context.caller.state, kind, &first.statement).await?;
    let decided = context
        .decide(|state| {
            let (request, id, asked) = (request.clone(), id.clone(), asked.clone());
            let agent = context.path("agentId").to_owned();
            async move {
                let mut definition = compile(services, &state, &agent, kind, &request).await?;
                asked.apply(&mut definition);
                let (agent_id, _) = state.agent(&agent)?;
                let enabled = request.enabled.unwrap_or(true);
                Ok(skill::draft(&state, agent_id, &id, definition, enabled)?)
            }
        })
        .await?;
    let id = decided.id_of("BindingDrafted").ok_or_else(Problem::internal)?;
    let (agent_id, _) = decided.state.agent(context.path("agentId"))?;
    let (id, drafted) = decided.state.skill(agent_id, id)?;
    let item = SkillItem::of(&decided.state, id, drafted);
    Ok(decided.reply(Reply::created(&item)).etag(drafted.revision))
}
