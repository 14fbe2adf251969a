//! From a request to an endpoint and back. The same on every host: the local server mounts all endpoints, a
//! function one.

use crate::endpoint::{Context, Endpoint, Measured, Repeat, Reply};
use crate::problem::{Code, Problem};
use crate::random;
use crate::services::Services;
use crate::telemetry::{Answered, Route, Seen, Trace, answered_beside};
use crate::to_the_end::{Panicked, ToTheEnd, on as on_runtime};
use crate::{endpoints, idempotency, openapi};
use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Query, RawPathParams};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, get, on};
use bytes::Bytes;
use domain::FieldError;
use domain::limits::BODY_BYTES;
use domain::limits::RECEIVE_TIMEOUT;
use events::{OrganizationId, RequestId, Seq};
use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header, request,
};
use infra::telemetry::{during, span, within};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

pub const BASE: &str = "/api/v1";
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How long a request waits for the position it asked for.
const POSITION_WAIT: Duration = Duration::from_secs(2);
/// Between the first two looks at the log, and doubled from there on.
const POSITION_PAUSE: Duration = Duration::from_millis(20);

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
    let mut by_path: BTreeMap<&str, MethodRouter> =
        endpoints::ALL.iter().map(|endpoint| (endpoint.path, MethodRouter::new())).collect();
    for endpoint in endpoints {
        let services = own(endpoint);
        let filter = MethodFilter::try_from(endpoint.method.clone()).expect("endpoints use usual methods");
        let route = on(filter, move |request: Request<Body>| respond(services, endpoint, request));
        let known = by_path.remove(endpoint.path).unwrap_or_default();
        by_path.insert(endpoint.path, known.merge(route));
    }
    let mut router = Router::new();
    for (path, methods) in by_path {
        let services = services.clone();
        let known = methods.fallback(move |request: Request<Body>| async move {
            beside(&services, &request, Route::Api(path), Err(not_served(path, request.method())))
        });
        router = router.route(&format!("{BASE}{path}"), known);
    }
    // Made once where it is the same for as long as the process lives.
    let spec: Arc<OnceLock<Bytes>> = Arc::default();
    let (health, document, errors, fallback) =
        (services.clone(), services.clone(), services.clone(), services);
    router
        .route(
            "/healthz",
            get(move |request: Request<Body>| async move {
                // One read of the store; the organization need not exist.
                let ready = health.log.head(&OrganizationId::from("default")).await;
                let reply =
                    ready.map(|_| Reply::ok(&serde_json::json!({ "status": "ok" }))).map_err(Problem::from);
                beside(&health, &request, Route::Beside("/healthz"), reply)
            }),
        )
        .route(
            "/openapi.json",
            get(move |request: Request<Body>| async move {
                let told = |url: &str| Reply::raw(StatusCode::OK, &openapi::document(url)).body;
                let body = match request.extensions().get::<PublicUrl>() {
                    Some(url) => told(&url.0),
                    None => spec.get_or_init(|| told(&document.config.public_url)).clone(),
                };
                let reply = Reply {
                    status: StatusCode::OK,
                    body: body.clone(),
                    kept: None,
                    headers: Vec::new(),
                    frames: None,
                    measured: None,
                };
                beside(&document, &request, Route::Beside("/openapi.json"), Ok(reply))
            }),
        )
        .route(
            "/errors/{code}",
            get(move |request: Request<Body>| async move {
                let code = request.uri().path().trim_start_matches("/errors/").to_owned();
                beside(&errors, &request, Route::Beside("/errors/{code}"), explain(&code))
            }),
        )
        .fallback(move |request: Request<Body>| async move {
            let problem = Problem::new(Code::NotFound, "there is nothing at this address; see /openapi.json");
            beside(&fallback, &request, Route::Nothing, Err(problem))
        })
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
    let allow = taken.into_iter().collect::<Vec<_>>().join(",");
    let allow = HeaderValue::from_str(&allow).expect("methods are ASCII");
    Problem::new(Code::MethodNotAllowed, format!("{method} is not allowed here"))
        .with_header(header::ALLOW, allow)
}

