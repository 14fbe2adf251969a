//! The tool call of a voice platform: one request of a revision with a handshake that asks for nothing but a tool's
//! answer. The SDK serves every request as a connection of its own, with a task and its channels, which a call need not
//! wait for; it gets all else, and whatever is not exactly this.

use super::result::{self, Told};
use super::server::call;
use crate::endpoint::{Context, Reply};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use rmcp::model::{JsonObject, JsonRpcError, ProtocolVersion, RequestId};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// Nothing but what is here: any other member is for the SDK.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    #[serde(rename = "jsonrpc")]
    _version: Version,
    id: RequestId,
    #[serde(rename = "method")]
    _method: Method,
    params: Params,
}

#[derive(Deserialize)]
enum Version {
    #[serde(rename = "2.0")]
    Two,
}

#[derive(Deserialize)]
enum Method {
    #[serde(rename = "tools/call")]
    ToolsCall,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    name: String,
    arguments: Option<JsonObject>,
    #[serde(rename = "_meta", default)]
    meta: JsonObject,
}

#[derive(Serialize)]
struct Answer<'a> {
    jsonrpc: &'static str,
    id: &'a RequestId,
    result: Told<'a>,
}

impl ToolCall {
    /// None where it is for the SDK.
    pub fn in_message(headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        if !is_plain(headers) {
            return None;
        }
        let call: Self = serde_json::from_slice(body).ok()?;
        call.params.meta.keys().all(|key| key.starts_with("bindery/")).then_some(call)
    }

    pub async fn answer(self, context: Context, started: Instant) -> Reply {
        let Self { id, params: Params { name, arguments, meta }, .. } = self;
        let called = call(context, &meta, &name, arguments, started).await;
        let told = called.as_ref().map_err(result::error).and_then(Told::by);
        let body = match told {
            Ok(result) => serde_json::to_vec(&Answer { jsonrpc: "2.0", id: &id, result }),
            Err(error) => serde_json::to_vec(&JsonRpcError::new(Some(id), error)),
        };
        let mut reply = Reply::json(StatusCode::OK, Bytes::from(body.expect("answers are JSON")));
        reply.measured = called.ok().and_then(|reply| reply.measured);
        reply
    }
}

/// No page sent it, it takes both kinds of answers and says so without weights, and its revision is one that knows no
/// headers of single messages.
fn is_plain(headers: &HeaderMap) -> bool {
    let text = |name| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (value, None) => value.map_or(Ok(""), HeaderValue::to_str).ok(),
            (_, Some(_)) => None,
        }
    };
    let takes = |accepted: &str, kind| accepted.split(',').any(|it| it.trim().eq_ignore_ascii_case(kind));
    let known = |revision: &str| {
        let mut known = ProtocolVersion::KNOWN_VERSIONS.iter().map(ProtocolVersion::as_str);
        known.any(|it| it == revision) && revision < ProtocolVersion::STANDARD_HEADERS.as_str()
    };
    !headers.contains_key(header::ORIGIN)
        && text(header::CONTENT_TYPE).is_some_and(|it| it.eq_ignore_ascii_case("application/json"))
        && text(header::ACCEPT)
            .is_some_and(|it| takes(it, "application/json") && takes(it, "text/event-stream"))
        && text(super::REVISION).is_some_and(|it| it.is_empty() || known(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "a" } }"#;

    fn headers(changes: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let usual = [
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2025-11-25"),
        ];
        for (name, value) in usual.iter().chain(changes) {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_call_that_is_only_a_call_is_answered_here() {
        for changes in [
            &[][..],
            &[("accept", "text/event-stream,Application/JSON")],
            &[("mcp-protocol-version", "2024-11-05")],
            &[("mcp-session-id", "a")],
        ] {
            assert!(ToolCall::in_message(&headers(changes), BODY.as_bytes()).is_some(), "{changes:?}");
        }
        let mut without = headers(&[]);
        without.remove("mcp-protocol-version");
        assert!(ToolCall::in_message(&without, BODY.as_bytes()).is_some());
        for params in [
            r#"{ "name": "a", "arguments": { "x": 1 } }"#,
            r#"{ "name": "a", "arguments": null, "_meta": { "bindery/confirm": true } }"#,
        ] {
            let body = BODY.replace(r#"{ "name": "a" }"#, params);
            assert!(ToolCall::in_message(&headers(&[]), body.as_bytes()).is_some(), "{body}");
        }
    }

    #[test]
    fn all_else_is_the_sdks() {
        for changes in [
            ("content-type", "application/json; charset=utf-8"),
            ("content-type", "text/plain"),
            ("accept", "application/json"),
            ("accept", "*/*"),
            ("accept", "application/json;q=0, text/event-stream"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-protocol-version", "2025-01-01"),
            ("origin", "http://localhost:1"),
        ] {
            assert!(ToolCall::in_message(&headers(&[changes]), BODY.as_bytes()).is_none(), "{changes:?}");
        }
        let mut twice = headers(&[]);
        twice.append("mcp-protocol-version", HeaderValue::from_static("2026-07-28"));
        assert!(ToolCall::in_message(&twice, BODY.as_bytes()).is_none());
        for (from, to) in [
            ("tools/call", "tools/list"),
            ("\"2.0\"", "\"1.0\""),
            (r#""id": 7, "#, ""),
            ("7", "null"),
            ("7", "[7]"),
            (r#""id": 7"#, r#""id": 7, "id": 8"#),
            (r#""id": 7"#, r#""id": 7, "more": 8"#),
            (r#""name": "a""#, r#""arguments": {}"#),
            (r#""name": "a""#, r#""name": "a", "arguments": []"#),
            (r#""name": "a""#, r#""name": "a", "requestState": "b""#),
            (r#""name": "a""#, r#""name": "a", "_meta": { "progressToken": 1 }"#),
            (r#""name": "a""#, r#""name": "a", "_meta": { "io.modelcontextprotocol/protocolVersion": "1" }"#),
            ("{ \"jsonrpc\"", "[{ \"jsonrpc\""),
        ] {
            let body = BODY.replace(from, to);
            assert!(body != BODY && ToolCall::in_message(&headers(&[]), body.as_bytes()).is_none(), "{body}");
        }
    }
}
