//! `GET /integrations/{kind}/discoveries/{id}`

use super::discoveries::Ending;
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use http::Method;
use infra::storage::{self, DiscoveryJob};
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
    let (organization, id) = (&context.caller.organization, context.path("id"));
    let job = context.services.discoveries.look(organization, kind, id).await?;
    let job = job.ok_or_else(|| Problem::new(Code::NotFound, "no such discovery in this organization"))?;
    Ok(Reply::ok(&answer(&job)?))
}

/// # Errors
/// 500 when the job's ending cannot be read.
pub fn answer(job: &DiscoveryJob) -> Result<DiscoveryProgress, Problem> {
    let (tables_read, outcome) = match (&job.progress, Ending::of(job)?) {
        (storage::DiscoveryProgress::Running { tables }, _) => (*tables, None),
        (storage::DiscoveryProgress::Ended { .. }, ending) => {
            (ending.as_ref().map_or(0, |ending| ending.tables), ending.map(Ending::into_result))
        }
    };
    let (status, result, error) = match outcome {
        None => (Status::Running, None, None),
        Some(Ok((data, _position))) => (Status::Finished, Some(data), None),
        Some(Err(problem)) => {
            let failure = Failure { code: problem.code.as_str(), detail: problem.detail };
            (Status::Failed, None, Some(failure))
        }
    };
    Ok(DiscoveryProgress { discovery_id: job.id.clone(), status, tables_read, result, error })
}
