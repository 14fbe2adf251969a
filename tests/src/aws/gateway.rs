//! Stands in for an API Gateway (HTTP API): finds the route, invokes its function, and makes HTTP of the answer. What
//! the gateway answers by itself has no body but a `message`.

use super::events::{decoded, event, head, response};
use super::fleet::{Answer, Fleet};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use functions::endpoint::Endpoint;
use functions::{endpoints, random, router};
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
struct Route {
    key: String,
    function: &'static str,
    parameters: BTreeMap<String, String>,
}

/// Serves every endpoint's function until the process ends, and returns the address.
pub async fn serve(fleet: Arc<Fleet>, listener: TcpListener) {
    let router = Router::new().fallback(handle).with_state(fleet);
    axum::serve(listener, router).await.expect("a listener that is open");
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
        async move { serve_one(&fleet, request, &request_id).await }
    });
    let mut response = match tokio::time::timeout(INTEGRATION_TIMEOUT, serving).await {
        Ok(response) => response.expect("the gateway does not panic"),
        Err(_) => message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
    };
    let id = HeaderValue::try_from(request_id).expect("an id is ASCII");
    response.headers_mut().insert("apigw-requestid", id);
    response
}

async fn serve_one(fleet: &Fleet, request: Request<Body>, request_id: &str) -> Response {
    let (parts, body) = request.into_parts();
    let Some(route) = route(parts.method.as_str(), parts.uri.path()) else {
        return message(StatusCode::NOT_FOUND, "Not Found");
    };
    let Ok(body) = axum::body::to_bytes(body, BODY_BYTES).await else {
        return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Too Long");
    };
    let event = event(&parts, &body, &route.key, &route.parameters, request_id);
    let made = match fleet.invoke(route.function, &event).await {
        Ok(Answer::Whole(answer)) => response(&answer),
        Ok(Answer::Streaming(chunks)) => streamed(chunks).await,
        Err(_) => None,
    };
    made.unwrap_or_else(|| message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"))
}

/// The endpoint whose path fits; one with fewer parameters comes first.
fn route(method: &str, path: &str) -> Option<Route> {
    let path: Vec<_> = path.strip_prefix(router::BASE)?.split('/').collect();
    let fits = endpoints::ALL.iter().filter(|endpoint| endpoint.method.as_str() == method);
    let fits = fits.filter_map(|endpoint| Some((*endpoint, parameters(endpoint, &path)?)));
    let (endpoint, parameters) = fits.min_by_key(|(_, parameters)| parameters.len())?;
    let key = format!("{method} {}{}", router::BASE, endpoint.path);
    Some(Route { key, function: endpoint.name, parameters })
}

fn parameters(endpoint: &Endpoint, path: &[&str]) -> Option<BTreeMap<String, String>> {
    let template: Vec<_> = endpoint.path.split('/').collect();
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
            None if expected == given => {}
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
