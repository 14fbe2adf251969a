//! From what the platform hands over to a request as the router takes it.

use crate::router::{BASE, PublicUrl};
use axum::body::Body;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Request, Uri};
use lambda_http::RequestExt;
use lambda_http::request::{LambdaRequest, RequestContext};
use lambda_runtime::LambdaEvent;

/// What the library cannot take as the platform gives it.
pub fn whole(mut event: LambdaEvent<LambdaRequest>) -> LambdaEvent<LambdaRequest> {
    match &mut event.payload {
        // A REST API sends each header twice, as its last value and as all of them; the last value would win.
        LambdaRequest::ApiGatewayV1(request) if !request.multi_value_headers.is_empty() => {
            request.headers.clear();
        }
        // A client may write into an address what belongs into none, and the library panics at it.
        LambdaRequest::ApiGatewayV2(request) => {
            for part in [&mut request.raw_path, &mut request.raw_query_string] {
                *part = part.take().map(|part| escaped(&part));
            }
        }
        _ => {}
    }
    event
}

/// The same address with everything percent-encoded that RFC 3986 has no place for.
fn escaped(part: &str) -> String {
    let mut escaped = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// An HTTP API or a function URL (payload 2.0) or a REST API (1.0) gives the same request as a client of the local
/// server. A REST API and a named stage put the stage before the path, a custom domain puts its base path there: our
/// own paths begin where [`BASE`] does.
///
/// `tells_url`: the configuration names no public address, so each request says how its client reached us.
pub fn to_ours(request: lambda_http::Request, tells_url: bool) -> Request<Body> {
    let (domain, stage) = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => (context.domain_name.clone(), context.stage.clone()),
        Some(RequestContext::ApiGatewayV1(context)) => (context.domain_name.clone(), context.stage.clone()),
        Some(_) | None => (None, None),
    };
    let (mut parts, body) = request.into_parts();
    let asked = parts.uri.path();
    let at = our_part(asked, stage.as_deref());
    let url = domain.map(|domain| PublicUrl(format!("https://{domain}{}", &asked[..at])));
    let path = match parts.uri.query() {
        Some(query) => format!("{}?{query}", &asked[at..]),
        None => asked[at..].to_owned(),
    };
    // What was part of an address still is one.
    if let Ok(path) = PathAndQuery::try_from(path) {
        parts.uri = Uri::from(path);
    }
    if let (true, Some(url)) = (tells_url, url) {
        parts.extensions.insert(url);
    }
    Request::from_parts(parts, Body::from(Bytes::copy_from_slice(body.as_ref())))
}

/// Where our own path begins.
fn our_part(path: &str, stage: Option<&str>) -> usize {
    if let Some(at) = path.find(&format!("{BASE}/")) {
        return at;
    }
    let stage = stage.map_or(String::new(), |stage| format!("/{stage}"));
    let begins = path.strip_prefix(&stage).is_some_and(|rest| rest.starts_with('/'));
    if begins { stage.len() } else { 0 }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
