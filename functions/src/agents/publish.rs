//! `POST /agents/{agentId}/publish`

use super::{VersionItem, version_item};
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use crate::random;
use domain::agent;
use events::Event;
use http::Method;
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishRequest {
    /// Why, for those who read the history.
    #[serde(default)]
    note: Option<String>,
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "agents-publish",
    method: Method::POST,
    path: "/agents/{agentId}/publish",
    scope: Scope::AgentsWrite,
    summary: "Freezes all enabled drafts into the version that serves calls",
    query: &[],
    request: Some(schema::<PublishRequest>),
    response: schema::<VersionItem>,
    shape: Shape::One,
    success: &[201],
    problems: &[Code::PublishBlocked, Code::NothingToPublish],
    repeat: Repeat::Answered,
    function: Function {
        grants: &[Grant::Append, Grant::ReadArtefacts, Grant::KeepAnswers],
        ..Function::CHANGE
    },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let request: PublishRequest = context.body_or_default()?;
    if request.note.as_ref().is_some_and(|note| note.chars().count() > 1000) {
        return Err(Problem::field("note", "must have at most 1000 characters"));
    }
    let services = &context.services;
    let decided = context
        .decide(|state| {
            let (note, id) = (request.note.clone(), context.path("agentId").to_owned());
            async move {
                let (agent_id, _) = state.agent(&id)?;
                let catalogs = services.catalogs(&state).await?;
                Ok(agent::publish(&state, agent_id, random::version_id(), note, &catalogs)?)
            }
        })
        .await?;
    let version_id = decided.events.iter().find_map(|recorded| match &recorded.event {
        Event::Published(data) => Some(data.version_id.clone()),
        _ => None,
    });
    let version_id = version_id.ok_or_else(Problem::internal)?;
    let (agent_id, agent) = decided.state.agent(context.path("agentId"))?;
    let (version_id, version) = decided.state.version_of(agent_id, version_id.as_str())?;
    let item = version_item(&decided.state, agent, version_id, version);
    Ok(decided.reply(Reply::created(&item)).etag(agent.version))
}
