//! One request of an endpoint, from its head to its answer.

use crate::endpoint::{Context, Endpoint, Measured, Repeat, Reply};
use crate::idempotency;
use crate::problem::{Code, Problem};
use crate::router::{PublicUrl, mark, request_id};
use crate::services::Services;
use crate::telemetry::Seen;
use crate::to_the_end::{Panicked, ToTheEnd, on as on_runtime};
use axum::body::Body;
use axum::extract::Query;
use axum::response::Response;
use bytes::Bytes;
use domain::FieldError;
use domain::limits::{BODY_BYTES, RECEIVE_TIMEOUT};
use events::{RequestId, Seq};
use futures_util::poll;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, request};
use infra::telemetry::{during, span, within};
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::{Duration, Instant};

/// How long a request waits for the position it asked for.
const POSITION_WAIT: Duration = Duration::from_secs(2);
/// Between the first two looks at the log, and doubled from there on.
const POSITION_PAUSE: Duration = Duration::from_millis(20);

/// What the endpoint answers, and what is to be counted of a live call beside its duration.
pub async fn respond(
    services: Arc<Services>,
    endpoint: &'static Endpoint,
    path: Vec<(&'static str, String)>,
    request: Request<Body>,
) -> (Response, Option<Measured>) {
    let (mut parts, body) = request.into_parts();
    let seen = Seen::begin(endpoint, &parts.headers, request_id(&parts.headers));
    let request_id = &seen.request().id;
    let (ours, uri, url) = (services.clone(), parts.uri.clone(), parts.extensions.remove::<PublicUrl>());
    let tracker = services.tasks.clone();
    let beside = services.beside_calls.get().filter(|_| !endpoint.runs_skills()).cloned();
    let work =
        within(seen.request().clone(), serve(services, endpoint, path, parts, body, request_id.clone()));
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
    let (mut response, measured) = match outcome {
        Ok(reply) => {
            let measured = reply.measured;
            (reply.into_response(), measured)
        }
        Err(problem) => {
            let url = url.as_ref().map_or(&ours.config.public_url, |url| &url.0);
            (problem.into_response(url, uri.path(), request_id.as_str()), None)
        }
    };
    response.headers_mut().extend(extra.into_iter().map(|(name, value)| (Some(name), value)));
    mark(response.headers_mut(), request_id);
    seen.mark(response.headers_mut());
    let (status, took) = (response.status(), seen.started().elapsed());
    seen.answered(status, measured, || log(endpoint, status, took));
    (response, measured)
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
    path: Vec<(&'static str, String)>,
    parts: request::Parts,
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
        if let Some(position) = context.query("min_position") {
            let position = position.parse().map(Seq).map_err(|_| {
                Problem::field("min_position", "must be a position as X-Bindery-Position gives it")
            })?;
            Box::pin(context.wait_for(position)).await?;
        }
        match (endpoint.repeat, idempotency::key_of(&context.headers)?) {
            (Repeat::Answered, Some(key)) => {
                let organization = &context.caller.organization;
                let slot = services.slot(organization, endpoint, &context.instance, key, &context.body);
                context.command_id = idempotency::command_id(&slot).into();
                // Boxed, so that a call is not moved with room for it.
                Box::pin(services.once(slot, (endpoint.handle)(context))).await
            }
            (Repeat::Answered | Repeat::Harmless | Repeat::Own, _) => (endpoint.handle)(context).await,
        }
    };
    (rates, outcome.await)
}

impl Context {
    /// Holds a request back until the state it reads is no older than `position`: what another process has committed may
    /// not be known here yet.
    async fn wait_for(&mut self, position: Seq) -> Result<(), Problem> {
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
    let mut receiving = pin!(axum::body::to_bytes(body, BODY_BYTES));
    // Most have come with their head, and need no timer.
    let received = match poll!(receiving.as_mut()) {
        Poll::Ready(received) => Ok(received),
        Poll::Pending => tokio::time::timeout(RECEIVE_TIMEOUT, receiving).await,
    };
    let received = received.map_err(|_| {
        let detail = format!("the body did not arrive within {} s", RECEIVE_TIMEOUT.as_secs());
        Problem::new(Code::ValidationError, detail)
    })?;
    received.map_err(|_| Problem::new(Code::BodyTooLarge, "the body did not end within 1 MiB"))
}
