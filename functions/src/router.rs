//! From a request to an endpoint. The same on every host: the local server mounts all endpoints, a function one.

use crate::endpoint::{Endpoint, Measured, Reply};
use crate::problem::{Code, Problem};
use crate::random;
use crate::respond::respond;
use crate::services::Services;
use crate::telemetry::{Answered, Route as Seen, Trace, answered_beside};
use crate::{endpoints, openapi};
use axum::body::{Body, HttpBody as _};
use axum::response::Response;
use bytes::Bytes;
use events::{OrganizationId, RequestId};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use matchit::{Match, Params};
use percent_encoding::percent_decode_str;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

pub const BASE: &str = "/api/v1";
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// All of `endpoints` on one router, with what sits beside them.
pub fn router(services: Arc<Services>, endpoints: &'static [&'static Endpoint]) -> Router {
    let all = services.clone();
    router_of(services, endpoints, |_| all.clone())
}

/// The same, each endpoint with services of its own, as each function has them.
pub fn router_of(
    services: Arc<Services>,
    endpoints: &'static [&'static Endpoint],
    own: impl Fn(&'static Endpoint) -> Arc<Services>,
) -> Router {
    // Every path is known, also those that others serve: a gateway sends here what none of its routes fits.
    let mut by_path: BTreeMap<&'static str, Vec<Served>> =
        endpoints::ALL.iter().map(|endpoint| (endpoint.path, Vec::new())).collect();
    for endpoint in endpoints {
        by_path.entry(endpoint.path).or_default().push(Served { endpoint, services: own(endpoint) });
    }
    let mut routes = matchit::Router::new();
    let beside =
        [("/healthz", What::Health), ("/openapi.json", What::Document), ("/errors/{code}", What::Error)];
    for (path, what) in beside {
        routes.insert(path, Route::Beside { path, what }).expect("paths differ");
    }
    for (path, served) in by_path {
        routes.insert(format!("{BASE}{path}"), Route::Api { path, served }).expect("paths differ");
    }
    Router(Arc::new(Routes { services, routes, document: OnceLock::new() }))
}

#[derive(Clone)]
pub struct Router(Arc<Routes>);

struct Routes {
    services: Arc<Services>,
    routes: matchit::Router<Route>,
    /// Made once where it is the same for as long as the process lives.
    document: OnceLock<Bytes>,
}

enum Route {
    /// Below the base of the API.
    Api {
        path: &'static str,
        served: Vec<Served>,
    },
    Beside {
        path: &'static str,
        what: What,
    },
}

enum What {
    Health,
    Document,
    Error,
}

struct Served {
    endpoint: &'static Endpoint,
    services: Arc<Services>,
}

impl Router {
    pub async fn answer(&self, request: Request<Body>) -> (Response, Option<Measured>) {
        let is_head = request.method() == Method::HEAD;
        let (mut response, measured) = self.0.answer(request).await;
        if is_head {
            if let Some(length) = response.body().size_hint().exact() {
                response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            }
            *response.body_mut() = Body::empty();
        }
        (response, measured)
    }
}

impl Routes {
    async fn answer(&self, request: Request<Body>) -> (Response, Option<Measured>) {
        // A GET answers HEAD too.
        let method = match *request.method() {
            Method::HEAD => &Method::GET,
            ref method => method,
        };
        let Ok(Match { value: route, params }) = self.routes.at(request.uri().path()) else {
            let problem = Problem::new(Code::NotFound, "there is nothing at this address; see /openapi.json");
            return (self.beside(&request, Seen::Nothing, Err(problem)), None);
        };
        match route {
            Route::Api { path, served } => {
                let seen = Seen::Api(path);
                match served.iter().find(|served| served.endpoint.method == *method) {
                    Some(Served { endpoint, services }) => match decoded(endpoint, &params) {
                        Ok(path) => respond(services.clone(), endpoint, path, request).await,
                        Err(problem) => (self.beside(&request, seen, Err(problem)), None),
                    },
                    None => (self.beside(&request, seen, Err(not_served(path, request.method()))), None),
                }
            }
            Route::Beside { path, what } => {
                let outcome = match what {
                    _ if *method != Method::GET => Err(not_allowed(method, "GET,HEAD")),
                    What::Health => self.health().await,
                    What::Document => Ok(self.document(request.extensions())),
                    What::Error => explain(params.get("code").unwrap_or_default()),
                };
                (self.beside(&request, Seen::Beside(path), outcome), None)
            }
        }
    }

