//! What the platform knows of a call, and whether its caller said yes. Both come from the application that speaks the
//! protocol: a model fills arguments and nothing else.

use crate::body;
use crate::endpoint::Context;
use crate::problem::Problem;
use crate::skills::execute::{CallContext, CallRequest};
use rmcp::model::JsonObject;
use serde_json::Value;

/// In a request's `_meta`: for this call.
const CONTEXT: &str = "bindery/context";
const CONFIRM: &str = "bindery/confirm";
/// The same as JSON in a header, for platforms that set headers once for each call and cannot reach `_meta`.
const HEADER: &str = "bindery-context";

/// A tool call as a call of its skill.
///
/// # Errors
/// 400 with every field of the context that is wrong.
pub fn call_request(
    context: &Context,
    meta: &JsonObject,
    arguments: Option<JsonObject>,
) -> Result<CallRequest, Problem> {
    let known = match (meta.get(CONTEXT), context.header(HEADER)) {
        (Some(value), _) => body::read(value.to_string().as_bytes())?,
        (None, Some(text)) => body::read(text.as_bytes())?,
        (None, None) => CallContext::default(),
    };
    let confirm = match meta.get(CONFIRM) {
        None => false,
        Some(Value::Bool(confirm)) => *confirm,
        Some(_) => return Err(Problem::field(CONFIRM, "must be true or false")),
    };
    Ok(CallRequest { arguments: arguments.unwrap_or_default(), context: known, draft_mode: false, confirm })
}
