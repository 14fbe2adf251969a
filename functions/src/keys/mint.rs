//! `POST /keys`

use super::{MintedItem, check_name, item, named};
use crate::body::schema;
use crate::decide::Decided;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use crate::{clock, key_text};
use domain::{FieldError, key, nearest};
use events::KeyId;
use events::key::KeyMinted;
use http::Method;
use infra::secret::Secret;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MintRequest {
    name: String,
    /// Scopes, or `all` alone.
    scopes: Vec<String>,
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    expires_at: Option<Timestamp>,
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "keys-mint",
    method: Method::POST,
    path: "/keys",
    scope: Scope::KeysWrite,
    summary: "Mints a key; its text is returned once",
    query: &[],
    request: Some(schema::<MintRequest>),
    response: schema::<MintedItem>,
    shape: Shape::One,
    success: &[201],
    problems: &[],
    repeat: Repeat::Answered,
    function: Function {
        grants: &[Grant::Append, Grant::KeepAnswers, Grant::WriteNames],
        ..Function::CHANGE
    },
    handle: handler!(handle),
};

/// # Errors
/// Everything that is wrong with the name, the scopes and the expiry.
pub fn check(
    name: &str,
    scopes: &[String],
    expires_at: Option<Timestamp>,
) -> Result<Vec<String>, Vec<FieldError>> {
    let mut errors: Vec<FieldError> = check_name(name).into_iter().collect();
    let known = || Scope::ALL.iter().map(|scope| scope.as_str());
    let mut checked: Vec<String> = if scopes == ["all"] {
        known().map(str::to_owned).collect()
    } else {
        for (at, scope) in scopes.iter().enumerate().filter(|(_, scope)| Scope::parse(scope).is_none()) {
            let message = format!("must be one of {}, or all alone", known().collect::<Vec<_>>().join(", "));
            let error = FieldError::new(format!("scopes[{at}]"), "unknown_scope", message);
            errors.push(error.nearest(nearest::nearest(scope, known())));
        }
        scopes.to_vec()
    };
    if scopes.is_empty() {
        errors.push(FieldError::new("scopes", "required", "must name at least one scope, or all"));
    }
    if expires_at.is_some_and(|expires| expires <= clock::now()) {
        errors.push(FieldError::new("expiresAt", "invalid", "must be in the future"));
    }
    checked.sort();
    checked.dedup();
    if errors.is_empty() { Ok(checked) } else { Err(errors) }
}

async fn handle(context: Context) -> Result<Reply, Problem> {
    let request: MintRequest = context.body()?;
    let scopes = check(&request.name, &request.scopes, request.expires_at)
        .map_err(|errors| Problem::fields(Code::ValidationError, errors))?;
    // A key must not mint what it may not do itself.
    let own = &context.caller.state.keys[&context.caller.key_id];
    if let Some(beyond) = scopes.iter().find(|scope| !own.has_scope(scope)) {
        let detail = format!("this key lacks the scope {beyond} itself, so it cannot mint it");
        return Err(Problem::lacks_scope(beyond, detail));
    }
    if own.expires_at.is_some_and(|own| request.expires_at.is_none_or(|asked| asked > own)) {
        return Err(Problem::field("expiresAt", "must be no later than this key's own expiry"));
    }
    let (key_id, text, secret) = key_text::mint();
    let peppers = context.services.peppers.latest().await;
    let minted = KeyMinted {
        key_id: key_id.clone(),
        scopes,
        secret_hash: key_text::secret_hash(&peppers.current, secret.expose()),
        expires_at: request.expires_at,
    };
    let commit = context.decide(|state| {
        let minted = minted.clone();
        async move { Ok(key::mint(&state, minted, clock::now())?) }
    });
    let (directory, organization) = (context.services.directory.as_ref(), &context.caller.organization);
    let decided = named(directory, organization, &key_id, Some(&request.name), commit).await?;
    reply(&decided, &key_id, Some(&request.name), &text)
}

/// The key as the log has it now: with its text only if it is the one just made, not that of an earlier try.
pub fn reply(decided: &Decided, made: &KeyId, name: Option<&str>, text: &Secret) -> Result<Reply, Problem> {
    let id = decided.id_of("KeyMinted").ok_or_else(Problem::internal)?;
    let (id, key) = decided.state.key(id)?;
    let answer = |key_text: Option<String>| MintedItem {
        item: item(id, key, name),
        secret_omitted: key_text.is_none(),
        key: key_text,
    };
    let shown = (id == made).then(|| text.expose().to_owned());
    Ok(decided.reply(Reply::created(&answer(shown)).kept_as(&answer(None))))
}
