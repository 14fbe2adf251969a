//! Skills: what a person bound, and the frozen statement it was compiled to.

use crate::{AgentId, IntegrationKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// A binding as its author wrote it, checked but not rephrased.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// `<object>.read`, `<object>.insert` or `<object>.update`.
    pub operation: String,
    pub inputs: Vec<Input>,
    pub projection: Vec<Projected>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order_by: Vec<OrderBy>,
    pub limit: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_column: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_param: Option<String>,
}

/// One parameter of the tool and the column it is bound to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The name the agent uses.
    pub param: String,
    /// The column of the operation's object.
    pub arg: String,
    pub required: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub source: Source,
    /// Only with `source: constant`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// Who supplies a parameter's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    #[default]
    Model,
    /// The authenticated call context, never the model.
    Caller,
    /// The binding itself.
    Constant,
}

/// One value of the answer: `path` is the object or relationship, then the column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Projected {
    pub path: Vec<String>,
    pub leaf: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderBy {
    pub column: String,
    pub direction: Direction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Asc,
    Desc,
}

/// The normalized type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    String,
    Integer,
    Bigint,
    Decimal,
    Float,
    Boolean,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    Uuid,
    Json,
    Binary,
    Enum,
    Array,
    Other,
}

impl FieldType {
    pub fn as_str(self) -> &'static str {
        match self {
            FieldType::String => "string",
            FieldType::Integer => "integer",
            FieldType::Bigint => "bigint",
            FieldType::Decimal => "decimal",
            FieldType::Float => "float",
            FieldType::Boolean => "boolean",
            FieldType::Date => "date",
            FieldType::Time => "time",
            FieldType::Timestamp => "timestamp",
            FieldType::Timestamptz => "timestamptz",
            FieldType::Interval => "interval",
            FieldType::Uuid => "uuid",
            FieldType::Json => "json",
            FieldType::Binary => "binary",
            FieldType::Enum => "enum",
            FieldType::Array => "array",
            FieldType::Other => "other",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Read,
    Insert,
    Update,
}

impl Action {
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Read => "read",
            Action::Insert => "insert",
            Action::Update => "update",
        }
    }

    pub fn is_write(self) -> bool {
        match self {
            Action::Read => false,
            Action::Insert | Action::Update => true,
        }
    }
}

/// A compiled statement. What runs on a live call is this text and no other; only parameters are added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    pub dialect: IntegrationKind,
    pub action: Action,
    /// The object that is read or written, as the catalog names it.
    pub object: String,
    pub text: String,
    /// SHA-256 in hex over dialect, text and the binds: equal hashes run equally.
    pub hash: String,
    /// What the caller, the model or the binding supplies, in order of declaration.
    pub parameters: Vec<Parameter>,
    /// What fills the placeholders, in their order. A parameter may fill several.
    pub binds: Vec<Bind>,
    /// The columns of a row, in order. Empty for a write without projection.
    pub columns: Vec<Column>,
    /// Rows an answer may hold; the text asks for one more, so that a cut is noticed.
    pub limit: u32,
    /// Everything the text names, for scoping and drift.
    pub touches: Vec<Touched>,
    /// The index that serves the filter or the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses_index: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_rows: Option<u64>,
    /// What a write does beyond its own row: triggers and cascades, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub side_effects: Vec<String>,
}

/// One parameter: where its value comes from, and the column type that judges it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Parameter {
    pub name: String,
    pub source: Source,
    pub required: bool,
    pub nullable: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// With `source: constant`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    pub column: String,
    #[serde(flatten)]
    pub shape: Shape,
}

/// What values a column can hold, as far as arguments are judged and answers are decoded by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shape {
    #[serde(rename = "type")]
    pub field_type: FieldType,
    pub native_type: String,
    /// Bytes of an integer: 1, 2, 3, 4 or 8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integer_bytes: Option<u8>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsigned: bool,
    /// Longest text in characters, or longest binary in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u64>,
    /// Digits of a decimal: all, and those after the point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<(u32, u32)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enum_values: Vec<String>,
    /// MySQL SET: several of `enum_values` at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub set: bool,
    /// The type of an array's elements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub element: Option<Box<Shape>>,
}

/// What fills one placeholder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Bind {
    /// The value of `parameters[parameter]`, NULL when it was not given.
    Value { parameter: usize },
    /// Whether `parameters[parameter]` was given: an update leaves the column alone when not.
    Given { parameter: usize },
}

/// One column of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Column {
    pub leaf: String,
    #[serde(flatten)]
    pub shape: Shape,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Touched {
    pub object: String,
    pub columns: Vec<TouchedColumn>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TouchedColumn {
    pub name: String,
    /// As it was when the statement was compiled.
    pub native_type: String,
}

/// Everything about a skill that its author decides, and the statement that follows from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    /// As given.
    pub tool_name: String,
    /// Its slug, `^[a-zA-Z][a-zA-Z0-9_-]{0,39}$`, unique in the agent.
    pub tool: String,
    pub description: String,
    pub kind: IntegrationKind,
    pub binding: Binding,
    pub requires_confirmation: bool,
    pub requires_verified_identity: bool,
    /// How well the caller must be known, where that is better than at all: 2 or 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_identity_level: Option<u8>,
    pub statement: Arc<Statement>,
    /// Schema hash of the discovery it was compiled against.
    pub schema_hash: String,
    /// What the database's planner and a timed round trip said when it was bound, if it could be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_latency_ms: Option<u32>,
}

impl Definition {
    /// How well the caller must be known: from 0, which is not at all, to 3.
    pub fn identity_level(&self) -> u8 {
        if self.requires_verified_identity { self.required_identity_level.unwrap_or(1) } else { 0 }
    }

    pub fn require_identity(&mut self, level: u8) {
        self.requires_verified_identity = level > 0;
        self.required_identity_level = (level > 1).then_some(level);
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BindingDrafted {
    pub agent_id: AgentId,
    pub enabled: bool,
    pub definition: Definition,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BindingRevised {
    pub agent_id: AgentId,
    pub definition: Definition,
}

/// The skill goes into the next version. Ends the quarantine of its statements that are valid today.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SkillEnabled {
    pub agent_id: AgentId,
    /// Statement hashes that may run again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub released: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SkillDisabled {
    pub agent_id: AgentId,
}

/// The draft is gone. Published versions that hold it keep serving until the next publish or rollback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SkillRemoved {
    pub agent_id: AgentId,
}
