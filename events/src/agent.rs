//! Agents and their published versions.

use crate::{IntegrationKind, Seq, SkillId, VersionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentCreated {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// All enabled drafts, frozen. The statements stand in the drafting events that `drafted_at` points to, so what a
/// version could run never depends on the code of the day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    pub version_id: VersionId,
    /// 1, 2, 3 … within the agent.
    pub version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    pub skills: Vec<PublishedSkill>,
    pub integrations: Vec<PublishedIntegration>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublishedSkill {
    pub skill_id: SkillId,
    pub tool: String,
    pub statement_hash: String,
    /// The event that holds the definition.
    pub drafted_at: Seq,
}

/// The ground a version stands on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublishedIntegration {
    pub kind: IntegrationKind,
    pub schema_root: String,
    pub schema_hash: String,
    /// The event that last changed the scoping; 0 when nothing was ever blocked.
    pub scoping_at: Seq,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolledBack {
    pub version_id: VersionId,
    pub from_version: u32,
    pub to_version: u32,
}
