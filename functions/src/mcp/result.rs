//! Answers of the live call in the words of the protocol.

use crate::endpoint::Reply;
use crate::problem::Problem;
use rmcp::model::{CallToolResult, ContentBlock, ErrorCode, ErrorData, MetaObject};
use serde_json::{Value, json};

/// What is not a business outcome: the model can do nothing about it.
pub fn error(problem: &Problem) -> ErrorData {
    let code = match problem.code.status().as_u16() {
        400..=499 => ErrorCode::INVALID_PARAMS,
        _ => ErrorCode::INTERNAL_ERROR,
    };
    let data = json!({ "code": problem.code.as_str(), "errors": problem.errors });
    ErrorData::new(code, problem.detail.clone(), Some(data))
}

/// # Errors
/// When the answer is not the live call's.
pub fn result(reply: &Reply) -> Result<CallToolResult, ErrorData> {
    let broken = |_| error(&Problem::internal());
    let mut body: Value = serde_json::from_slice(&reply.body).map_err(broken)?;
    let data = body["data"].take();
    let went_well = matches!(data["outcome"].as_str(), Some("ok" | "not_found"));
    let mut result =
        if went_well { CallToolResult::structured(data) } else { CallToolResult::structured_error(data) };
    let say = result.structured_content.as_ref().and_then(|data| data["say"].as_str());
    if let Some(say) = say.filter(|_| !went_well) {
        result.content.insert(0, ContentBlock::text(say));
    }
    if reply.headers.iter().any(|(name, _)| name.as_str() == "idempotent-replayed") {
        let mut meta = MetaObject::default();
        meta.insert("bindery/replayed".to_owned(), true.into());
        result.meta = Some(meta);
    }
    Ok(result)
}
