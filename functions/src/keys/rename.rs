//! `PATCH /keys/{id}`

use super::{KeyItem, check_name, item};
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use domain::key;
use events::KeyId;
use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameRequest {
    /// What the key is called from now on; null erases its name.
    // With a function of its own serde asks for the member, so that nobody erases by leaving it out.
    #[serde(deserialize_with = "present")]
    #[schemars(required)]
    name: Option<String>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "keys-rename",
    method: Method::PATCH,
    path: "/keys/{id}",
    scope: Scope::KeysWrite,
    summary: "Calls a key otherwise, or erases its name; the log records that, and never a name",
    query: &[],
    request: Some(schema::<RenameRequest>),
    response: schema::<KeyItem>,
    shape: Shape::One,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function { grants: &[Grant::Append, Grant::WriteNames], ..Function::CHANGE },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let RenameRequest { name } = context.body()?;
    if let Some(wrong) = name.as_deref().and_then(check_name) {
        return Err(Problem::fields(Code::ValidationError, vec![wrong]));
    }
    let (id, erased) = (KeyId::from(context.path("id")), name.is_none());
    let decided = context
        .decide(|state| {
            let id = id.clone();
            async move { Ok(key::rename(&state, &id, erased)?) }
        })
        .await?;
    // The record first: a name that changes unseen would put one person's doings under another's name.
    context.services.directory.rename(&context.caller.organization, &id, name.as_deref()).await?;
    let (id, renamed) = decided.state.key(id.as_str())?;
    Ok(decided.reply(Reply::ok(&item(id, renamed, name.as_deref()))))
}
