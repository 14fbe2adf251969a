//! `POST /subscriptions`

use super::{WithSecret, item};
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use crate::random;
use domain::{FieldError, subscription};
use events::Seq;
use http::Method;
use infra::databases::guard::Guard;
use infra::outgoing::Target;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeSet;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateRequest {
    /// Where events are posted to, with https.
    url: String,
    /// Event types; all when absent.
    #[serde(default)]
    types: Option<BTreeSet<String>>,
    /// The sequence number after which to start; now when absent.
    #[serde(default)]
    from: Option<Seq>,
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "subscriptions-create",
    method: Method::POST,
    path: "/subscriptions",
    scope: Scope::SubscriptionsWrite,
    summary: "Subscribes a webhook; its secret is returned once",
    query: &[],
    request: Some(schema::<CreateRequest>),
    response: schema::<WithSecret>,
    shape: Shape::One,
    success: &[201],
    problems: &[Code::LimitReached],
    repeat: Repeat::Answered,
    function: Function { grants: &[Grant::Append, Grant::KeepAnswers], ..Function::CHANGE },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let request: CreateRequest = context.body()?;
    let guard = Guard { allowed: context.services.config.allow_private_hosts.clone() };
    let judged = Target::parse(&request.url).and_then(|target| target.judge(&guard));
    judged.map_err(|reason| {
        Problem::fields(Code::ValidationError, vec![FieldError::new("url", "invalid", reason)])
    })?;
    let made = random::subscription_id();
    let decided = context
        .decide(|state| {
            let (made, url, types) = (made.clone(), request.url.clone(), request.types.clone());
            async move { Ok(subscription::create(&state, &made, url, types, request.from)?) }
        })
        .await?;
    let id = decided.id_of("SubscriptionCreated").ok_or_else(Problem::internal)?;
    let (id, created) = decided.state.subscription(id)?;
    let (services, organization) = (&context.services, &context.caller.organization);
    services.deliver(organization, id);
    let answer = |secret: Option<String>| WithSecret {
        item: item(id, created, None),
        secret_omitted: secret.is_none(),
        secret,
    };
    let secret = services.webhook_secret_text(organization, id, created.secret_version);
    Ok(decided.reply(Reply::created(&answer(Some(secret))).kept_as(&answer(None))))
}
