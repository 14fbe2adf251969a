//! `DELETE /keys/{id}`

use super::{KeyItem, item, name_of};
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use domain::key;
use events::KeyId;
use http::Method;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "keys-revoke",
    method: Method::DELETE,
    path: "/keys/{id}",
    scope: Scope::KeysWrite,
    summary: "Ends a key at once",
    query: &[],
    request: None,
    response: schema::<KeyItem>,
    shape: Shape::One,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function { grants: &[Grant::Append, Grant::ReadNames], ..Function::CHANGE },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let id = KeyId::from(context.path("id"));
    let decided = context
        .decide(|state| {
            let id = id.clone();
            async move { Ok(key::revoke(&state, &id)?) }
        })
        .await?;
    let (id, revoked) = decided.state.key(id.as_str())?;
    let name = name_of(context.services.directory.as_ref(), &context.caller.organization, id).await?;
    Ok(decided.reply(Reply::ok(&item(id, revoked, name.as_deref()))))
}
