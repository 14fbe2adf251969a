//! The tool call of a voice platform: one request of a revision with a handshake that asks for nothing but a tool's
//! answer. The SDK serves every request as a connection of its own, with a task and its channels, which a call need not
//! wait for; it gets all else, and whatever is not exactly this.

use super::result::{self, Told};
use super::server::call;
use crate::endpoint::{Context, Reply};
use bytes::Bytes;
use http::uri::Authority;
use http::{HeaderMap, StatusCode, header};
use rmcp::model::{JsonObject, JsonRpcError, ProtocolVersion, RequestId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::time::Instant;

pub struct ToolCall {
    id: RequestId,
    params: Params,
}

/// Nothing but what is here: any other member is for the SDK.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    id: RequestId,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    params: &'a RawValue,
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
        let Message { jsonrpc, id, method, params } = object(body)?;
        if jsonrpc != "2.0" || method != "tools/call" {
            return None;
        }
        let params: Params = object(params.get().as_bytes())?;
        params.meta.keys().all(|key| key.starts_with("bindery/")).then_some(Self { id, params })
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

/// An array of members in their order would do for serde as well.
fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    let is_object = json.trim_ascii_start().starts_with(b"{");
    is_object.then(|| serde_json::from_slice(json).ok()).flatten()
}

/// No page sent it, it names its host, it takes both kinds of answers and says so without weights, and its revision is one that knows no
/// headers of single messages.
fn is_plain(headers: &HeaderMap) -> bool {
    let text = |name| {
        let mut values = headers.get_all(name).iter();
        let only = values.next().filter(|_| values.next().is_none());
        only.and_then(|value| value.to_str().ok())
    };
    // A quote may hold a comma.
    let takes = |accepted: &str, kind| {
        !accepted.contains('"') && accepted.split(',').any(|it| it.trim().eq_ignore_ascii_case(kind))
    };
    let known = |revision: &str| {
        let mut known = ProtocolVersion::KNOWN_VERSIONS.iter().map(ProtocolVersion::as_str);
        known.any(|it| it == revision) && revision < ProtocolVersion::STANDARD_HEADERS.as_str()
    };
    !headers.contains_key(header::ORIGIN)
        && text(header::HOST).is_some_and(|it| it.parse::<Authority>().is_ok())
        && text(header::CONTENT_TYPE).is_some_and(|it| it.eq_ignore_ascii_case("application/json"))
        && text(header::ACCEPT)
            .is_some_and(|it| takes(it, "application/json") && takes(it, "text/event-stream"))
        && (!headers.contains_key(super::REVISION) || text(super::REVISION).is_some_and(known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const BODY: &str = r#"{ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "a" } }"#;

    fn headers(changes: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let usual = [
            ("host", "localhost:1"),
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
            ("accept", r#"a/b;c="d, application/json, text/event-stream, e""#),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-protocol-version", "2025-01-01"),
            ("mcp-protocol-version", ""),
            ("host", ""),
            ("host", "a b"),
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
            (r#"{ "name": "a" }"#, r#"["a", {}, {}]"#),
            (r#""2.0""#, r#"{ "2.0": null }"#),
            (r#""tools/call""#, r#"{ "tools/call": null }"#),
        ] {
            let body = BODY.replace(from, to);
            assert!(body != BODY && ToolCall::in_message(&headers(&[]), body.as_bytes()).is_none(), "{body}");
        }
        for body in [format!("[{BODY}]"), r#"["2.0", 7, "tools/call", { "name": "a" }]"#.to_owned()] {
            assert!(ToolCall::in_message(&headers(&[]), body.as_bytes()).is_none(), "{body}");
        }
        let mut nowhere = headers(&[]);
        nowhere.remove("host");
        assert!(ToolCall::in_message(&nowhere, BODY.as_bytes()).is_none());
    }
}
