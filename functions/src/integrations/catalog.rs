//! `GET /integrations/catalog`: what kinds of database can be connected, and what that takes.

use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use events::IntegrationKind;
use events::integration::SslMode;
use http::Method;
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KindItem {
    pub kind: IntegrationKind,
    pub name: &'static str,
    pub versions: &'static str,
    pub default_port: u16,
    pub sslmodes: Vec<SslMode>,
    pub credentials: Vec<CredentialField>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialField {
    pub name: &'static str,
    pub required: bool,
    pub secret: bool,
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "integrations-catalog",
    method: Method::GET,
    path: "/integrations/catalog",
    scope: Scope::IntegrationsRead,
    summary: "The kinds of database that can be connected",
    query: &[],
    request: None,
    response: schema::<KindItem>,
    shape: Shape::List,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function { grants: &[], ..Function::READ },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let page = context.page()?;
    let (kinds, pagination) = page.cut(IntegrationKind::ALL, |kind| format!("{}", *kind as u8));
    let items: Vec<KindItem> = kinds.into_iter().map(item).collect();
    Ok(Reply::list(&items, &pagination))
}

fn item(kind: IntegrationKind) -> KindItem {
    let (name, versions, default_port) = match kind {
        IntegrationKind::Postgres => ("PostgreSQL", "13 to 18", 5432),
        IntegrationKind::Mysql => ("MySQL and MariaDB", "MySQL 8, MariaDB 10.6 and later", 3306),
    };
    let field = |name, required, secret| CredentialField { name, required, secret };
    KindItem {
        kind,
        name,
        versions,
        default_port,
        sslmodes: SslMode::ALL.to_vec(),
        credentials: vec![
            field("host", true, false),
            field("port", true, false),
            field("database", true, false),
            field("user", true, false),
            field("password", true, true),
            field("sslmode", true, false),
            field("ca_pem", false, false),
        ],
    }
}
