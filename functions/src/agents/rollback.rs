//! `POST /agents/{agentId}/rollback`

use super::{VersionItem, version_item};
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use domain::agent;
use http::Method;
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RollbackRequest {
    version_id: String,
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "agents-rollback",
    method: Method::POST,
    path: "/agents/{agentId}/rollback",
    scope: Scope::AgentsWrite,
    summary: "Points calls at an older version at once",
    query: &[],
    request: Some(schema::<RollbackRequest>),
    response: schema::<VersionItem>,
    shape: Shape::One,
    success: &[200],
    problems: &[Code::PublishBlocked],
    repeat: Repeat::Answered,
    function: Function {
        grants: &[Grant::Append, Grant::ReadArtefacts, Grant::KeepAnswers],
        ..Function::CHANGE
    },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let request: RollbackRequest = context.body()?;
    let services = &context.services;
    let decided = context
        .decide(|state| {
            let (version_id, id) = (request.version_id.clone(), context.path("agentId").to_owned());
            async move {
                let (agent_id, _) = state.agent(&id)?;
                let catalogs = services.catalogs(&state).await?;
                Ok(agent::rollback(&state, agent_id, &version_id, &catalogs)?)
            }
        })
        .await?;
    let (agent_id, agent) = decided.state.agent(context.path("agentId"))?;
    let (version_id, version) = decided.state.version_of(agent_id, &request.version_id)?;
    let item = version_item(&decided.state, agent, version_id, version);
    Ok(decided.reply(Reply::ok(&item)).etag(agent.version))
}
