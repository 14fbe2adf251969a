//! `POST /subscriptions/{id}/deliveries/{deliveryId}/redeliver`

use super::AttemptItem;
use super::deliver::Message;
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use domain::Refusal;
use events::Seq;
use http::Method;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "subscriptions-redeliver",
    method: Method::POST,
    path: "/subscriptions/{id}/deliveries/{deliveryId}/redeliver",
    scope: Scope::SubscriptionsWrite,
    summary: "Sends the event of an attempt once more, with the same webhook-id; the order of the others stays",
    query: &[],
    request: None,
    response: schema::<AttemptItem>,
    shape: Shape::One,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function {
        grants: &[Grant::Dial, Grant::ReadDeliveries, Grant::WriteDeliveries],
        ..Function::DIAL
    },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let (services, organization) = (&context.services, &context.caller.organization);
    let (id, subscription) = context.caller.state.subscription(context.path("id"))?;
    let not_found = || Problem::from(Refusal::NotFound { what: "delivery" });
    let earlier = services.deliveries.attempt(organization, id, context.path("deliveryId")).await?;
    let earlier = earlier.ok_or_else(not_found)?;
    let before = Seq(earlier.seq.0.checked_sub(1).ok_or_else(not_found)?);
    let events = services.log.read(organization, before, 1).await?;
    let event = events.first().filter(|event| event.seq == earlier.seq).ok_or_else(not_found)?;
    let number = earlier.number + 1;
    let attempt = services.attempt(organization, id, subscription, &Message::of(event), number).await;
    services.deliveries.keep(organization, id, &attempt).await?;
    Ok(Reply::ok(&AttemptItem::from(attempt)))
}
