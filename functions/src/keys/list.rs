//! `GET /keys`

use super::{KeyItem, item};
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use http::Method;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "keys-list",
    method: Method::GET,
    path: "/keys",
    scope: Scope::KeysWrite,
    summary: "The keys of this organization, never their secrets",
    query: &[],
    request: None,
    response: schema::<KeyItem>,
    shape: Shape::List,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function { grants: &[Grant::ReadNames], ..Function::READ },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let page = context.page()?;
    let (keys, pagination) = page.cut(&context.caller.state.keys, |(id, _)| id.to_string());
    let names = context.services.directory.names(&context.caller.organization).await?;
    let name = |id| names.get(id).map(String::as_str);
    let items: Vec<KeyItem> = keys.into_iter().map(|(id, key)| item(id, key, name(id))).collect();
    Ok(Reply::list(&items, &pagination))
}
