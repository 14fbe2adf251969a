//! API keys of an organization.

pub mod first;
pub mod list;
pub mod mint;
pub mod rename;
pub mod revoke;
pub mod rotate;

use crate::clock;
use crate::decide::Decided;
use crate::problem::Problem;
use domain::FieldError;
use domain::key::Key;
use events::{KeyId, OrganizationId};
use infra::storage::directory::{Directory, KeyNames};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::future::Future;

/// A key without its secret.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyItem {
    pub id: KeyId,
    /// What it is called; null when it has no name, or none any more.
    pub name: Option<String>,
    pub scopes: Vec<String>,
    pub status: KeyStatus,
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// Id of the key that minted it, or which way an operator came.
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

pub fn item(id: &KeyId, key: &Key, name: Option<&str>) -> KeyItem {
    let status = match (key.revoked_at, key.is_valid(clock::now())) {
        (Some(_), _) => KeyStatus::Revoked,
        (None, true) => KeyStatus::Active,
        (None, false) => KeyStatus::Expired,
    };
    KeyItem {
        id: id.clone(),
        name: name.map(str::to_owned),
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

/// What is wrong with a key's name.
fn check_name(name: &str) -> Option<FieldError> {
    let wrong = name.trim().is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control);
    let message = "must have 1 to 100 characters and no control characters";
    wrong.then(|| FieldError::new("name", "invalid", message))
}

/// A commit that mints this key. Its name comes first, so that no key is ever there without it; when the commit turns
/// out to be an earlier one, or is refused, the name that was given for it goes again.
async fn named(
    directory: &dyn Directory,
    organization: &OrganizationId,
    made: &KeyId,
    name: Option<&str>,
    commit: impl Future<Output = Result<Decided, Problem>>,
) -> Result<Decided, Problem> {
    if name.is_some() {
        directory.rename(organization, made, name).await?;
    }
    let decided = commit.await;
    let is_not_made = match &decided {
        Ok(decided) => decided.id_of("KeyMinted") != Some(made.as_str()),
        // Of a commit whose answer was lost nobody knows.
        Err(problem) => problem.code.status().is_client_error(),
    };
    if name.is_some()
        && is_not_made
        && let Err(error) = directory.rename(organization, made, None).await
    {
        tracing::warn!(%organization, key = %made, %error, "the name of a key that was not minted stays");
    }
    decided
}

/// The name of one key.
async fn name_of(
    directory: &dyn Directory,
    organization: &OrganizationId,
    id: &KeyId,
) -> Result<Option<String>, Problem> {
    let mut names: KeyNames = directory.names(organization).await?;
    Ok(names.remove(id))
}
