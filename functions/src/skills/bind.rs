//! `POST /agents/{agentId}/integrations/{kind}/bindings`: a binding becomes a draft with a frozen statement.

use super::wire::{SkillItem, named, too_long};
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use crate::random;
use crate::services::Services;
use domain::limits::{CONSTANT_BYTES, INPUTS_MAX, PROJECTION_MAX};
use domain::statement::{self, Request, RequestInput};
use domain::{FieldError, Organization, Refusal, skill};
use events::skill::{Action, Binding, Definition, Direction, Projected, Source, Statement};
use events::{IntegrationKind, OrganizationId};
use http::Method;
use infra::databases::Session;
use infra::databases::error::Fault;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the database may take to say how it would run the statement. Binding goes on without it.
const EXPLAIN_WAIT: Duration = Duration::from_secs(3);

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BindingRequest {
    tool_name: String,
    /// `<object>.read`, `<object>.insert` or `<object>.update`.
    operation: String,
    #[serde(default)]
    description: Option<String>,
    inputs: Vec<InputRequest>,
    #[serde(default)]
    projection: Vec<ProjectedRequest>,
    #[serde(default)]
    enabled: Option<bool>,
    /// Refused when it contradicts the operation.
    #[serde(default)]
    is_write: Option<bool>,
    #[serde(default)]
    order_by: Vec<OrderByRequest>,
    /// Rows of an answer, 1 to 100; 5 when absent.
    #[serde(default)]
    limit: Option<u32>,
    #[serde(default)]
    key_column: Option<String>,
    #[serde(default)]
    key_param: Option<String>,
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InputRequest {
    /// The name the agent uses.
    param: String,
    /// The column it is bound to.
    arg: String,
    #[serde(default)]
    required: Option<bool>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    source: Source,
    /// Only with `source: constant`.
    #[serde(default)]
    value: Option<Value>,
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectedRequest {
    /// The object or a relationship, then the column.
    path: Vec<String>,
    leaf: String,
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderByRequest {
    pub column: String,
    #[serde(default = "ascending")]
    pub direction: Direction,
}

fn ascending() -> Direction {
    Direction::Asc
}

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

async fn compile(
    services: &Services,
    state: &Organization,
    agent: &str,
    kind: IntegrationKind,
    request: &BindingRequest,
) -> Result<Definition, Problem> {
    state.agent(agent)?;
    state.connection(kind)?;
    request.check_sizes()?;
    let catalog = services.whole_catalog(state, kind).await?;
    let asked = request.to_compiler();
    let compiled = statement::compile(&catalog, state.blocked(kind), &asked);
    let mut errors = compiled.as_ref().err().cloned().unwrap_or_default();
    let tool = named(&request.tool_name);
    errors.extend(tool.as_ref().err().cloned());
    errors.extend(request.description.iter().filter_map(|text| too_long("description", text)));
    for (at, input) in request.inputs.iter().enumerate() {
        let field = format!("inputs[{at}].description");
        errors.extend(input.description.iter().filter_map(|text| too_long(&field, text)));
        if input.value.as_ref().is_some_and(|value| value.to_string().len() > CONSTANT_BYTES) {
            let message = format!("must have at most {CONSTANT_BYTES} bytes as JSON");
            errors.push(FieldError::new(format!("inputs[{at}].value"), "too_long", message));
        }
    }
    let is_write = compiled.as_ref().ok().map(|(_, statement)| statement.action.is_write());
    if let (Some(said), Some(is)) = (request.is_write, is_write)
        && said != is
    {
        let message = format!("the operation {} a write", if is { "is" } else { "is not" });
        errors.push(FieldError::new("isWrite", "contradicts_operation", message));
    }
    match (compiled, tool) {
        (Ok((binding, statement)), Ok(tool)) if errors.is_empty() => {
            let schema_hash = state.discovery(kind)?.schema_hash.clone();
            Ok(definition(request, tool, kind, binding, statement, schema_hash))
        }
        _ => Err(Refusal::BindingInvalid(errors).into()),
    }
}

fn definition(
    request: &BindingRequest,
    tool: String,
    kind: IntegrationKind,
    binding: Binding,
    statement: Statement,
    schema_hash: String,
) -> Definition {
    let action = statement.action;
    let description = request.description.clone().unwrap_or_else(|| {
        // A model reads it: it names nothing of the schema.
        let name = &request.tool_name;
        match action {
            Action::Read => format!("{name}: looks up records."),
            Action::Insert => format!("{name}: adds one record."),
            Action::Update => format!("{name}: changes one record."),
        }
    });
    Definition {
        tool_name: request.tool_name.clone(),
        tool,
        description,
        kind,
        binding,
        requires_confirmation: action.is_write(),
        requires_verified_identity: action == Action::Update,
        statement,
        schema_hash,
        expected_latency_ms: None,
    }
}

impl BindingRequest {
    /// Before any name is looked up: a body full of unknown names must not keep a thread busy.
    fn check_sizes(&self) -> Result<(), Refusal> {
        let lists = [
            ("inputs", self.inputs.len(), INPUTS_MAX),
            ("projection", self.projection.len(), PROJECTION_MAX),
            ("orderBy", self.order_by.len(), INPUTS_MAX),
        ];
        let errors: Vec<FieldError> = lists
            .into_iter()
            .filter(|(_, length, most)| length > most)
            .map(|(field, _, most)| {
                FieldError::new(field, "too_many", format!("must have at most {most} entries"))
            })
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(Refusal::BindingInvalid(errors)) }
    }

    fn to_compiler(&self) -> Request {
        Request {
            operation: self.operation.clone(),
            inputs: self
                .inputs
                .iter()
                .map(|input| RequestInput {
                    param: input.param.clone(),
                    arg: input.arg.clone(),
                    required: input.required,
                    description: input.description.clone(),
                    source: input.source,
                    value: input.value.clone(),
                })
                .collect(),
            projection: self
                .projection
                .iter()
                .map(|projected| Projected { path: projected.path.clone(), leaf: projected.leaf.clone() })
                .collect(),
            order_by: self.order_by.iter().map(|order| (order.column.clone(), order.direction)).collect(),
            limit: self.limit,
            key_column: self.key_column.clone(),
            key_param: self.key_param.clone(),
        }
    }
}

/// What the database said of a statement, if it could be asked.
#[derive(Clone, Default)]
pub struct Asked {
    plan: infra::databases::Plan,
    latency_ms: Option<u32>,
}

impl Asked {
    pub fn apply(self, definition: &mut Definition) {
        let statement = &mut definition.statement;
        statement.uses_index = self.plan.uses_index.or(statement.uses_index.take());
        statement.estimated_rows = self.plan.estimated_rows.or(statement.estimated_rows);
        definition.expected_latency_ms = self.latency_ms.or(definition.expected_latency_ms);
    }
}

/// Lets the engine prepare and plan the statement, so that what it would refuse on a call is refused now.
///
/// # Errors
/// 422 when the engine refuses it. A database that cannot be reached is no reason against a draft.
pub async fn explain(
    services: &Arc<Services>,
    state: &Organization,
    kind: IntegrationKind,
    statement: &Statement,
) -> Result<Asked, Problem> {
    match tokio::time::timeout(EXPLAIN_WAIT, ask(services, &state.id, state, kind, statement)).await {
        Ok(Ok(asked)) => Ok(asked),
        Ok(Err(error)) => match error.fault {
            Fault::SchemaMismatch | Fault::PermissionDenied => {
                let message = format!("the database refuses this statement: {}", error.advice);
                let error = FieldError::new("operation", "refused_by_database", message);
                Err(Refusal::BindingInvalid(vec![error]).into())
            }
            Fault::DnsFailed
            | Fault::HostNotAllowed
            | Fault::ConnectRefused
            | Fault::ConnectTimeout
            | Fault::TlsRequired
            | Fault::TlsUntrusted
            | Fault::TlsNameMismatch
            | Fault::TlsExpired
            | Fault::AuthFailed
            | Fault::DatabaseMissing
            | Fault::TooManyConnections
            | Fault::StatementTimeout
            | Fault::LockTimeout
            | Fault::ReadOnlyRefused
            | Fault::ConstraintViolated
            | Fault::Conflict
            | Fault::ConnectionLost
            | Fault::InDoubt
            | Fault::ProtocolViolation
            | Fault::ServerError
            | Fault::CredentialsUnavailable => Ok(Asked::default()),
        },
        Err(_) => Ok(Asked::default()),
    }
}

async fn ask(
    services: &Arc<Services>,
    organization: &OrganizationId,
    state: &Organization,
    kind: IntegrationKind,
    statement: &Statement,
) -> Result<Asked, infra::databases::DatabaseError> {
    let unconnected = || infra::databases::DatabaseError::new(Fault::ConnectionLost, "not connected");
    let connection = state.connection(kind).map_err(|_| unconnected())?;
    let source = services.credential_source(organization, kind, connection.credential_version);
    let credentials = source().await?;
    let session = if statement.action.is_write() { Session::ReadWrite } else { Session::ReadOnly };
    let _turn = services.manage(organization, kind).await;
    let drivers = services.pools.drivers();
    let mut connection = drivers.open(kind, &credentials, session).await.map_err(|failure| failure.error)?;
    let started = Instant::now();
    let round_trip = connection.ping().await?;
    let plan = connection.explain(statement).await?;
    tracing::debug!(ms = started.elapsed().as_secs_f64() * 1000.0, "asked for a plan");
    connection.close().await;
    Ok(Asked { plan, latency_ms: Some((round_trip.as_secs_f64() * 1000.0).ceil() as u32) })
}
