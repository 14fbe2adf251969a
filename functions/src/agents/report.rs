//! `GET /agents/{agentId}/prepublish-report`: what a publish would put in front of callers.

use crate::body::schema;
use crate::calls::latency::Latency;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use crate::skills::identity::required_level;
use domain::Organization;
use domain::agent::{Catalogs, code_of, unfit};
use domain::catalog::{remedy, written};
use domain::skill::Skill;
use domain::statement::{allowed_fields, side_effects};
use events::SkillId;
use events::integration::QuarantineCause;
use events::skill::{Action, Source, Touched};
use http::Method;
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportResponse {
    /// Whether a publish would go through.
    publishable: bool,
    skills: Vec<SkillReport>,
    /// Drafts that stay behind because they are disabled.
    disabled: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SkillReport {
    id: SkillId,
    tool: String,
    operation: String,
    /// Tables and columns that its statement names: what it can read.
    touches: Vec<Touched>,
    /// Columns that a call can set.
    writes: Vec<String>,
    /// Fields that leave the database.
    fields_leaving: Vec<String>,
    requires_confirmation: bool,
    requires_verified_identity: bool,
    /// How well the caller must be known, 1 to 3; null when not at all.
    required_identity_level: Option<u8>,
    /// Parameters that come from the call and not from the model.
    caller_parameters: Vec<String>,
    uses_index: Option<String>,
    estimated_rows: Option<u64>,
    expected_latency_ms: Option<u32>,
    /// How long live calls of this skill took, whatever version served them; null without any.
    latency: Option<Latency>,
    /// The schema was discovered anew since it was bound.
    schema_changed_since_bound: bool,
    /// Triggers and cascades that its write sets off today.
    side_effects: Vec<String>,
    /// Why it could not be published.
    blocked_by: Option<Blocker>,
    warnings: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct Blocker {
    code: &'static str,
    reason: String,
    /// What to do, where the reason does not say it.
    remedy: Option<&'static str>,
}

/// As the verdict of a connection's test: what is above it is unusable on the phone.
const SLOW_MS: f64 = 400.0;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "agents-prepublish-report",
    method: Method::GET,
    path: "/agents/{agentId}/prepublish-report",
    scope: Scope::AgentsRead,
    summary: "What each enabled draft can read and write, and what speaks against it",
    query: &[],
    request: None,
    response: schema::<ReportResponse>,
    shape: Shape::One,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function { grants: &[Grant::ReadArtefacts, Grant::ReadCalls], ..Function::READ },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let state = &context.caller.state;
    let (agent_id, agent) = state.agent(context.path("agentId"))?;
    let catalogs = context.services.catalogs(state).await?;
    let mut latencies = context.services.latencies(&state.id, agent_id).await?;
    let (enabled, disabled): (Vec<_>, Vec<_>) =
        state.skills_of(agent_id).partition(|(_, skill)| skill.is_enabled);
    let skills: Vec<SkillReport> = enabled
        .into_iter()
        .map(|(id, skill)| report(state, id, skill, &catalogs, latencies.remove(id)))
        .collect();
    let something = !skills.is_empty() || agent.live.is_some();
    let response = ReportResponse {
        publishable: something && skills.iter().all(|skill| skill.blocked_by.is_none()),
        skills,
        disabled: disabled.into_iter().map(|(_, skill)| skill.draft().tool.clone()).collect(),
    };
    Ok(Reply::ok(&response))
}

fn report(
    state: &Organization,
    id: &SkillId,
    skill: &Skill,
    catalogs: &Catalogs,
    latency: Option<Latency>,
) -> SkillReport {
    let definition = skill.draft();
    let statement = &definition.statement;
    let is_write = statement.action.is_write();
    let set = written(statement).filter(|_| is_write).map(|parameter| parameter.column.clone());
    let catalog = catalogs.get(&definition.kind);
    let effects = catalog.map_or_else(
        || statement.side_effects.clone(),
        |catalog| side_effects(statement, catalog, state.blocked(definition.kind)),
    );
    let discovered = state.discovery(definition.kind).map(|discovery| discovery.schema_hash.as_str());
    let caller = statement.parameters.iter().filter(|parameter| parameter.source == Source::Caller);
    let mut warnings = Vec::new();
    if is_write && !definition.requires_confirmation {
        warnings.push("it writes without asking the caller to confirm".to_owned());
    }
    if statement.action == Action::Update && !definition.requires_verified_identity {
        warnings.push("it changes records for callers whose identity nobody verified".to_owned());
    }
    if !effects.is_empty() {
        warnings.push("its write changes more than its own row; see sideEffects".to_owned());
    }
    if catalog.is_some() && effects != statement.side_effects {
        warnings
            .push("what its write sets off is not what it was when it was bound; see sideEffects".to_owned());
    }
    if !is_write && statement.estimated_rows.is_some_and(|rows| rows > u64::from(statement.limit)) {
        warnings
            .push("the filter finds more rows than the answer holds; answers will be truncated".to_owned());
    }
    if latency.as_ref().is_some_and(|latency| latency.total.p95_ms > SLOW_MS) {
        warnings.push(format!(
            "one call in twenty took longer than {SLOW_MS} ms, which a caller hears as silence"
        ));
    }
    SkillReport {
        id: id.clone(),
        tool: definition.tool.clone(),
        operation: definition.binding.operation.clone(),
        touches: statement.touches.clone(),
        writes: set.collect(),
        fields_leaving: allowed_fields(statement),
        requires_confirmation: definition.requires_confirmation,
        requires_verified_identity: definition.requires_verified_identity,
        required_identity_level: required_level(definition),
        caller_parameters: caller.map(|parameter| parameter.name.clone()).collect(),
        uses_index: statement.uses_index.clone(),
        estimated_rows: statement.estimated_rows,
        expected_latency_ms: definition.expected_latency_ms,
        latency,
        schema_changed_since_bound: discovered != Ok(definition.schema_hash.as_str()),
        side_effects: effects,
        blocked_by: unfit(state, skill, statement, catalogs).map(blocker),
        warnings,
    }
}

fn blocker((code, reason): (&'static str, String)) -> Blocker {
    let causes = [QuarantineCause::Blocked, QuarantineCause::Drifted];
    let remedy = causes.into_iter().find(|cause| code_of(*cause) == code).map(remedy);
    Blocker { code, reason, remedy }
}
