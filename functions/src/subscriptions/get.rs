//! `GET /subscriptions/{id}`

use super::{SubscriptionItem, item};
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use http::Method;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "subscriptions-get",
    method: Method::GET,
    path: "/subscriptions/{id}",
    scope: Scope::SubscriptionsWrite,
    summary: "One webhook and how far it is",
    query: &[],
    request: None,
    response: schema::<SubscriptionItem>,
    shape: Shape::One,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function { grants: &[Grant::ReadDeliveries], ..Function::READ },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let (id, subscription) = context.caller.state.subscription(context.path("id"))?;
    let cursor = context.services.deliveries.cursor(&context.caller.organization, id).await?;
    Ok(Reply::ok(&item(id, subscription, cursor.as_ref())).etag(subscription.version))
}
