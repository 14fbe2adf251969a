//! Skills as clients see them.

use super::identity::required_level;
use crate::calls::latency::Latency;
use domain::limits::{DESCRIPTION_CHARS, NAME_CHARS};
use domain::skill::Skill;
use domain::statement::{self, allowed_fields, parameters_schema, required_params};
use domain::{FieldError, Organization};
use events::skill::{Definition, Parameter};
use events::{AgentId, SkillId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanItem {
    pub uses_index: Option<String>,
    pub estimated_rows: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SkillItem {
    pub id: SkillId,
    pub agent_id: AgentId,
    /// As given.
    pub name: String,
    /// What the agent calls it: the slug of the name.
    pub tool: String,
    pub description: String,
    pub skill_type: &'static str,
    pub operation: String,
    pub is_write: bool,
    pub is_enabled: bool,
    pub status: SkillStatus,
    /// Why it is quarantined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine_reason: Option<String>,
    pub requires_confirmation: bool,
    pub requires_verified_identity: bool,
    /// How well the caller must be known, 1 to 3; null when not at all.
    pub required_identity_level: Option<u8>,
    pub non_parallelizable: bool,
    pub parameters_schema: Value,
    pub required_params: Vec<String>,
    pub allowed_fields: Vec<String>,
    pub execution_config: ExecutionConfig,
    pub expected_latency_ms: Option<u32>,
    /// How long its live calls took; absent before the first one, and in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SkillStatus {
    Draft,
    Published,
    Quarantined,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionConfig {
    pub statement: String,
    pub statement_hash: String,
    pub parameters: Vec<Parameter>,
    pub plan: PlanItem,
    /// What a write changes beyond its own row, by triggers and foreign keys, as far as the user may see them.
    pub side_effects: Vec<String>,
}

impl ExecutionConfig {
    fn of(definition: &Definition) -> Self {
        let statement = &definition.statement;
        Self {
            statement: statement.text.clone(),
            statement_hash: statement.hash.clone(),
            parameters: statement.parameters.clone(),
            plan: PlanItem {
                uses_index: statement.uses_index.clone(),
                estimated_rows: statement.estimated_rows,
            },
            side_effects: statement.side_effects.clone(),
        }
    }
}

impl SkillItem {
    pub fn of(state: &Organization, id: &SkillId, skill: &Skill) -> Self {
        let definition = skill.draft();
        let statement = &definition.statement;
        let live = state.agents.get(&skill.agent_id).and_then(|agent| state.live_skill(agent, id.as_str()));
        let live_hash = live.map(|live| live.definition.statement.hash.as_str());
        let quarantine = skill
            .quarantined
            .get(&statement.hash)
            .or_else(|| live_hash.and_then(|hash| skill.quarantined.get(hash)));
        let status = match (quarantine, live_hash) {
            (Some(_), _) => SkillStatus::Quarantined,
            (None, Some(_)) => SkillStatus::Published,
            (None, None) => SkillStatus::Draft,
        };
        Self {
            id: id.clone(),
            agent_id: skill.agent_id.clone(),
            name: definition.tool_name.clone(),
            tool: definition.tool.clone(),
            description: definition.description.clone(),
            skill_type: "native_sql",
            operation: definition.binding.operation.clone(),
            is_write: statement.action.is_write(),
            is_enabled: skill.is_enabled,
            status,
            quarantine_reason: quarantine.map(|quarantine| quarantine.reason.clone()),
            requires_confirmation: definition.requires_confirmation,
            requires_verified_identity: definition.requires_verified_identity,
            required_identity_level: required_level(definition),
            non_parallelizable: statement.action.is_write(),
            parameters_schema: parameters_schema(statement),
            required_params: required_params(statement),
            allowed_fields: allowed_fields(statement),
            execution_config: ExecutionConfig::of(definition),
            expected_latency_ms: definition.expected_latency_ms,
            latency: None,
            created_at: skill.created_at,
            updated_at: skill.updated_at,
        }
    }
}

/// A skill as a version froze it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CompiledSkill {
    pub id: SkillId,
    pub tool: String,
    pub description: String,
    pub operation: String,
    pub is_write: bool,
    pub requires_confirmation: bool,
    pub requires_verified_identity: bool,
    /// How well the caller must be known, 1 to 3; null when not at all.
    pub required_identity_level: Option<u8>,
    pub non_parallelizable: bool,
    pub parameters_schema: Value,
    pub allowed_fields: Vec<String>,
    pub execution_config: ExecutionConfig,
}

impl CompiledSkill {
    pub fn of(id: &SkillId, definition: &Definition) -> Self {
        let statement = &definition.statement;
        Self {
            id: id.clone(),
            tool: definition.tool.clone(),
            description: definition.description.clone(),
            operation: definition.binding.operation.clone(),
            is_write: statement.action.is_write(),
            requires_confirmation: definition.requires_confirmation,
            requires_verified_identity: definition.requires_verified_identity,
            required_identity_level: required_level(definition),
            non_parallelizable: statement.action.is_write(),
            parameters_schema: parameters_schema(statement),
            allowed_fields: allowed_fields(statement),
            execution_config: ExecutionConfig::of(definition),
        }
    }
}

/// The tool of a skill with this name.
pub fn named(tool_name: &str) -> Result<String, FieldError> {
    statement::slug(tool_name).filter(|_| tool_name.chars().count() <= NAME_CHARS).ok_or_else(|| {
        let message = format!("must have 1 to {NAME_CHARS} characters with a letter among them");
        FieldError::new("toolName", "invalid_tool_name", message)
    })
}

pub fn too_long(field: &str, description: &str) -> Option<FieldError> {
    (description.chars().count() > DESCRIPTION_CHARS).then(|| {
        FieldError::new(field, "too_long", format!("must have at most {DESCRIPTION_CHARS} characters"))
    })
}
