//! `POST /integrations/{kind}/discover`

use super::discoveries::Ending;
use super::scoping_patch::QuarantinedItem;
use crate::body::schema;
use crate::decide::Decided;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::problem::{Code, Problem};
use crate::{clock, handler, random};
use events::integration::SchemaChanges;
use events::{Event, IntegrationKind};
use http::{Method, StatusCode};
use infra::storage::{DiscoveryJob, DiscoveryProgress};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

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
    let services = &context.services;
    let job = DiscoveryJob {
        id: random::discovery_id(),
        organization: context.caller.organization.clone(),
        kind,
        credential_version: context.caller.state.connection(kind)?.credential_version,
        command_id: context.command_id().clone(),
        actor: context.caller.actor(),
        request_id: context.request_id.clone(),
        requested_at: clock::now(),
        progress: DiscoveryProgress::Running { tables: 0 },
    };
    let job = services.discoveries.start_or_join(services, job).await?;
    let job = services.discoveries.wait(job, services.config.discovery_answer_after).await?;
    match Ending::of(&job)? {
        Some(ending) => {
            let (data, position) = ending.into_result()?;
            Ok(Reply::ok(&data).position(position))
        }
        None => Ok(Reply::with_status(StatusCode::ACCEPTED, &super::discovery::answer(&job)?)),
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

impl DiscoverResponse {
    /// # Errors
    /// 500 when the commit holds no discovery of this kind.
    pub fn of(decided: &Decided, kind: IntegrationKind) -> Result<Self, Problem> {
        let found = decided.events.iter().find_map(|recorded| match &recorded.event {
            Event::Discovered(data) if data.kind == kind => Some((recorded, data)),
            _ => None,
        });
        let (recorded, data) = found.ok_or_else(Problem::internal)?;
        Ok(Self {
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
}
