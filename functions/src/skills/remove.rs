//! `DELETE /agents/{agentId}/skills/{skillId}`

use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use domain::skill;
use events::SkillId;
use http::Method;
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
pub struct RemoveResponse {
    id: SkillId,
    status: &'static str,
    /// Published versions that hold it keep serving it until the next publish or rollback.
    #[serde(rename = "servedUntilNextPublish")]
    served_until_next_publish: bool,
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "skills-remove",
    method: Method::DELETE,
    path: "/agents/{agentId}/skills/{skillId}",
    scope: Scope::SkillsWrite,
    summary: "Removes a draft; a version that holds it serves on until the next publish",
    query: &[],
    request: None,
    response: schema::<RemoveResponse>,
    shape: Shape::One,
    success: &[200],
    problems: &[Code::StaleVersion],
    repeat: Repeat::Harmless,
    function: Function { grants: &[Grant::Append], ..Function::CHANGE },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let skill_id = SkillId::from(context.path("skillId"));
    let decided = context
        .decide(|state| {
            let (skill_id, agent, context) = (skill_id.clone(), context.path("agentId").to_owned(), &context);
            async move {
                let (agent_id, _) = state.agent(&agent)?;
                let (_, skill) = state.skill(agent_id, skill_id.as_str())?;
                context.check_if_match(skill.revision)?;
                Ok(skill::remove(&state, agent_id, &skill_id)?)
            }
        })
        .await?;
    let (_, agent) = decided.state.agent(context.path("agentId"))?;
    let served = decided.state.live_skill(agent, skill_id.as_str()).is_some();
    let response = RemoveResponse { id: skill_id, status: "removed", served_until_next_publish: served };
    Ok(decided.reply(Reply::ok(&response)))
}
