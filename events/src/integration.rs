//! A customer's database: its connection and what was discovered in it. Never a secret.

use crate::{AgentId, IntegrationKind, SkillId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far TLS goes. There is no value for a connection without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Encrypted; the certificate chain is verified only when a CA is given.
    Require,
    /// The certificate must come from the given (or a public) CA; its name is not compared.
    VerifyCa,
    /// The certificate must come from the CA and carry the host's name.
    VerifyFull,
}

impl SslMode {
    pub const ALL: [SslMode; 3] = [SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull];

    pub fn as_str(self) -> &'static str {
        match self {
            SslMode::Require => "require",
            SslMode::VerifyCa => "verify-ca",
            SslMode::VerifyFull => "verify-full",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text)
    }
}

/// Where a connection leads, without its password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    pub sslmode: SslMode,
    /// SHA-256 of the CA's PEM text in hex, when one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_sha256: Option<String>,
}

impl Endpoint {
    /// Whether both lead to the same database, whoever logs in.
    pub fn same_target(&self, other: &Endpoint) -> bool {
        (&self.host, self.port, &self.database) == (&other.host, other.port, &other.database)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Connected {
    pub kind: IntegrationKind,
    pub endpoint: Endpoint,
    /// Counts up for as long as the organization exists; the sealed record is bound to it.
    pub credential_version: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsRotated {
    pub kind: IntegrationKind,
    pub endpoint: Endpoint,
    pub credential_version: u32,
    /// Host or database differ from before: what was discovered may be another database's.
    pub target_changed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Discovered {
    pub kind: IntegrationKind,
    /// Address of the schema snapshot beside the log.
    pub schema_root: String,
    /// Hash of the structure alone: equal hashes mean that nothing a binding relies on has changed.
    pub schema_hash: String,
    pub object_count: u64,
    pub field_count: u64,
    pub edge_count: u64,
    pub operation_count: u64,
    pub changes: SchemaChanges,
    /// Hashes of statements whose quarantine by [`QuarantineCause::TargetChanged`] or
    /// [`QuarantineCause::Disconnected`] ends, because they are valid against what was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub released: Vec<String>,
}

/// Difference to the discovery before, capped lists with whole counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchemaChanges {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    pub changed: Vec<String>,
    pub added_count: u64,
    pub removed_count: u64,
    pub changed_count: u64,
}

impl QuarantineCause {
    /// Whether a discovery may end it without a person.
    pub fn ends_with_discovery(self) -> bool {
        match self {
            QuarantineCause::Blocked | QuarantineCause::Drifted => false,
            QuarantineCause::TargetChanged | QuarantineCause::Disconnected => true,
        }
    }
}

/// Why a statement may not run, which decides what lets it run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuarantineCause {
    /// It touches what scoping blocks. A person enables it again after unblocking.
    Blocked,
    /// What it relies on is gone or changed. A person enables it again.
    Drifted,
    /// The connection leads elsewhere now. The next discovery that finds it valid releases it.
    TargetChanged,
    /// There is no connection. The next discovery that finds it valid releases it.
    Disconnected,
}

/// Skills that were stopped in the same commit as the event that made them unsafe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SkillsQuarantined {
    pub kind: IntegrationKind,
    pub skills: Vec<QuarantinedSkill>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuarantinedSkill {
    pub agent_id: AgentId,
    pub skill_id: SkillId,
    pub tool_name: String,
    pub cause: QuarantineCause,
    /// One sentence for the operator.
    pub reason: String,
    /// Statement hashes that may not run any more: the draft's and those of published versions.
    pub statement_hashes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Disconnected {
    pub kind: IntegrationKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsShredded {
    pub kind: IntegrationKind,
    pub credential_versions: Vec<u32>,
}
