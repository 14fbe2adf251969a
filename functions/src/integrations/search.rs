//! `GET /integrations/{kind}/search`

use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, QueryParameter, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use domain::search::{Hit, Why};
use events::skill::FieldType;
use http::Method;
use schemars::JsonSchema;
use serde::Serialize;

/// Hits are ranked as a whole before they are paged; nobody reads past these.
const HITS: usize = 200;

#[derive(Serialize, JsonSchema)]
pub struct HitItem {
    object: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<FieldType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    score: f32,
    /// What a projection or an input names it by.
    path: Vec<String>,
    /// Which words of the question were found, as which words of the schema, how and where.
    why: Vec<Why>,
}

impl From<Hit> for HitItem {
    fn from(hit: Hit) -> Self {
        Self {
            object: hit.object,
            field: hit.field,
            r#type: hit.field_type,
            comment: hit.comment,
            score: hit.score,
            path: hit.path,
            why: hit.why,
        }
    }
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "integrations-search",
    method: Method::GET,
    path: "/integrations/{kind}/search",
    scope: Scope::IntegrationsRead,
    summary: "Tables and columns by words, best first",
    query: &[QueryParameter {
        name: "q",
        required: true,
        meaning: "Words, such as next appointment of a patient",
    }],
    request: None,
    response: schema::<HitItem>,
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
    let words = context.query("q").unwrap_or_default().to_owned();
    let hits = view.with_index(move |index| index.query(&words, HITS)).await?;
    let ranked = hits.into_iter().enumerate();
    let (items, pagination) = page.cut(ranked, |(rank, _)| format!("{rank:06}"));
    let items: Vec<HitItem> = items.into_iter().map(|(_, hit)| hit.into()).collect();
    Ok(Reply::list(&items, &pagination))
}
