//! `POST /integrations/{kind}/connect`

use super::credentials::{CredentialsBody, endpoint_of};
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use domain::integration;
use http::Method;
use infra::databases::checks::{self, Report, Status};
use infra::databases::guard::Host;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConnectRequest {
    credentials: CredentialsBody,
    /// Stores the credentials without trying them.
    #[serde(default)]
    skip_test: bool,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectResponse {
    status: &'static str,
    #[schemars(with = "String")]
    connected_at: Timestamp,
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "integrations-connect",
    method: Method::POST,
    path: "/integrations/{kind}/connect",
    scope: Scope::IntegrationsWrite,
    summary: "Tests and seals credentials; again, to rotate them",
    query: &[],
    request: Some(schema::<ConnectRequest>),
    response: schema::<ConnectResponse>,
    shape: Shape::One,
    success: &[200],
    problems: &[Code::UnknownIntegrationKind, Code::SslmodeNotAllowed, Code::ConnectionFailed],
    repeat: Repeat::Answered,
    function: Function {
        grants: &[
            Grant::Dial,
            Grant::Append,
            Grant::SealCredentials,
            Grant::ShredCredentials,
            Grant::KeepAnswers,
        ],
        ..Function::DIAL
    },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let kind = context.kind()?;
    let request: ConnectRequest = context.body()?;
    let credentials = request.credentials.check()?;
    let services = &context.services;
    if request.skip_test {
        // A test would refuse it; without one, a host that hides a password would reach the log.
        Host::parse(&credentials.host).map_err(|reason| Problem::field("credentials.host", reason))?;
    } else {
        let _turn = services.manage(&context.caller.organization, kind).await;
        let report = checks::run_checks(services.pools.drivers(), kind, &credentials).await;
        if !report.ok {
            return Err(failed(&report));
        }
    }
    let organization = &context.caller.organization;
    let decided = context
        .decide(|state| {
            let credentials = &credentials;
            async move {
                let next = state.next_credential_version(kind);
                let version = services.seal_credentials(&state.id, kind, next, credentials).await?;
                Ok(integration::connect(&state, kind, endpoint_of(credentials), version))
            }
        })
        .await?;
    let connection = decided.state.connection(kind)?;
    // Older versions are worth nothing but to a thief.
    let current = connection.credential_version;
    services.shred_through(organization, kind, current - 1).await;
    services.pools.evict(organization, kind, current);
    let response = ConnectResponse { status: "connected", connected_at: connection.connected_at };
    Ok(decided.reply(Reply::ok(&response)))
}

fn failed(report: &Report) -> Problem {
    let first = report.checks.iter().find(|check| check.status == Status::Failed);
    let detail = first.map_or_else(String::new, |check| {
        let hint = check.hint.as_deref().unwrap_or_default();
        format!("{}: {}. {hint}", check.label, check.detail)
    });
    let mut problem = Problem::new(Code::ConnectionFailed, detail);
    let checks = serde_json::to_value(&report.checks).expect("checks are JSON");
    problem.extra.insert("checks".to_owned(), checks);
    problem
}
