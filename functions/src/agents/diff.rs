//! `GET /agents/{agentId}/versions/{versionId}/diff`

use super::{CompiledConfig, compiled, compiled_draft};
use crate::body::schema;
use crate::changes::{Change, changes};
use crate::endpoint::{Context, Endpoint, Function, QueryParameter, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use http::Method;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffResponse {
    /// What is compared with: a version id, `draft`, or nothing for the first version.
    from: Option<String>,
    to: String,
    changes: Vec<Change>,
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "agents-version-diff",
    method: Method::GET,
    path: "/agents/{agentId}/versions/{versionId}/diff",
    scope: Scope::AgentsRead,
    summary: "What a version changed, statements included",
    query: &[QueryParameter {
        name: "against",
        required: false,
        meaning: "A version id, or draft for what the next publish would change; the version before when absent",
    }],
    request: None,
    response: schema::<DiffResponse>,
    shape: Shape::One,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function { grants: &[], ..Function::READ },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let state = &context.caller.state;
    let (agent_id, agent) = state.agent(context.path("agentId"))?;
    let (version_id, version) = state.version_of(agent_id, context.path("versionId"))?;
    let this = compiled(state, version);
    let (from, to, before, after) = match context.query("against") {
        // The draft is younger than every version, so it is what a version would become.
        Some("draft") => {
            (Some(version_id.to_string()), "draft".to_owned(), Some(this), compiled_draft(state, agent_id))
        }
        Some(other) => {
            let (other_id, other) = state.version_of(agent_id, other)?;
            (Some(other_id.to_string()), version_id.to_string(), Some(compiled(state, other)), this)
        }
        None => {
            let at = agent.versions.iter().position(|id| id == version_id).unwrap_or(0);
            let previous = at.checked_sub(1).and_then(|at| agent.versions.get(at));
            let before = previous.and_then(|id| state.versions.get(id)).map(|it| compiled(state, it));
            (previous.map(|id| id.to_string()), version_id.to_string(), before, this)
        }
    };
    let before = before.map_or_else(|| json!({}), |before| by_tool(&before));
    let changes = changes(&before, &by_tool(&after));
    Ok(Reply::ok(&DiffResponse { from, to, changes }))
}

/// By the name that callers know a skill under.
fn by_tool(config: &CompiledConfig) -> Value {
    let skills = config.skills.iter().map(|skill| {
        let value = serde_json::to_value(skill).expect("skills are JSON");
        (skill.tool.clone(), value)
    });
    json!({ "skills": skills.collect::<Map<_, _>>() })
}
