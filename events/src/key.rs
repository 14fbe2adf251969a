//! API keys. The log knows their id, scopes and a keyed hash, never the secret, nor the name: that may be a person's,
//! so it stands in a directory beside the log, where it can be changed and erased.

use crate::KeyId;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyMinted {
    pub key_id: KeyId,
    pub scopes: Vec<String>,
    /// HMAC-SHA-256(pepper, secret) in hex.
    pub secret_hash: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub expires_at: Option<Timestamp>,
}

/// The key keeps its name and scopes; its successor is minted in the same commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyRotated {
    pub successor: KeyId,
    /// Until then the old secret is still taken.
    #[schemars(with = "String")]
    pub valid_until: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyRevoked {}

/// Its name beside the log was changed, or erased. What it was and is, the log does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyRenamed {
    /// It has no name any more.
    pub erased: bool,
}
