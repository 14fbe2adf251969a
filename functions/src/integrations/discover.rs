//! `POST /integrations/{kind}/discover`

use super::running::Job;
use super::scoping_patch::QuarantinedItem;
use crate::body::schema;
use crate::decide::{Command, Decided, decide};
use crate::endpoint::{Context, Endpoint, Function, Grant, POSITION, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use domain::integration;
use events::integration::SchemaChanges;
use events::{Event, IntegrationKind};
use futures_util::FutureExt;
use http::{HeaderValue, Method, StatusCode};
use infra::databases::error::Fault;
use infra::databases::{DatabaseError, Session};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiscoverResponse {
    object_count: u64,
    field_count: u64,
    edge_count: u64,
    operation_count: u64,
    schema_hash: String,
    #[schemars(with = "String")]
    discovered_at: Timestamp,
    changes: SchemaChanges,
    quarantined_skills: Vec<QuarantinedItem>,
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "integrations-discover",
    method: Method::POST,
    path: "/integrations/{kind}/discover",
    scope: Scope::IntegrationsWrite,
    summary: "Reads the schema into the catalog; 202 when it takes longer",
    query: &[],
    request: None,
    response: schema::<DiscoverAnswer>,
    shape: Shape::One,
    success: &[200, 202],
    problems: &[
        Code::UnknownIntegrationKind,
        Code::IntegrationNotConnected,
        Code::ConnectionChanged,
        Code::ConnectionFailed,
    ],
    repeat: Repeat::Answered,
    function: Function { grants: &[Grant::Discoveries, Grant::KeepAnswers], ..Function::WAIT },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let kind = context.kind()?;
    if !context.body.is_empty() {
        let _: NoFields = context.body()?;
    }
    let services = context.services.clone();
    let version = context.caller.state.connection(kind)?.credential_version;
    let (job, is_new) = services.discoveries.join_or_start(&context.caller.organization, kind, version)?;
    let wait = services.config.discovery_answer_after;
    if is_new {
        services.tasks.spawn(run(context, job.clone()));
    }
    match tokio::time::timeout(wait, job.finished()).await {
        Ok(outcome) => finished(outcome),
        Err(_) => {
            let data = super::discovery::progress(&job);
            Ok(Reply::with_status(StatusCode::ACCEPTED, &data))
        }
    }
}

/// 200 has the result, 202 where to poll for it.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)] // only its schema is used
enum DiscoverAnswer {
    Finished(DiscoverResponse),
    Running(super::discovery::DiscoveryProgress),
}

/// A body is not needed; one that is sent must be an empty object.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoFields {}

fn finished(outcome: super::running::Outcome) -> Result<Reply, Problem> {
    let body = outcome.map_err(|problem| (*problem).clone())?;
    let mut reply = Reply::ok(&body["data"]);
    let position = body["position"].as_u64().unwrap_or_default();
    reply.headers.push((POSITION.clone(), HeaderValue::from(position)));
    Ok(reply)
}

async fn run(context: Context, job: Arc<Job>) {
    let discovered = AssertUnwindSafe(discover(&context, &job)).catch_unwind().await;
    job.finish(match discovered {
        Ok(Ok((response, decided))) => {
            let body = serde_json::json!({ "data": response, "position": decided.position() });
            Ok(Arc::new(body))
        }
        Ok(Err(problem)) => Err(Arc::new(problem)),
        Err(_) => Err(Arc::new(Problem::internal())),
    });
}

async fn discover(context: &Context, job: &Job) -> Result<(DiscoverResponse, Decided), Problem> {
    let (services, organization, kind) = (&context.services, &context.caller.organization, job.kind);
    let version = job.credential_version;
    let _turn = services.manage(organization, kind).await;
    let source = services.credential_source(organization, kind, version);
    let credentials = source().await.map_err(failed)?;
    let limit = domain::limits::DISCOVERY_TIMEOUT;
    let reading = async {
        let drivers = services.pools.drivers();
        let mut connection = drivers
            .open(kind, &credentials, Session::ReadOnly)
            .await
            .map_err(|failure| failed(failure.error))?;
        let progress = |tables: u64| job.tables.store(tables, Ordering::Relaxed);
        let catalog = connection.introspect(&progress).await.map_err(failed)?;
        connection.close().await;
        Ok::<_, Problem>(Arc::new(catalog))
    };
    let catalog = tokio::time::timeout(limit, reading).await.map_err(|_| {
        let detail = format!("the schema could not be read within {} s", limit.as_secs());
        Problem::new(Code::ConnectionFailed, detail)
    })??;
    // The snapshot first, the event second: the log never points at what is not there.
    let root = services.snapshots.store(organization, catalog.clone()).await?;
    let command = Command {
        organization,
        id: context.command_id.clone(),
        actor: context.caller.actor(),
        request_id: context.request_id.clone(),
    };
    let decided = decide(services.log.as_ref(), Some(&services.turns), command, |state| {
        let (catalog, root) = (catalog.clone(), root.clone());
        async move {
            let before = match state.last_discovery(kind) {
                Some(discovery) => Some(services.snapshot(&state, discovery).await?),
                None => None,
            };
            // Off the threads that serve calls: a large schema is hashed and compared for half a second.
            let decide =
                move || integration::discover(&state, kind, &catalog, before.as_deref(), root, version);
            let decided = tokio::task::spawn_blocking(decide).await;
            Ok(decided.map_err(|_| Problem::internal())??)
        }
    })
    .await?;
    services.visible.forget(organization, kind);
    let response = response(&decided, kind)?;
    Ok((response, decided))
}

fn response(decided: &Decided, kind: IntegrationKind) -> Result<DiscoverResponse, Problem> {
    let found = decided.events.iter().find_map(|recorded| match &recorded.event {
        Event::Discovered(data) if data.kind == kind => Some((recorded, data)),
        _ => None,
    });
    let (recorded, data) = found.ok_or_else(Problem::internal)?;
    Ok(DiscoverResponse {
        object_count: data.object_count,
        field_count: data.field_count,
        edge_count: data.edge_count,
        operation_count: data.operation_count,
        schema_hash: data.schema_hash.clone(),
        discovered_at: recorded.recorded_at,
        changes: data.changes.clone(),
        quarantined_skills: QuarantinedItem::listed_in(&decided.events),
    })
}

fn failed(error: DatabaseError) -> Problem {
    if error.fault == Fault::CredentialsUnavailable {
        return Problem::unavailable(error.advice);
    }
    Problem::new(Code::ConnectionFailed, error.to_string())
}
