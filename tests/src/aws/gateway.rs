//! Stands in for an API Gateway (HTTP API) with the template's routes: finds the route, invokes its function, and makes
//! HTTP of the answer. What the gateway answers by itself has no body but a `message`. A function's own address is
//! served alike, without routes and without the gateway's time limit.

use super::events::{decoded, event, head, response};
use super::fleet::{Answer, Fleet};
use super::template::{DEFAULT, FUNCTIONS};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use functions::random;
use futures_util::stream;
use http::{HeaderValue, Request, StatusCode, header};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// The gateway waits no longer.
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(29);
const BODY_BYTES: usize = 10 * 1024 * 1024;
/// Between the head of a streamed answer and its body.
const HEAD_END: [u8; 8] = [0; 8];

/// A request's function and the parameters of its path.
#[derive(Debug, PartialEq)]
struct Route {
    key: &'static str,
    function: &'static str,
    parameters: BTreeMap<String, String>,
}

/// Serves every route until the process ends.
pub async fn serve(fleet: Arc<Fleet>, listener: TcpListener) {
    let router = Router::new().fallback(handle).with_state(fleet);
    axum::serve(listener, router).await.expect("a listener that is open");
}

/// Serves one function at an address of its own until the process ends.
pub async fn serve_function(fleet: Arc<Fleet>, name: &'static str, listener: TcpListener) {
    let handle = move |request: Request<Body>| {
        let (fleet, route) =
            (fleet.clone(), Route { key: DEFAULT, function: name, parameters: BTreeMap::new() });
        async move { serve_one(&fleet, route, request, &random::request_id().to_string()).await }
    };
    axum::serve(listener, Router::new().fallback(handle)).await.expect("a listener that is open");
}

fn message(status: StatusCode, text: &str) -> Response {
    let mut response = (status, axum::Json(json!({ "message": text }))).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn handle(State(fleet): State<Arc<Fleet>>, request: Request<Body>) -> Response {
    let request_id = random::request_id().to_string();
    // A function goes on when the client has left or the gateway has given up.
    let serving = tokio::spawn({
        let request_id = request_id.clone();
        async move {
            match route(request.method().as_str(), request.uri().path()) {
                Some(route) => serve_one(&fleet, route, request, &request_id).await,
                None => message(StatusCode::NOT_FOUND, "Not Found"),
            }
        }
    });
    let mut response = match tokio::time::timeout(INTEGRATION_TIMEOUT, serving).await {
        Ok(response) => response.expect("the gateway does not panic"),
        Err(_) => message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
    };
    let id = HeaderValue::try_from(request_id).expect("an id is ASCII");
    response.headers_mut().insert("apigw-requestid", id);
    response
}

async fn serve_one(fleet: &Fleet, route: Route, request: Request<Body>, request_id: &str) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_BYTES).await else {
        return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Too Long");
    };
    let event = event(&parts, &body, route.key, &route.parameters, request_id);
    let made = match fleet.invoke(route.function, &event).await {
        Ok(Answer::Whole(answer)) => response(&answer),
        Ok(Answer::Streaming(chunks)) => streamed(chunks).await,
        Err(_) => None,
    };
    made.unwrap_or_else(|| message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"))
}

/// The route whose path fits; one with fewer parameters comes first, and the default route last.
fn route(method: &str, path: &str) -> Option<Route> {
    let all = || FUNCTIONS.iter().flat_map(|it| it.routes.iter().map(|key| (key.as_str(), it.name.as_str())));
    let fits = all().filter_map(|(key, function)| {
        let (of, template) = key.split_once(' ')?;
        let parameters = (of == method).then(|| parameters(template, path)).flatten()?;
        Some(Route { key, function, parameters })
    });
    let default = || {
        let (key, function) = all().find(|(key, _)| *key == DEFAULT)?;
        Some(Route { key, function, parameters: BTreeMap::new() })
    };
    fits.min_by_key(|route| route.parameters.len()).or_else(default)
}

fn parameters(template: &str, path: &str) -> Option<BTreeMap<String, String>> {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    if template.len() != path.len() {
        return None;
    }
    let mut parameters = BTreeMap::new();
    for (expected, given) in template.iter().zip(path) {
        match expected.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(_) if given.is_empty() => return None,
            Some(name) => {
                parameters.insert(name.to_owned(), decoded(given, false));
            }
            None if *expected == given => {}
            None => return None,
        }
    }
    Some(parameters)
}

/// The head, then the body as it comes.
async fn streamed(mut chunks: mpsc::Receiver<Bytes>) -> Option<Response> {
    let mut received = Vec::new();
    let end = loop {
        if let Some(end) = received.windows(HEAD_END.len()).position(|bytes| bytes == HEAD_END) {
            break end;
        }
        received.extend_from_slice(&chunks.recv().await?);
    };
    let mut response = head(&serde_json::from_slice(&received[..end]).ok()?)?;
    let first = Bytes::copy_from_slice(&received[end + HEAD_END.len()..]);
    let rest = stream::unfold(chunks, |mut chunks| async move { Some((chunks.recv().await?, chunks)) });
    let body = futures_util::StreamExt::chain(stream::iter((!first.is_empty()).then_some(first)), rest);
    let body = futures_util::StreamExt::map(body, Ok::<_, std::convert::Infallible>);
    *response.body_mut() = Body::from_stream(body);
    Some(response)
}

#[cfg(test)]
mod tests;
