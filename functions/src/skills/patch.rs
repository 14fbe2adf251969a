//! `PATCH /agents/{agentId}/skills/{skillId}`: the review.

use super::binding::OrderByRequest;
use super::identity::IdentityLevel;
use super::wire::{SkillItem, named, too_long};
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use crate::services::Services;
use domain::skill::{self, Skill};
use domain::statement::{self, Request};
use domain::{FieldError, Organization, Refusal};
use events::SkillId;
use events::skill::Definition;
use http::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PatchRequest {
    #[serde(default)]
    tool_name: Option<String>,
    #[serde(default)]
    description: Option<String>,
    /// True also lets a quarantined skill run again, if today's schema and scoping allow it.
    #[serde(default)]
    is_enabled: Option<bool>,
    #[serde(default)]
    requires_confirmation: Option<bool>,
    #[serde(default)]
    requires_verified_identity: Option<bool>,
    /// How well the caller must be known, where requiresVerifiedIdentity alone asks for 1.
    #[serde(default)]
    required_identity_level: Option<IdentityLevel>,
    #[serde(default)]
    order_by: Option<Vec<OrderByRequest>>,
    #[serde(default)]
    limit: Option<u32>,
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "skills-patch",
    method: Method::PATCH,
    path: "/agents/{agentId}/skills/{skillId}",
    scope: Scope::SkillsWrite,
    summary: "Reviews a draft: names it, enables it, changes order and limit",
    query: &[],
    request: Some(schema::<PatchRequest>),
    response: schema::<SkillItem>,
    shape: Shape::One,
    success: &[200],
    problems: &[
        Code::ToolNameTaken,
        Code::BindingInvalid,
        Code::ColumnBlocked,
        Code::StaleVersion,
        Code::IntegrationNotConnected,
    ],
    repeat: Repeat::Harmless,
    function: Function { grants: &[Grant::Append, Grant::ReadArtefacts], ..Function::CHANGE },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let request: PatchRequest = context.body()?;
    let services = &context.services;
    let skill_id = SkillId::from(context.path("skillId"));
    let decided = context
        .decide(|state| {
            let (request, skill_id) = (request.clone(), skill_id.clone());
            let (agent, context) = (context.path("agentId").to_owned(), &context);
            async move {
                let (agent_id, _) = state.agent(&agent)?;
                let (_, skill) = state.skill(agent_id, skill_id.as_str())?;
                context.check_if_match(skill.revision)?;
                let definition = revised(services, &state, skill, &request).await?;
                let kind = skill.draft().kind;
                let catalog = match state.discovery(kind) {
                    Ok(_) => Some(services.whole_catalog(&state, kind).await?),
                    Err(_) => None,
                };
                if request.is_enabled == Some(true)
                    && let Some(problem) = stays_stopped(&state, skill, &definition, catalog.as_deref())
                {
                    return Err(problem);
                }
                Ok(skill::revise(
                    &state,
                    agent_id,
                    &skill_id,
                    Some(definition),
                    request.is_enabled,
                    catalog.as_deref(),
                )?)
            }
        })
        .await?;
    let (agent_id, _) = decided.state.agent(context.path("agentId"))?;
    let (id, skill) = decided.state.skill(agent_id, skill_id.as_str())?;
    let item = SkillItem::of(&decided.state, id, skill);
    Ok(decided.reply(Reply::ok(&item)).etag(skill.revision))
}

/// Enabling what cannot run would say something that is not so.
fn stays_stopped(
    state: &Organization,
    skill: &Skill,
    definition: &Definition,
    catalog: Option<&domain::catalog::Catalog>,
) -> Option<Problem> {
    let kind = definition.kind;
    let blocked = state.blocked(kind);
    if let Err(refusal) = state.connection(kind) {
        return skill.quarantined.contains_key(&definition.statement.hash).then(|| refusal.into());
    }
    let Some(catalog) = catalog else {
        let stopped = skill.quarantined.contains_key(&definition.statement.hash);
        return stopped.then(|| Refusal::NotDiscovered { kind }.into());
    };
    let (cause, reason) = domain::catalog::drift(&definition.statement, catalog, blocked)?;
    let error = FieldError::new("isEnabled", domain::agent::code_of(cause), reason);
    Some(Refusal::BindingInvalid(vec![error]).into())
}

async fn revised(
    services: &Services,
    state: &Organization,
    skill: &Skill,
    request: &PatchRequest,
) -> Result<Definition, Problem> {
    let mut definition = skill.draft().as_ref().clone();
    let mut errors = Vec::new();
    if let Some(name) = &request.tool_name {
        match named(name) {
            Ok(tool) => {
                definition.tool = tool;
                definition.tool_name = name.clone();
            }
            Err(error) => errors.push(error),
        }
    }
    if let Some(description) = &request.description {
        errors.extend(too_long("description", description));
        definition.description = description.clone();
    }
    if let Some(required) = request.requires_confirmation {
        definition.requires_confirmation = required;
    }
    match (request.requires_verified_identity, request.required_identity_level) {
        (None, None) => {}
        (Some(false), Some(_)) => {
            let message =
                "nobody needs to be verified with requiresVerifiedIdentity false; leave one of them out";
            errors.push(FieldError::new("requiredIdentityLevel", "contradictory", message));
        }
        (Some(false), None) => definition.require_identity(0),
        (Some(true), None) => definition.require_identity(definition.identity_level().max(1)),
        (_, Some(level)) => definition.require_identity(level.get()),
    }
    if request.order_by.is_some() || request.limit.is_some() {
        let kind = definition.kind;
        let catalog = services.whole_catalog(state, kind).await?;
        let mut again = Request::from(&definition.binding);
        if let Some(order_by) = &request.order_by {
            again.order_by = order_by.iter().map(|order| (order.column.clone(), order.direction)).collect();
        }
        again.limit = request.limit.or(again.limit);
        match statement::compile(&catalog, state.blocked(kind), &again) {
            Ok((binding, statement)) => {
                definition.binding = binding;
                definition.statement = Arc::new(statement);
                definition.schema_hash = state.discovery(kind)?.schema_hash.clone();
            }
            Err(found) => errors.extend(found),
        }
    }
    if errors.is_empty() { Ok(definition) } else { Err(Refusal::BindingInvalid(errors).into()) }
}
