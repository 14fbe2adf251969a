//! `POST /subscriptions/{id}/rotate-secret`

use super::{WithSecret, item};
use crate::body::schema;
use crate::clock;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use domain::limits::WEBHOOK_SECRET_OVERLAP;
use domain::subscription;
use events::SubscriptionId;
use http::Method;
use jiff::SignedDuration;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "subscriptions-rotate-secret",
    method: Method::POST,
    path: "/subscriptions/{id}/rotate-secret",
    scope: Scope::SubscriptionsWrite,
    summary: "Signs with a new secret, which is returned once; for a day with the one before as well",
    query: &[],
    request: None,
    response: schema::<WithSecret>,
    shape: Shape::One,
    success: &[200],
    problems: &[],
    repeat: Repeat::Answered,
    function: Function {
        grants: &[Grant::Append, Grant::KeepAnswers, Grant::ReadDeliveries],
        ..Function::CHANGE
    },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let id = SubscriptionId::from(context.path("id"));
    let overlap = SignedDuration::try_from(WEBHOOK_SECRET_OVERLAP).expect("a day fits");
    let decided = context
        .decide(|state| {
            let id = id.clone();
            async move { Ok(subscription::rotate_secret(&state, &id, clock::now() + overlap)?) }
        })
        .await?;
    let (services, organization) = (&context.services, &context.caller.organization);
    let cursor = services.deliveries.cursor(organization, &id).await?;
    let (id, rotated) = decided.state.subscription(id.as_str())?;
    let answer = |secret: Option<String>| WithSecret {
        item: item(id, rotated, cursor.as_ref()),
        secret_omitted: secret.is_none(),
        secret,
    };
    let secret = services.webhook_secret_text(organization, id, rotated.secret_version);
    Ok(decided.reply(Reply::ok(&answer(Some(secret))).kept_as(&answer(None))))
}
