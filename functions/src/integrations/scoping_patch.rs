//! `PATCH /integrations/{kind}/scoping`: acts at once on live traffic.

use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use domain::catalog::remedy;
use domain::scoping::{self, Patch};
use events::integration::QuarantineCause;
use events::scoping::Blocked;
use events::{AgentId, Event, Recorded, SkillId};
use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Each key that is present replaces what was there; an empty one clears.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScopingPatchRequest {
    #[serde(default)]
    blocked_tables: Option<BTreeSet<String>>,
    #[serde(default)]
    blocked_columns: Option<BTreeMap<String, BTreeSet<String>>>,
    /// Takes names that match nothing in the discovered schema.
    #[serde(default)]
    allow_unknown: bool,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScopingPatchResponse {
    #[serde(flatten)]
    blocked: Blocked,
    /// Skills that this change stopped, published ones included.
    quarantined_skills: Vec<QuarantinedItem>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuarantinedItem {
    agent_id: AgentId,
    skill_id: SkillId,
    tool_name: String,
    cause: QuarantineCause,
    reason: String,
    /// What lets it run again.
    remedy: &'static str,
}

impl QuarantinedItem {
    /// What a commit stopped.
    pub fn listed_in(events: &[Recorded]) -> Vec<Self> {
        let lists = events.iter().filter_map(|recorded| match &recorded.event {
            Event::SkillsQuarantined(data) => Some(&data.skills),
            _ => None,
        });
        let item = |skill: &events::integration::QuarantinedSkill| Self {
            agent_id: skill.agent_id.clone(),
            skill_id: skill.skill_id.clone(),
            tool_name: skill.tool_name.clone(),
            cause: skill.cause,
            reason: skill.reason.clone(),
            remedy: remedy(skill.cause),
        };
        lists.flatten().map(item).collect()
    }
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "integrations-scoping-patch",
    method: Method::PATCH,
    path: "/integrations/{kind}/scoping",
    scope: Scope::IntegrationsWrite,
    summary: "Blocks tables and columns, live skills included",
    query: &[],
    request: Some(schema::<ScopingPatchRequest>),
    response: schema::<ScopingPatchResponse>,
    shape: Shape::One,
    success: &[200],
    problems: &[Code::UnknownIntegrationKind, Code::UnknownScopingTarget, Code::StaleVersion],
    repeat: Repeat::Harmless,
    function: Function { grants: &[Grant::Append, Grant::ReadArtefacts], ..Function::CHANGE },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let kind = context.kind()?;
    let request: ScopingPatchRequest = context.body()?;
    let patch = Patch {
        blocked_tables: request.blocked_tables,
        blocked_columns: request.blocked_columns,
        allow_unknown: request.allow_unknown,
    };
    let services = &context.services;
    let decided = context
        .decide(|state| {
            let (patch, checked) =
                (patch.clone(), context.check_if_match(state.version(&scoping::subject(kind))));
            async move {
                checked?;
                let catalog = match state.discovery(kind) {
                    Ok(_) => Some(services.whole_catalog(&state, kind).await?),
                    Err(_) => None,
                };
                Ok(scoping::change(&state, kind, patch, catalog.as_deref())?)
            }
        })
        .await?;
    let response = ScopingPatchResponse {
        blocked: decided.state.blocked(kind).clone(),
        quarantined_skills: QuarantinedItem::listed_in(&decided.events),
    };
    let version = decided.state.version(&scoping::subject(kind));
    Ok(decided.reply(Reply::ok(&response)).etag(version))
}
