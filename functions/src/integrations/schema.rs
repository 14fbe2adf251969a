//! `GET /integrations/{kind}/schema`: the normalized catalog, paged by object.

use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::pages::Pagination;
use crate::problem::{Code, Problem};
use domain::catalog::{Field, Indexed, Object, ObjectKind, Relationship, RelationshipKind};
use events::skill::FieldType;
use http::{Method, StatusCode};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchemaResponse<'a> {
    schema_hash: &'a str,
    #[schemars(with = "String")]
    discovered_at: Timestamp,
    objects: Vec<ObjectItem<'a>>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectItem<'a> {
    name: &'a str,
    schema: &'a str,
    kind: ObjectKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    row_estimate: Option<u64>,
    fields: Vec<FieldItem<'a>>,
    primary_key: &'a [String],
    unique_keys: &'a [Vec<String>],
    relationships: Vec<RelationshipItem<'a>>,
    operations: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct FieldItem<'a> {
    name: &'a str,
    r#type: FieldType,
    native_type: &'a str,
    nullable: bool,
    has_default: bool,
    generated: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    enum_values: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<&'a str>,
    indexed: Indexed,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct RelationshipItem<'a> {
    name: &'a str,
    kind: RelationshipKind,
    fields: &'a [String],
    target: &'a str,
    target_fields: &'a [String],
}

impl<'a> From<&'a Object> for ObjectItem<'a> {
    fn from(object: &'a Object) -> Self {
        Self {
            name: &object.name,
            schema: &object.schema,
            kind: object.kind,
            comment: object.comment.as_deref(),
            row_estimate: object.row_estimate,
            fields: object.fields.iter().map(FieldItem::from).collect(),
            primary_key: &object.primary_key,
            unique_keys: &object.unique_keys,
            relationships: object.relationships.iter().map(RelationshipItem::from).collect(),
            operations: object.operations(),
        }
    }
}

impl<'a> From<&'a Field> for FieldItem<'a> {
    fn from(field: &'a Field) -> Self {
        Self {
            name: &field.name,
            r#type: field.shape.field_type,
            native_type: &field.shape.native_type,
            nullable: field.nullable,
            has_default: field.has_default,
            generated: field.generated,
            enum_values: &field.shape.enum_values,
            comment: field.comment.as_deref(),
            indexed: field.indexed,
        }
    }
}

impl<'a> From<&'a Relationship> for RelationshipItem<'a> {
    fn from(relationship: &'a Relationship) -> Self {
        Self {
            name: &relationship.name,
            kind: relationship.kind,
            fields: &relationship.fields,
            target: &relationship.target,
            target_fields: &relationship.target_fields,
        }
    }
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "integrations-schema",
    method: Method::GET,
    path: "/integrations/{kind}/schema",
    scope: Scope::IntegrationsRead,
    summary: "The discovered schema without what is blocked",
    query: &[],
    request: None,
    response: schema::<SchemaResponse>,
    shape: Shape::Paged,
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
    let (objects, pagination) = page.cut(&view.catalog.objects, |object| object.name.clone());
    #[derive(Serialize)]
    struct Body<'a> {
        success: bool,
        data: SchemaResponse<'a>,
        pagination: Pagination,
    }
    let data = SchemaResponse {
        schema_hash: &view.schema_hash,
        discovered_at: view.discovered_at,
        objects: objects.into_iter().map(ObjectItem::from).collect(),
    };
    Ok(Reply::raw(StatusCode::OK, &Body { success: true, data, pagination }))
}
