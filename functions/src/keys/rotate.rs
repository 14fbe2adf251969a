//! `POST /keys/{id}/rotate`

use super::{MintedItem, name_of, named};
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use crate::{clock, key_text};
use domain::key;
use events::KeyId;
use http::Method;
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;

/// A day: long enough to bring the new key to every caller.
const OVERLAP_DEFAULT_MS: u64 = 24 * 3600 * 1000;
const OVERLAP_MAX_MS: u64 = 30 * OVERLAP_DEFAULT_MS;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotateRequest {
    /// How long the old secret is still taken; 0 ends it at once. A day when absent, 30 days at most.
    #[serde(default)]
    overlap_ms: Option<u64>,
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "keys-rotate",
    method: Method::POST,
    path: "/keys/{id}/rotate",
    scope: Scope::KeysWrite,
    summary: "Mints a successor with the same name and scopes; the old key ends after an overlap",
    query: &[],
    request: Some(schema::<RotateRequest>),
    response: schema::<MintedItem>,
    shape: Shape::One,
    success: &[201],
    problems: &[Code::KeyEnded],
    repeat: Repeat::Answered,
    function: Function {
        grants: &[Grant::Append, Grant::KeepAnswers, Grant::ReadNames, Grant::WriteNames],
        ..Function::CHANGE
    },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let request: RotateRequest = context.body_or_default()?;
    let overlap = request.overlap_ms.unwrap_or(OVERLAP_DEFAULT_MS);
    if overlap > OVERLAP_MAX_MS {
        return Err(Problem::field("overlapMs", format!("must be at most {OVERLAP_MAX_MS}")));
    }
    let now = clock::now();
    let valid_until = now + SignedDuration::from_millis(overlap as i64);
    let (successor, text, secret) = key_text::mint();
    let peppers = context.services.peppers.latest().await;
    let secret_hash = key_text::secret_hash(&peppers.current, secret.expose());
    let commit = context.decide(|state| {
        let (successor, secret_hash) = (successor.clone(), secret_hash.clone());
        let id = context.path("id").to_owned();
        let own = context.caller.key_id.clone();
        async move {
            let (id, rotated) = state.key(&id)?;
            // A successor has all scopes of its predecessor: nobody may take a key that can do more.
            let caller = state.key(own.as_str())?.1;
            if let Some(beyond) = rotated.scopes.iter().find(|scope| !caller.has_scope(scope)) {
                let detail =
                    format!("this key lacks the scope {beyond} itself, so it cannot rotate that key");
                return Err(Problem::lacks_scope(beyond, detail));
            }
            // Nor one that lives longer: an expiry would be no end to whoever holds the key.
            let outlived = |own| rotated.expires_at.is_none_or(|expires| expires > own);
            if caller.expires_at.is_some_and(outlived) {
                let message = "must be a key that ends no later than the one it is rotated with";
                return Err(Problem::field("id", message));
            }
            Ok(key::rotate(&state, id, successor, secret_hash, now, valid_until)?)
        }
    });
    let (directory, organization) = (context.services.directory.as_ref(), &context.caller.organization);
    let name = name_of(directory, organization, &KeyId::from(context.path("id"))).await?;
    let decided = named(directory, organization, &successor, name.as_deref(), commit).await?;
    super::mint::reply(&decided, &successor, name.as_deref(), &text)
}
