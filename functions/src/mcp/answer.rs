//! `POST /agents/{agentId}/mcp`: one message of the protocol.

use super::plain::ToolCall;
use super::server::Server;
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyDataStream, BodyExt, Full, combinators::BoxBody};
use infra::telemetry::current;
use rmcp::model::{ErrorData, JsonRpcError};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Instant;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "mcp-answer",
    method: Method::POST,
    path: "/agents/{agentId}/mcp",
    scope: Scope::SkillsCall,
    summary: "The Model Context Protocol over streamable HTTP: published skills as tools. What the platform knows of \
              the call comes in the header Bindery-Context or in _meta under bindery/context, and a yes of the \
              caller in _meta as bindery/confirm; never from the model",
    query: &[],
    request: Some(schema::<Message>),
    response: schema::<Message>,
    shape: Shape::Messages,
    success: &[200, 202],
    problems: &[],
    repeat: Repeat::Own,
    function: Function {
        grants: &[Grant::Dial, Grant::OpenCredentials, Grant::KeepAnswers, Grant::KeepCalls],
        ..Function::CALL
    },
    handle: handler!(handle),
};

/// A JSON-RPC 2.0 message, as the protocol's own schema has it.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Message {
    #[allow(dead_code)]
    jsonrpc: String,
    #[allow(dead_code)]
    #[serde(flatten)]
    rest: Map<String, Value>,
}

async fn handle(context: Context) -> Result<Reply, Problem> {
    let started = Instant::now();
    context.caller.state.agent(context.path("agentId"))?;
    let mut reply = match ToolCall::in_message(&context.headers, &context.body) {
        Some(call) => call.answer(context, started).await,
        // Boxed, so that a call is not moved with room for it.
        None => Box::pin(by_sdk(context)).await,
    };
    // What a tool answers is a customer's row.
    reply.headers.push((header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")));
    Ok(reply)
}

async fn by_sdk(context: Context) -> Reply {
    let mut request = Request::post(context.instance.as_str());
    if let Some(headers) = request.headers_mut() {
        *headers = context.headers.clone();
    }
    let request = request.body(Full::new(context.body.clone())).expect("the address was one before");
    let measured = Arc::new(Mutex::new(None));
    let server = Server { context: Arc::new(context), measured: measured.clone(), request: current() };
    let service = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::<NeverSessionManager>::default(),
        config(),
    );
    let mut reply = reply(service.handle(request).await).await;
    reply.measured = *measured.lock().expect("not poisoned");
    reply
}

/// Pages that this machine serves itself.
const LOCAL_PAGES: [&str; 3] = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"];

/// Any host may be named, for a server has the names that its operator gives it: who rebinds a name reaches one that
/// asks for a key, which no browser sends by itself. Pages from elsewhere are turned away all the same.
fn config() -> StreamableHttpServerConfig {
    StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .disable_allowed_hosts()
        .with_allowed_origins(LOCAL_PAGES)
}

async fn reply(response: Response<BoxBody<Bytes, Infallible>>) -> Reply {
    let (parts, body) = response.into_parts();
    let media_type = parts.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if media_type.starts_with(b"text/event-stream") {
        let frames = BodyDataStream::new(body).filter_map(|frame| std::future::ready(frame.ok()));
        return Reply::stream(Box::pin(frames));
    }
    let is_json = media_type.starts_with(b"application/json");
    let Ok(body) = body.collect().await;
    let mut body = body.to_bytes();
    if !is_json && !body.is_empty() {
        // The SDK refuses what is no message in plain text.
        let told = String::from_utf8_lossy(&body).into_owned();
        let error = JsonRpcError::new(None, ErrorData::invalid_request(told, None));
        body = Bytes::from(serde_json::to_vec(&error).expect("errors are JSON"));
    }
    Reply::json(parts.status, body)
}
