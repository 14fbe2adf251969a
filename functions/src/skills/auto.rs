//! `POST /agents/{agentId}/integrations/{kind}/bindings/auto`: a goal becomes a proposal, and a disabled draft.

mod assisted;
mod wish;

use super::binding::{BindingRequest, compile};
use super::wire::SkillItem;
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use crate::random;
use domain::limits::GOAL_BYTES;
use domain::{FieldError, Organization, Refusal, skill};
use events::AgentId;
use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wish::{Checked, Found, Wish};

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AutoRequest {
    /// What the agent should be able to do, in a person's words.
    goal: String,
    /// Whether a skill that changes rows may be proposed.
    #[serde(default)]
    allow_write: bool,
    /// Whether the proposal is saved as a disabled draft, for review.
    #[serde(default = "yes")]
    save: bool,
}

fn yes() -> bool {
    true
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutoResponse {
    /// A body for `POST …/bindings`.
    proposal: BindingRequest,
    /// The disabled draft, when it was saved.
    #[serde(skip_serializing_if = "Option::is_none")]
    skill: Option<SkillItem>,
    /// From 0 to 1.
    confidence: f32,
    /// Sentences that say why.
    rationale: Vec<String>,
    alternatives: Vec<Alternative>,
    /// Who thought of the proposal.
    assistant: AssistantItem,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Alternative {
    proposal: BindingRequest,
    confidence: f32,
    rationale: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssistantItem {
    /// `embedded`, `openai` or `bedrock`.
    provider: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "skills-auto",
    method: Method::POST,
    path: "/agents/{agentId}/integrations/{kind}/bindings/auto",
    scope: Scope::SkillsWrite,
    summary: "Proposes a binding for a goal, and saves it as a disabled draft for review",
    query: &[],
    request: Some(schema::<AutoRequest>),
    response: schema::<AutoResponse>,
    shape: Shape::One,
    success: &[201, 200],
    problems: &[
        Code::UnknownIntegrationKind,
        Code::NotDiscovered,
        Code::IntegrationNotConnected,
        Code::NoBindingFound,
        Code::BindingInvalid,
        Code::LimitReached,
    ],
    repeat: Repeat::Answered,
    function: Function {
        grants: &[
            Grant::Dial,
            Grant::Append,
            Grant::ReadArtefacts,
            Grant::OpenCredentials,
            Grant::KeepAnswers,
            Grant::AskAssistant,
        ],
        // The index of a large schema is made in it.
        ..Function::CALL
    },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let kind = context.kind()?;
    let request: AutoRequest = context.body()?;
    request.check_size()?;
    let agent = context.path("agentId").to_owned();
    let wish = Wish {
        services: context.services.clone(),
        state: context.caller.state.clone(),
        agent,
        kind,
        goal: request.goal,
        allow_write: request.allow_write,
    };
    let found = wish.propose().await?;
    if !request.save {
        let state = &wish.state;
        let (agent_id, _) = state.agent(&wish.agent)?;
        return Ok(Reply::ok(&AutoResponse::of(state, agent_id, found, None)));
    }
    let id = random::skill_id();
    let decided = context
        .decide(|state| {
            let (wish, best, id) = (&wish, &found.best, id.clone());
            async move {
                let (agent_id, _) = state.agent(&wish.agent)?;
                let free = best.request.with_free_name(&state, agent_id);
                let mut definition = compile(&wish.services, &state, &wish.agent, wish.kind, &free).await?;
                best.asked.clone().apply(&mut definition);
                // Nothing that was thought of for a person runs before a person has seen it, a read neither.
                Ok(skill::draft(&state, agent_id, &id, definition, false)?)
            }
        })
        .await?;
    let id = decided.id_of("BindingDrafted").ok_or_else(Problem::internal)?;
    let (agent_id, _) = decided.state.agent(&wish.agent)?;
    let (id, drafted) = decided.state.skill(agent_id, id)?;
    let item = SkillItem::of(&decided.state, id, drafted);
    let revision = drafted.revision;
    let response = AutoResponse::of(&decided.state, agent_id, found, Some((item, drafted.draft())));
    Ok(decided.reply(Reply::created(&response)).etag(revision))
}

impl AutoRequest {
    fn check_size(&self) -> Result<(), Refusal> {
        let bytes = self.goal.len();
        if bytes <= GOAL_BYTES {
            return Ok(());
        }
        let message =
            format!("must have at most {GOAL_BYTES} bytes and has {bytes}; say it in a sentence or two");
        Err(Refusal::Invalid(vec![FieldError::new("goal", "too_long", message)]))
    }
}

impl BindingRequest {
    /// Under a name that no other tool of the agent has.
    fn with_free_name(&self, state: &Organization, agent: &AgentId) -> Self {
        let mut named = self.clone();
        named.tool_name = state.free_tool_name(agent, &self.tool_name);
        named
    }
}

impl AutoResponse {
    fn of(
        state: &Organization,
        agent: &AgentId,
        found: Found,
        saved: Option<(SkillItem, &events::skill::Definition)>,
    ) -> Self {
        let Found { best, alternatives, assistant } = found;
        let (proposal, skill) = match saved {
            // What is saved is told, and nothing that was only thought of.
            Some((skill, definition)) => (BindingRequest::of(definition), Some(skill)),
            None => (best.request.with_free_name(state, agent), None),
        };
        let alternative = |it: Checked| Alternative {
            proposal: it.request.with_free_name(state, agent),
            confidence: rounded(it.confidence),
            rationale: it.rationale,
        };
        Self {
            proposal,
            skill,
            confidence: rounded(best.confidence),
            rationale: best.rationale,
            alternatives: alternatives.into_iter().map(alternative).collect(),
            assistant: match assistant {
                Some((provider, model)) => AssistantItem { provider, model: Some(model) },
                None => AssistantItem { provider: "embedded", model: None },
            },
        }
    }
}

/// It is an estimate, and says no more than that.
fn rounded(confidence: f32) -> f32 {
    (confidence * 100.0).round() / 100.0
}
