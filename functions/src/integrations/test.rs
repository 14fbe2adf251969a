//! `POST /integrations/{kind}/sql/test`: tries credentials and stores nothing.

use super::credentials::CredentialsBody;
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use http::Method;
use infra::databases::checks::{self, Report};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestRequest {
    credentials: CredentialsBody,
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "integrations-test",
    method: Method::POST,
    path: "/integrations/{kind}/sql/test",
    scope: Scope::IntegrationsWrite,
    summary: "Tries credentials in six checks and stores nothing",
    query: &[],
    request: Some(schema::<TestRequest>),
    response: schema::<Report>,
    shape: Shape::One,
    success: &[200],
    problems: &[Code::UnknownIntegrationKind, Code::SslmodeNotAllowed],
    repeat: Repeat::Harmless,
    function: Function { grants: &[Grant::Dial], ..Function::DIAL },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let kind = context.kind()?;
    let request: TestRequest = context.body()?;
    let credentials = request.credentials.check()?;
    let _turn = context.services.manage(&context.caller.organization, kind).await;
    let report = checks::run_checks(context.services.pools.drivers(), kind, &credentials).await;
    Ok(Reply::ok(&report))
}
