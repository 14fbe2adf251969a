//! A key that an operator mints: the first of an organization, or one for whoever has lost theirs. Nobody is asked for
//! a key of their own; what lets the operator in is the machine's account, or the cloud's.

use super::{mint, named};
use crate::clock;
use crate::decide::{Command, decide};
use crate::key_text;
use crate::problem::{Code, Problem};
use crate::random;
use domain::{FieldError, key};
use events::key::KeyMinted;
use events::{Actor, ActorKind, KeyId, OrganizationId};
use infra::peppers::PepperSource;
use infra::secret::Secret;
use infra::storage::EventLog;
use infra::storage::directory::Directory;
use jiff::Timestamp;
use serde::Deserialize;

/// Characters of an organization's name.
const ORGANIZATION_CHARS: usize = 64;

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FirstKey {
    /// Made by its first key.
    pub organization: String,
    /// What the key is for.
    pub name: String,
    /// Scopes, or `all` alone.
    pub scopes: Vec<String>,
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// The key's id, and its text, which is shown this once.
///
/// # Errors
/// Everything that is wrong with what was asked for; 503 when the log cannot be used.
pub async fn mint(
    log: &dyn EventLog,
    directory: &dyn Directory,
    peppers: &dyn PepperSource,
    operator: &str,
    asked: FirstKey,
) -> Result<(KeyId, Secret), Problem> {
    let scopes = check(&asked)?;
    let (key_id, text, secret) = key_text::mint();
    let minted = KeyMinted {
        key_id: key_id.clone(),
        scopes,
        secret_hash: key_text::secret_hash(&peppers.latest().await.current, secret.expose()),
        expires_at: asked.expires_at,
    };
    let organization = OrganizationId::from(asked.organization);
    let command = Command {
        organization: &organization,
        id: random::command_id(),
        actor: Actor { kind: ActorKind::Operator, id: operator.to_owned() },
        request_id: random::request_id(),
        cause: None,
    };
    let commit = decide(log, None, command, |state| {
        let minted = minted.clone();
        async move { Ok(key::mint(&state, minted, clock::now())?) }
    });
    named(directory, &organization, &key_id, Some(&asked.name), commit).await?;
    Ok((key_id, text))
}

/// The scopes that the key would have.
///
/// # Errors
/// Everything that is wrong with what was asked for.
pub fn check(asked: &FirstKey) -> Result<Vec<String>, Problem> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let name = &asked.organization;
    let named = (1..=ORGANIZATION_CHARS).contains(&name.len()) && name.chars().all(allowed);
    let wrong = (!named).then(|| {
        let message = format!("must have 1 to {ORGANIZATION_CHARS} letters, digits, and . _ -");
        FieldError::new("organization", "invalid", message)
    });
    let checked = match (mint::check(&asked.name, &asked.scopes, asked.expires_at), wrong) {
        (Ok(scopes), None) => Ok(scopes),
        (Ok(_), Some(wrong)) => Err(vec![wrong]),
        (Err(errors), wrong) => Err(wrong.into_iter().chain(errors).collect()),
    };
    checked.map_err(|errors| Problem::fields(Code::ValidationError, errors))
}

/// What is wrong, a line each, for who has no screen for a problem document.
pub fn lines(problem: &Problem) -> String {
    if problem.errors.is_empty() {
        return problem.detail.clone();
    }
    let lines = problem.errors.iter().map(|error| match error.nearest.as_slice() {
        [] => format!("{}: {}", error.field, error.message),
        nearest => format!("{}: {}; did you mean {}?", error.field, error.message, nearest.join(" or ")),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let asked = FirstKey {
            organization: "a clinic".to_owned(),
            name: String::new(),
            scopes: vec!["agents:raed".to_owned()],
            expires_at: None,
        };
        let problem = check(&asked).expect_err("three things are wrong");
        let fields: Vec<&str> = problem.errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["organization", "name", "scopes[0]"]);
        let told = lines(&problem);
        assert!(told.contains("did you mean agents:read"), "{told}");
    }
}
