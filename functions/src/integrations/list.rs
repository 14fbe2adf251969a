//! `GET /integrations`

use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use domain::integration::Integration;
use events::IntegrationKind;
use events::integration::SslMode;
use http::Method;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// A database that was connected at least once.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IntegrationItem {
    pub kind: IntegrationKind,
    pub status: Status,
    pub connection: Option<ConnectionItem>,
    pub discovery: Option<DiscoveryItem>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Connected,
    Disconnected,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionItem {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    pub sslmode: SslMode,
    pub credential_version: u32,
    #[schemars(with = "String")]
    pub connected_at: Timestamp,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiscoveryItem {
    pub schema_hash: String,
    pub object_count: u64,
    pub field_count: u64,
    #[schemars(with = "String")]
    pub discovered_at: Timestamp,
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "integrations-list",
    method: Method::GET,
    path: "/integrations",
    scope: Scope::IntegrationsRead,
    summary: "The databases of this organization",
    query: &[],
    request: None,
    response: schema::<IntegrationItem>,
    shape: Shape::List,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function { grants: &[], ..Function::READ },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let page = context.page()?;
    let (items, pagination) =
        page.cut(context.caller.state.integrations.iter(), |(kind, _)| format!("{}", **kind as u8));
    let items: Vec<IntegrationItem> = items.into_iter().map(|(kind, it)| item(*kind, it)).collect();
    Ok(Reply::list(&items, &pagination))
}

fn item(kind: IntegrationKind, integration: &Integration) -> IntegrationItem {
    let connection = integration.connection.as_ref().map(|connection| ConnectionItem {
        host: connection.endpoint.host.clone(),
        port: connection.endpoint.port,
        database: connection.endpoint.database.clone(),
        user: connection.endpoint.user.clone(),
        sslmode: connection.endpoint.sslmode,
        credential_version: connection.credential_version,
        connected_at: connection.connected_at,
    });
    let discovery = integration.discovery.as_ref().map(|discovery| DiscoveryItem {
        schema_hash: discovery.schema_hash.clone(),
        object_count: discovery.object_count,
        field_count: discovery.field_count,
        discovered_at: discovery.discovered_at,
    });
    let status = if connection.is_some() { Status::Connected } else { Status::Disconnected };
    IntegrationItem { kind, status, connection, discovery }
}
