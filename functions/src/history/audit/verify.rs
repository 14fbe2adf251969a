//! `GET /audit/verify`

use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use events::Seq;
use http::Method;
use infra::storage::Verified;
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifyResponse {
    /// Every hash is that of the bytes as they are stored, and follows the one before.
    ok: bool,
    /// Events that were looked at.
    events: u64,
    head_seq: Seq,
    /// In hex.
    head_hash: String,
    /// From here on the log is not to be believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_bad_seq: Option<Seq>,
}

impl From<Verified> for VerifyResponse {
    fn from(verified: Verified) -> Self {
        Self {
            ok: verified.first_bad.is_none(),
            events: verified.events,
            head_seq: verified.head,
            head_hash: hex::encode(verified.head_hash),
            first_bad_seq: verified.first_bad,
        }
    }
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "audit-verify",
    method: Method::GET,
    path: "/audit/verify",
    scope: Scope::AuditRead,
    summary: "Computes the whole hash chain again from the bytes as stored",
    query: &[],
    request: None,
    response: schema::<VerifyResponse>,
    shape: Shape::One,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function::HISTORY,
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let verified = context.services.log.verify(&context.caller.organization).await?;
    Ok(Reply::ok(&VerifyResponse::from(verified)))
}
