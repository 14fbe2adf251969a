//! `GET /integrations/{kind}/discoveries/{id}`

use super::running::Job;
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use http::Method;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiscoveryProgress {
    discovery_id: String,
    status: Status,
    /// Tables read so far.
    tables_read: u64,
    /// The answer of a discovery that finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Status {
    Running,
    Finished,
    Failed,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Failure {
    code: &'static str,
    detail: String,
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "integrations-discovery",
    method: Method::GET,
    path: "/integrations/{kind}/discoveries/{id}",
    scope: Scope::IntegrationsRead,
    summary: "How far a long discovery is",
    query: &[],
    request: None,
    response: schema::<DiscoveryProgress>,
    shape: Shape::One,
    success: &[200],
    problems: &[Code::UnknownIntegrationKind],
    repeat: Repeat::Harmless,
    function: Function { grants: &[Grant::Discoveries], ..Function::READ },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let kind = context.kind()?;
    let job = context.services.discoveries.find(&context.caller.organization, kind, context.path("id"))?;
    Ok(Reply::ok(&progress(&job)))
}

pub fn progress(job: &Job) -> DiscoveryProgress {
    let (status, result, error) = match job.outcome() {
        None => (Status::Running, None, None),
        Some(Ok(body)) => (Status::Finished, Some(body["data"].clone()), None),
        Some(Err(problem)) => {
            let failure = Failure { code: problem.code.as_str(), detail: problem.detail.clone() };
            (Status::Failed, None, Some(failure))
        }
    };
    DiscoveryProgress { discovery_id: job.id.clone(), status, tables_read: job.tables(), result, error }
}
