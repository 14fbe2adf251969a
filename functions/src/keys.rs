//! API keys of an organization.

pub mod first;
pub mod list;
pub mod mint;
pub mod revoke;
pub mod rotate;

use crate::clock;
use domain::key::Key;
use events::KeyId;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// A key without its secret.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyItem {
    pub id: KeyId,
    pub name: String,
    pub scopes: Vec<String>,
    pub status: KeyStatus,
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// Id of the key, or name of the operator, that minted it.
    pub created_by: String,
    #[schemars(with = "Option<String>")]
    pub expires_at: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    pub revoked_at: Option<Timestamp>,
    /// The key that it was rotated to.
    pub successor: Option<KeyId>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyStatus {
    Active,
    Expired,
    Revoked,
}

pub fn item(id: &KeyId, key: &Key) -> KeyItem {
    let status = match (key.revoked_at, key.is_valid(clock::now())) {
        (Some(_), _) => KeyStatus::Revoked,
        (None, true) => KeyStatus::Active,
        (None, false) => KeyStatus::Expired,
    };
    KeyItem {
        id: id.clone(),
        name: key.name.clone(),
        scopes: key.scopes.clone(),
        status,
        created_at: key.created_at,
        created_by: key.created_by.id.clone(),
        expires_at: key.expires_at,
        revoked_at: key.revoked_at,
        successor: key.successor.clone(),
    }
}

/// A key and its text, which is shown this once.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MintedItem {
    #[serde(flatten)]
    pub item: KeyItem,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The answer is a repetition: the key was shown the first time.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub secret_omitted: bool,
}