    async fn health(&self) -> Result<Reply, Problem> {
        // One read of the store; the organization need not exist.
        self.services.log.head(&OrganizationId::from("default")).await?;
        Ok(Reply::ok(&serde_json::json!({ "status": "ok" })))
    }

    fn document(&self, extensions: &Extensions) -> Reply {
        let told = |url: &str| Reply::raw(StatusCode::OK, &openapi::document(url)).body;
        let body = match extensions.get::<PublicUrl>() {
            Some(url) => told(&url.0),
            None => self.document.get_or_init(|| told(&self.services.config.public_url)).clone(),
        };
        Reply::json(StatusCode::OK, body)
    }

    /// An answer outside the API proper: no key, no body.
    fn beside(&self, request: &Request<Body>, route: Seen, outcome: Result<Reply, Problem>) -> Response {
        let started = Instant::now();
        let response = match outcome {
            Ok(reply) => {
                let mut response = reply.into_response();
                mark_beside(response.headers_mut(), request.headers(), &request_id(request.headers()));
                response
            }
            Err(problem) => refuse(&self.services.config.public_url, request, problem),
        };
        let (method, status, took) = (request.method(), response.status(), started.elapsed());
        answered_beside(&Answered { route, method, status, took, call: None });
        response
    }
}

/// Parameters of the path, by the names that the endpoint gives them.
fn decoded(
    endpoint: &'static Endpoint,
    params: &Params<'_, '_>,
) -> Result<Vec<(&'static str, String)>, Problem> {
    let names = endpoint.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let decoded = names.zip(params.iter()).map(|(name, (_, value))| {
        let decoded = percent_decode_str(value).decode_utf8();
        let decoded = decoded.map_err(|_| Problem::new(Code::NotFound, "the address is not valid UTF-8"))?;
        Ok((name, decoded.into_owned()))
    });
    decoded.collect()
}

/// A method that a path does not take, or one that another function serves.
fn not_served(path: &str, method: &Method) -> Problem {
    let mut taken: BTreeSet<&str> =
        endpoints::ALL.iter().filter(|it| it.path == path).map(|it| it.method.as_str()).collect();
    if taken.contains(method.as_str()) {
        return Problem::new(Code::NotFound, "this function does not serve this address");
    }
    if taken.contains("GET") {
        taken.insert("HEAD");
    }
    not_allowed(method, &taken.into_iter().collect::<Vec<_>>().join(","))
}

fn not_allowed(method: &Method, allow: &str) -> Problem {
    let allow = HeaderValue::from_str(allow).expect("methods are ASCII");
    Problem::new(Code::MethodNotAllowed, format!("{method} is not allowed here"))
        .with_header(header::ALLOW, allow)
}

/// How the client reached us, on hosts that learn it from each request. Without it, the configuration says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(pub String);

/// What an error code means and how to mend it.
fn explain(code: &str) -> Result<Reply, Problem> {
    let code =
        Code::parse(code).ok_or_else(|| Problem::new(Code::NotFound, "there is no such error code"))?;
    Ok(Reply::ok(&serde_json::json!({
        "code": code.as_str(),
        "status": code.status().as_u16(),
        "title": code.title(),
        "meaning": code.meaning(),
        "mend": code.mend(),
    })))
}

/// A refusal for which nothing of a request but its head is looked at. `configured` is the public address for those
/// that do not tell theirs.
pub fn refuse(configured: &str, request: &Request<Body>, problem: Problem) -> Response {
    let request_id = request_id(request.headers());
    let url = request.extensions().get::<PublicUrl>().map_or(configured, |url| &url.0);
    let mut response = problem.into_response(url, request.uri().path(), request_id.as_str());
    mark_beside(response.headers_mut(), request.headers(), &request_id);
    response
}

/// The client's own request id when it is harmless, else a new one.
pub fn request_id(headers: &HeaderMap) -> RequestId {
    let given = headers.get(&REQUEST_ID).and_then(|value| value.to_str().ok());
    let harmless = |text: &&str| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    given.filter(harmless).map(RequestId::from).unwrap_or_else(random::request_id)
}

fn mark_beside(answer: &mut HeaderMap, request: &HeaderMap, request_id: &RequestId) {
    mark(answer, request_id);
    if let Some(trace) = Trace::given(request, request_id) {
        trace.write(answer);
    }
}

pub fn mark(answer: &mut HeaderMap, request_id: &RequestId) {
    if let Ok(value) = HeaderValue::from_str(request_id.as_str()) {
        answer.insert(REQUEST_ID.clone(), value);
    }
}