/// How the client reached us, on hosts that learn it from each request. Without it, the configuration says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(pub String);

fn public_url<'a>(services: &'a Services, extensions: &'a Extensions) -> &'a str {
    extensions.get::<PublicUrl>().map_or(&services.config.public_url, |url| &url.0)
}

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

/// An answer outside the API proper: no key, no body.
fn beside(
    services: &Services,
    request: &Request<Body>,
    route: Route,
    outcome: Result<Reply, Problem>,
) -> Response {
    let started = Instant::now();
    let response = match outcome {
        Ok(reply) => {
            let mut response = reply.into_response();
            mark_beside(response.headers_mut(), request.headers(), &request_id(request.headers()));
            response
        }
        Err(problem) => refuse(&services.config.public_url, request, problem),
    };
    let (method, status, took) = (request.method(), response.status(), started.elapsed());
    answered_beside(&Answered { route, method, status, took, call: None });
    response
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

async fn respond(services: Arc<Services>, endpoint: &'static Endpoint, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let seen = Seen::begin(endpoint, &parts.headers, request_id(&parts.headers));
    let request_id = &seen.request().id;
    let uri = parts.uri.clone();
    let url = public_url(&services, &parts.extensions).to_owned();
    let tracker = services.tasks.clone();
    let beside = services.beside_calls.get().filter(|_| !endpoint.runs_skills()).cloned();
    let work = within(seen.request().clone(), serve(services, endpoint, parts, body, request_id.clone()));
    let served = match beside {
        Some(beside) => ToTheEnd::new(on_runtime(beside, work), tracker).await,
        None => ToTheEnd::new(work, tracker).await,
    };
    let (extra, outcome) = served.unwrap_or_else(|Panicked| {
        during(seen.request().clone(), || {
            tracing::error!(endpoint = endpoint.name, "request lost by a panic");
        });
        (Vec::new(), Err(Problem::internal()))
    });
    let mut response = match outcome {
        Ok(reply) => reply.into_response(),
        Err(problem) => problem.into_response(&url, uri.path(), request_id.as_str()),
    };
    response.headers_mut().extend(extra.into_iter().map(|(name, value)| (Some(name), value)));
    mark(response.headers_mut(), request_id);
    seen.mark(response.headers_mut());
    let (status, took) = (response.status(), seen.started().elapsed());
    let measured = response.extensions().get::<Measured>().copied();
    seen.answered(status, measured, || log(endpoint, status, took));
    response
}

fn log(endpoint: &Endpoint, status: StatusCode, took: Duration) {
    let (name, status_code, ms) = (endpoint.name, status.as_u16(), took.as_secs_f64() * 1000.0);
    if status.is_server_error() {
        tracing::error!(endpoint = name, status = status_code, ms, "failed");
    } else if endpoint.method == Method::GET || endpoint.repeat == Repeat::Own {
        tracing::debug!(endpoint = name, status = status_code, ms, "answered");
    } else {
        tracing::info!(endpoint = name, status = status_code, ms, "answered");
    }
}

type Served = (Vec<(HeaderName, HeaderValue)>, Result<Reply, Problem>);

async fn serve(
    services: Arc<Services>,
    endpoint: &'static Endpoint,
    mut parts: request::Parts,
    body: Body,
    request_id: RequestId,
) -> Served {
    let mut span = span("authenticate");
    let caller = match services.authenticate(&parts.headers, endpoint).await {
        Ok(caller) => caller,
        Err(problem) => {
            span.fail(problem.code.as_str());
            return (Vec::new(), Err(problem));
        }
    };
    drop(span);
    let rates = match services.rates.check(&caller.organization, &caller.key_id) {
        Ok(headers) => Vec::from(headers),
        Err(problem) => return (Vec::new(), Err(problem)),
    };
    let outcome = async {
        let path = path_parameters(&mut parts).await?;
        let query = query_parameters(endpoint, &parts.uri)?;
        let body = read_body(body).await?;
        // While the body was on its way the key may have been revoked, or what it asks for blocked.
        let caller = services.authenticate_again(caller, &parts.headers, endpoint).await?;
        let mut context = Context {
            services: services.clone(),
            caller,
            request_id,
            path,
            query,
            headers: parts.headers,
            body,
            instance: parts.uri.path().to_owned(),
            command_id: OnceLock::new(),
        };
        context.wait_for_position().await?;
        match (endpoint.repeat, idempotency::key_of(&context.headers)?) {
            (Repeat::Answered, Some(key)) => {
                let organization = &context.caller.organization;
                let slot = services.slot(organization, endpoint, &context.instance, key, &context.body);
                context.command_id = idempotency::command_id(&slot).into();
                services.once(slot, (endpoint.handle)(context)).await
            }
            (Repeat::Answered | Repeat::Harmless | Repeat::Own, _) => (endpoint.handle)(context).await,
        }
    };
    (rates, outcome.await)
}

impl Context {
    /// Holds a request back until the state it reads is no older than `min_position`: what another process has
    /// committed may not be known here yet.
    async fn wait_for_position(&mut self) -> Result<(), Problem> {
        let Some(text) = self.query("min_position") else { return Ok(()) };
        let position = text.parse().map(Seq).map_err(|_| {
            Problem::field("min_position", "must be a position as X-Bindery-Position gives it")
        })?;
        let give_up = Instant::now() + POSITION_WAIT;
        let mut pause = POSITION_PAUSE;
        while self.caller.state.head < position {
            // The live call may have been handed memory that is a few seconds old: the log itself is asked first.
            self.caller.state = self.services.log.state(&self.caller.organization).await?;
            self.services.let_go_of_ended(&self.caller.state);
            if self.caller.state.head >= position {
                break;
            }
            if Instant::now() >= give_up {
                let detail = format!("the log is at {}, not yet at {position}", self.caller.state.head);
                return Err(Problem::unavailable(detail));
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Ok(())
    }
}

async fn path_parameters(parts: &mut request::Parts) -> Result<BTreeMap<String, String>, Problem> {
    let parameters = RawPathParams::from_request_parts(parts, &())
        .await
        .map_err(|_| Problem::new(Code::NotFound, "the address is not valid UTF-8"))?;
    Ok(parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn query_parameters(endpoint: &Endpoint, uri: &Uri) -> Result<BTreeMap<String, String>, Problem> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|_| Problem::field("", "the query string is malformed"))?;
    let mut query = BTreeMap::new();
    let mut errors = Vec::new();
    for (name, value) in pairs {
        let paging = endpoint.shape.is_paged() && matches!(name.as_str(), "limit" | "cursor");
        let position = endpoint.takes_min_position() && name == "min_position";
        if !paging && !position && endpoint.query.iter().all(|known| known.name != name) {
            errors.push(FieldError::new(name, "unknown_field", "this endpoint has no such query parameter"));
        } else if query.insert(name.clone(), value).is_some() {
            errors.push(FieldError::new(name, "repeated", "this query parameter may be given once"));
        }
    }
    for parameter in endpoint.query.iter().filter(|parameter| parameter.required) {
        if !query.contains_key(parameter.name) {
            errors.push(FieldError::new(parameter.name, "required", "this query parameter is required"));
        }
    }
    if errors.is_empty() { Ok(query) } else { Err(Problem::fields(Code::ValidationError, errors)) }
}

async fn read_body(body: Body) -> Result<Bytes, Problem> {
    let received = tokio::time::timeout(RECEIVE_TIMEOUT, axum::body::to_bytes(body, BODY_BYTES)).await;
    let received = received.map_err(|_| {
        let detail = format!("the body did not arrive within {} s", RECEIVE_TIMEOUT.as_secs());
        Problem::new(Code::ValidationError, detail)
    })?;
    received.map_err(|_| Problem::new(Code::BodyTooLarge, "the body did not end within 1 MiB"))
}

/// The client's own request id when it is harmless, else a new one.
fn request_id(headers: &HeaderMap) -> RequestId {
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

fn mark(answer: &mut HeaderMap, request_id: &RequestId) {
    if let Ok(value) = HeaderValue::from_str(request_id.as_str()) {
        answer.insert(REQUEST_ID.clone(), value);
    }
}
