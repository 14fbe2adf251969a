//! `GET /agents/{agentId}/mcp`: tells clients of the revisions with handshakes that the tools became others.

use super::answer::Message;
use super::watch::Watch;
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, Method, header};

const HEARTBEAT: &str = ":\n\n";
const CHANGED: &str = "event: message\n\
                       data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n";

pub static ENDPOINT: Endpoint = Endpoint {
    name: "mcp-listen",
    method: Method::GET,
    path: "/agents/{agentId}/mcp",
    scope: Scope::SkillsCall,
    summary: "The Model Context Protocol's messages from the server: notifications/tools/list_changed as server-sent \
              events; 405 where a gateway would hold them back",
    query: &[],
    request: None,
    response: schema::<Message>,
    shape: Shape::Messages,
    success: &[200],
    problems: &[Code::MethodNotAllowed],
    repeat: Repeat::Harmless,
    function: Function::READ,
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let watch = Watch::of(&context, &ENDPOINT)?;
    if context.services.behind_gateway {
        return Err(Problem::new(
            Code::MethodNotAllowed,
            "no messages are streamed from here; list tools again",
        )
        .with_header(header::ALLOW, HeaderValue::from_static("POST")));
    }
    // Answers at once, so that the client knows that it is heard.
    let begun = stream::iter([Bytes::from_static(HEARTBEAT.as_bytes())]);
    let news = stream::unfold(watch, |mut watch| async move {
        let frame = if watch.next().await? { CHANGED } else { HEARTBEAT };
        Some((Bytes::from_static(frame.as_bytes()), watch))
    });
    Ok(Reply::stream(Box::pin(begun.chain(news))))
}
