//! `GET /subscriptions/{id}/deliveries`

use super::AttemptItem;
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::pages::Pagination;
use crate::problem::Problem;
use domain::limits::WEBHOOK_ATTEMPTS_KEPT;
use http::Method;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "subscriptions-deliveries",
    method: Method::GET,
    path: "/subscriptions/{id}/deliveries",
    scope: Scope::SubscriptionsWrite,
    summary: "What was tried, newest first; the last thousand attempts are kept",
    query: &[],
    request: None,
    response: schema::<AttemptItem>,
    shape: Shape::List,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function { grants: &[Grant::ReadDeliveries], ..Function::READ },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let page = context.page()?;
    let (id, _) = context.caller.state.subscription(context.path("id"))?;
    let (store, organization) = (&context.services.deliveries, &context.caller.organization);
    let limit = page.limit as usize;
    let mut attempts = store.attempts(organization, id, page.after.as_deref(), limit + 1).await?;
    let more = attempts.len() > limit;
    attempts.truncate(limit);
    let total = store.attempts(organization, id, None, WEBHOOK_ATTEMPTS_KEPT).await?.len();
    let next_cursor = attempts.last().filter(|_| more).map(|last| page.cursor(&last.id));
    let items: Vec<AttemptItem> = attempts.into_iter().map(AttemptItem::from).collect();
    Ok(Reply::list(&items, &Pagination { limit: page.limit, next_cursor, total: total as u64 }))
}
