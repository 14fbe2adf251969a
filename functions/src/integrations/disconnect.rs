//! `DELETE /integrations/{kind}`

use super::scoping_patch::QuarantinedItem;
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use domain::integration;
use http::Method;
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DisconnectResponse {
    status: &'static str,
    quarantined_skills: Vec<QuarantinedItem>,
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "integrations-disconnect",
    method: Method::DELETE,
    path: "/integrations/{kind}",
    scope: Scope::IntegrationsWrite,
    summary: "Destroys the sealed credentials and stops the skills; the history stays",
    query: &[],
    request: None,
    response: schema::<DisconnectResponse>,
    shape: Shape::One,
    success: &[200],
    problems: &[Code::UnknownIntegrationKind, Code::IntegrationNotConnected, Code::StaleVersion],
    repeat: Repeat::Harmless,
    function: Function { grants: &[Grant::Append, Grant::ShredCredentials], ..Function::CHANGE },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let kind = context.kind()?;
    let (services, organization) = (&context.services, &context.caller.organization);
    let disconnected = context
        .decide(|state| {
            let checked = context.check_if_match(state.version(&integration::subject(kind)));
            async move {
                checked?;
                Ok(integration::disconnect(&state, kind)?)
            }
        })
        .await;
    // Also when there was no connection: an earlier disconnect may have been cut off before this.
    let state = services.log.state(organization).await?;
    if let Some(integration) = state.integrations.get(&kind).filter(|it| it.connection.is_none()) {
        services.shred_through(organization, kind, integration.last_credential_version).await;
        services.pools.evict(organization, kind, integration.last_credential_version + 1);
    }
    let decided = disconnected?;
    let response = DisconnectResponse {
        status: "disconnected",
        quarantined_skills: QuarantinedItem::listed_in(&decided.events),
    };
    Ok(decided.reply(Reply::ok(&response)))
}
