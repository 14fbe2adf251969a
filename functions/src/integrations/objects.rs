//! `GET /integrations/{kind}/objects`: the schema as summaries.

use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, QueryParameter, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use domain::catalog::{Object, ObjectKind};
use http::Method;
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectSummary<'a> {
    name: &'a str,
    kind: ObjectKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<&'a str>,
    field_count: usize,
    relationship_count: usize,
    operations: Vec<String>,
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "integrations-objects",
    method: Method::GET,
    path: "/integrations/{kind}/objects",
    scope: Scope::IntegrationsRead,
    summary: "Tables and views in short",
    query: &[QueryParameter {
        name: "q",
        required: false,
        meaning: "Part of a name or comment, in any case",
    }],
    request: None,
    response: schema::<ObjectSummary>,
    shape: Shape::List,
    success: &[200],
    problems: &[Code::UnknownIntegrationKind, Code::NotDiscovered],
    repeat: Repeat::Harmless,
    function: Function { grants: &[Grant::ReadArtefacts], ..Function::READ },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let kind = context.kind()?;
    let page = context.page()?;
    let view = context.services.visible(&context.caller.state, kind).await?;
    let wanted = context.query("q").unwrap_or_default().to_lowercase();
    let matches = |object: &&Object| {
        let comment = object.comment.as_deref().unwrap_or_default();
        object.name.to_lowercase().contains(&wanted) || comment.to_lowercase().contains(&wanted)
    };
    let found = view.catalog.objects.iter().filter(matches);
    let (objects, pagination) = page.cut(found, |object| object.name.clone());
    let items: Vec<ObjectSummary> = objects.into_iter().map(summary).collect();
    Ok(Reply::list(&items, &pagination))
}

fn summary(object: &Object) -> ObjectSummary<'_> {
    ObjectSummary {
        name: &object.name,
        kind: object.kind,
        comment: object.comment.as_deref(),
        field_count: object.fields.len(),
        relationship_count: object.relationships.len(),
        operations: object.operations(),
    }
}
