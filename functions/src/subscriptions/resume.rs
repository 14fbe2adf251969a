//! `POST /subscriptions/{id}/resume`

use super::{SubscriptionItem, item};
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use domain::subscription;
use events::SubscriptionId;
use http::Method;
use infra::storage::deliveries::Cursor;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "subscriptions-resume",
    method: Method::POST,
    path: "/subscriptions/{id}/resume",
    scope: Scope::SubscriptionsWrite,
    summary: "Goes on delivering where a parked webhook stopped, at once",
    query: &[],
    request: None,
    response: schema::<SubscriptionItem>,
    shape: Shape::One,
    success: &[200],
    problems: &[],
    repeat: Repeat::Answered,
    function: Function {
        grants: &[Grant::Append, Grant::KeepAnswers, Grant::ReadDeliveries, Grant::WriteDeliveries],
        ..Function::CHANGE
    },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let id = SubscriptionId::from(context.path("id"));
    let (services, organization) = (&context.services, &context.caller.organization);
    context.caller.state.subscription(id.as_str())?;
    // One that fails is tried at once too, and has its whole time again.
    if let Some(was) = services.deliveries.cursor(organization, &id).await?
        && was.failing.is_some()
    {
        let fresh = Cursor { after: was.after, ..Cursor::default() };
        services.deliveries.advance(organization, &id, Some(&was), &fresh, None).await?;
    }
    let decided = context
        .decide(|state| {
            let id = id.clone();
            async move { Ok(subscription::resume(&state, &id)?) }
        })
        .await?;
    services.deliver(organization, &id);
    let cursor = services.deliveries.cursor(organization, &id).await?;
    let (id, resumed) = decided.state.subscription(id.as_str())?;
    Ok(decided.reply(Reply::ok(&item(id, resumed, cursor.as_ref()))))
}
