//! The first key of an organization, or another: what `bindery keys mint` is on one machine.
//!
//! Invoked with `{ organization, name, scopes, expiresAt? }`. The answer holds the key, this once.

use super::{Handled, Reacted, Reaction, Trigger, Woken};
use crate::endpoint::{Function, Grant};
use crate::keys::first::{self, FirstKey};
use serde::Deserialize;
use serde_json::{Value, json};

pub static REACTION: Reaction = Reaction {
    name: "keys-mint-first",
    summary: "Mints a key for an organization, which it makes; for operators",
    woken_by: Trigger::Operator,
    function: Function { grants: &[Grant::Append, Grant::WriteNames], ..Function::CHANGE },
    handle: |woken| -> Handled { Box::pin(handle(woken)) },
};

async fn handle(woken: Woken) -> Result<Reacted, String> {
    let asked = asked(&woken.event)?;
    let (organization, services) = (asked.organization.clone(), &woken.aws.services);
    let (log, directory) = (services.log.as_ref(), services.directory.as_ref());
    let minted = first::mint(log, directory, services.peppers.as_ref(), "lambda", asked).await;
    let (id, text) = minted.map_err(|problem| first::lines(&problem))?;
    tracing::info!(%organization, key = %id, "an operator minted a key");
    let answer = json!({ "organization": organization, "id": id, "key": text.expose() });
    Ok(Reacted { answer, ..Reacted::default() })
}

fn asked(event: &Value) -> Result<FirstKey, String> {
    FirstKey::deserialize(event)
        .map_err(|error| format!("invoke it with {{ organization, name, scopes, expiresAt? }}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_names_organization_purpose_and_scopes() {
        let event = json!({
            "organization": "clinic", "name": "admin", "scopes": ["all"], "expiresAt": "2027-01-01T00:00:00Z",
        });
        let asked = asked(&event).expect("it is complete");
        assert_eq!(
            (asked.organization.as_str(), asked.scopes.as_slice()),
            ("clinic", &["all".to_owned()][..])
        );
        assert_eq!(asked.expires_at, Some("2027-01-01T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn a_typo_is_told_and_mints_nothing() {
        let wrong = asked(&json!({ "organisation": "clinic", "name": "admin", "scopes": ["all"] }));
        assert!(wrong.expect_err("organisation").contains("organisation"));
    }
}
