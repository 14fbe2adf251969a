//! `GET /subscriptions`

use super::{SubscriptionItem, item};
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use http::Method;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "subscriptions-list",
    method: Method::GET,
    path: "/subscriptions",
    scope: Scope::SubscriptionsWrite,
    summary: "The webhooks of this organization and how far each is, never their secrets",
    query: &[],
    request: None,
    response: schema::<SubscriptionItem>,
    shape: Shape::List,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function { grants: &[Grant::ReadDeliveries], ..Function::READ },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let page = context.page()?;
    let state = &context.caller.state;
    let (subscriptions, pagination) =
        page.cut(state.subscriptions().collect::<Vec<_>>(), |(id, _)| id.to_string());
    let mut items = Vec::with_capacity(subscriptions.len());
    for (id, subscription) in subscriptions {
        let cursor = context.services.deliveries.cursor(&context.caller.organization, id).await?;
        items.push(item(id, subscription, cursor.as_ref()));
    }
    Ok(Reply::list(&items, &pagination))
}
