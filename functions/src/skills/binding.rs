//! A binding as a client sends it, and what it becomes.

use super::identity::IdentityLevel;
use super::wire::{named, too_long};
use crate::problem::Problem;
use crate::services::Services;
use domain::drafting::Proposal;
use domain::limits::{CONSTANT_BYTES, INPUTS_MAX, PROJECTION_MAX};
use domain::statement::{self, Request, RequestInput};
use domain::{FieldError, Organization, Refusal};
use events::IntegrationKind;
use events::skill::{Action, Binding, Definition, Direction, Projected, Source, Statement};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

#[derive(Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BindingRequest {
    pub tool_name: String,
    /// `<object>.read`, `<object>.insert` or `<object>.update`.
    operation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    inputs: Vec<InputRequest>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    projection: Vec<ProjectedRequest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Refused when it contradicts the operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_write: Option<bool>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    order_by: Vec<OrderByRequest>,
    /// Rows of an answer, 1 to 100; 5 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_column: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_param: Option<String>,
    /// How well the caller must be known; when absent 1 for an update, and not at all for the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    required_identity_level: Option<IdentityLevel>,
}

#[derive(Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InputRequest {
    /// The name the agent uses.
    param: String,
    /// The column it is bound to.
    arg: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    required: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default)]
    source: Source,
    /// Only with `source: constant`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
}

#[derive(Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectedRequest {
    /// The object or a relationship, then the column.
    path: Vec<String>,
    leaf: String,
}

#[derive(Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderByRequest {
    pub column: String,
    #[serde(default = "ascending")]
    pub direction: Direction,
}

fn ascending() -> Direction {
    Direction::Asc
}

/// The checks that every binding passes, whoever thought of it.
///
/// # Errors
/// Everything that is wrong, each with its field.
pub async fn compile(
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
    let mut definition = Definition {
        tool_name: request.tool_name.clone(),
        tool,
        description,
        kind,
        binding,
        requires_confirmation: action.is_write(),
        requires_verified_identity: action == Action::Update,
        required_identity_level: None,
        statement: Arc::new(statement),
        schema_hash,
        expected_latency_ms: None,
    };
    if let Some(level) = request.required_identity_level {
        definition.require_identity(level.get());
    }
    definition
}

impl From<&Proposal> for BindingRequest {
    fn from(proposal: &Proposal) -> Self {
        Self::saying(&proposal.tool_name, &proposal.description, proposal.request.clone())
    }
}

impl BindingRequest {
    /// The body that a definition could have come from, disabled.
    pub fn of(definition: &Definition) -> Self {
        let Definition { tool_name, description, binding, statement, .. } = definition;
        let said = Self::saying(tool_name, description, Request::from(binding));
        Self { is_write: Some(statement.action.is_write()), ..said }
    }

    fn saying(tool_name: &str, description: &str, request: Request) -> Self {
        let Request { operation, inputs, projection, order_by, limit, key_column, key_param } = request;
        let input = |input: RequestInput| InputRequest {
            param: input.param,
            arg: input.arg,
            required: input.required,
            description: input.description,
            source: input.source,
            value: input.value,
        };
        Self {
            tool_name: tool_name.to_owned(),
            operation,
            description: Some(description.to_owned()),
            inputs: inputs.into_iter().map(input).collect(),
            projection: projection
                .into_iter()
                .map(|projected| ProjectedRequest { path: projected.path, leaf: projected.leaf })
                .collect(),
            enabled: Some(false),
            is_write: None,
            order_by: order_by
                .into_iter()
                .map(|(column, direction)| OrderByRequest { column, direction })
                .collect(),
            limit,
            key_column,
            key_param,
            required_identity_level: None,
        }
    }

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
