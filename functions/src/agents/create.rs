//! `POST /agents`

use super::{AgentItem, item};
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use crate::random;
use domain::{FieldError, agent};
use http::Method;
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRequest {
    name: String,
    #[serde(default)]
    description: Option<String>,
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "agents-create",
    method: Method::POST,
    path: "/agents",
    scope: Scope::AgentsWrite,
    summary: "Creates an agent",
    query: &[],
    request: Some(schema::<CreateRequest>),
    response: schema::<AgentItem>,
    shape: Shape::One,
    success: &[201],
    problems: &[],
    repeat: Repeat::Answered,
    function: Function { grants: &[Grant::Append, Grant::KeepAnswers], ..Function::CHANGE },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let request: CreateRequest = context.body()?;
    let mut errors = Vec::new();
    if request.name.trim().is_empty() || request.name.chars().count() > 100 {
        errors.push(FieldError::new("name", "invalid", "must have 1 to 100 characters"));
    }
    if request.description.as_ref().is_some_and(|text| text.chars().count() > 1000) {
        errors.push(FieldError::new("description", "invalid", "must have at most 1000 characters"));
    }
    if !errors.is_empty() {
        return Err(Problem::fields(Code::ValidationError, errors));
    }
    let id = random::agent_id();
    let decided = context
        .decide(|state| {
            let decision = agent::create(&state, &id, request.name.clone(), request.description.clone());
            async move { Ok(decision?) }
        })
        .await?;
    let id = decided.id_of("AgentCreated").ok_or_else(Problem::internal)?;
    let (id, created) = decided.state.agent(id)?;
    Ok(decided.reply(Reply::created(&item(&decided.state, id, created))).etag(created.version))
}
