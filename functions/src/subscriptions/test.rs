//! `POST /subscriptions/{id}/test`

use super::AttemptItem;
use super::deliver::Message;
use crate::body::schema;
use crate::clock;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use crate::random;
use bytes::Bytes;
use events::Seq;
use http::Method;
use serde_json::json;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "subscriptions-test",
    method: Method::POST,
    path: "/subscriptions/{id}/test",
    scope: Scope::SubscriptionsWrite,
    summary: "Sends a signed message of type Test and says what the receiver answered",
    query: &[],
    request: None,
    response: schema::<AttemptItem>,
    shape: Shape::One,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function { grants: &[Grant::Dial, Grant::WriteDeliveries], ..Function::DIAL },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let (services, organization) = (&context.services, &context.caller.organization);
    let (id, subscription) = context.caller.state.subscription(context.path("id"))?;
    let message_id = format!("test_{}", random::base62(20));
    let body = json!({
        "seq": 0, "id": message_id, "type": "Test", "version": 1,
        "subject": { "kind": "subscription", "id": id }, "actor": context.caller.actor(),
        "requestId": context.request_id, "recordedAt": clock::now(), "data": {},
    });
    let message = Message {
        seq: Seq(0),
        id: message_id,
        event_type: "Test".to_owned(),
        body: Bytes::from(body.to_string()),
    };
    let attempt = services.attempt(organization, id, subscription, &message, 1).await;
    services.deliveries.keep(organization, id, &attempt).await?;
    Ok(Reply::ok(&AttemptItem::from(attempt)))
}
