//! `DELETE /subscriptions/{id}`

use super::{SubscriptionItem, item};
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use domain::subscription;
use events::SubscriptionId;
use http::Method;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "subscriptions-delete",
    method: Method::DELETE,
    path: "/subscriptions/{id}",
    scope: Scope::SubscriptionsWrite,
    summary: "Ends a webhook; nothing more is delivered",
    query: &[],
    request: None,
    response: schema::<SubscriptionItem>,
    shape: Shape::One,
    success: &[200],
    problems: &[Code::StaleVersion],
    repeat: Repeat::Harmless,
    function: Function {
        grants: &[Grant::Append, Grant::ReadDeliveries, Grant::WriteDeliveries],
        ..Function::CHANGE
    },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let id = SubscriptionId::from(context.path("id"));
    let organization = &context.caller.organization;
    let cursor = context.services.deliveries.cursor(organization, &id).await?;
    let decided = context
        .decide(|state| {
            let (id, context) = (id.clone(), &context);
            async move {
                let (_, subscription) = state.subscription(id.as_str())?;
                context.check_if_match(subscription.version)?;
                Ok(subscription::delete(&state, &id)?)
            }
        })
        .await?;
    context.services.deliveries.forget(organization, &id).await?;
    let deleted = decided.state.subscriptions.get(&id).ok_or_else(Problem::internal)?;
    Ok(decided.reply(Reply::ok(&item(&id, deleted, cursor.as_ref()))))
}
