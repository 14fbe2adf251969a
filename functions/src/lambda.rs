//! One endpoint or reaction as a Lambda function.
//!
//! The platform runs one invocation at a time in a process and stops the process, wherever it is, once the answer was
//! taken; the next invocation finds it as it was, seconds or hours later. What that means here:
//!
//! - Nobody hangs up on a function: it goes on when the client has left, so a change is never cut off half way by that.
//!   What does outlive a request (late cancels, closing broken connections, work that [`crate::to_the_end`] took over)
//!   is waited for before its answer leaves.
//! - Nothing is done on a schedule in the background. Idle connections are looked after by a task that sleeps, and is
//!   late when the process was stopped: a connection that died meanwhile is noticed when it is taken from the pool, and
//!   nothing had happened on it, so the statement runs on another. Data keys, pepper and confirmed heads carry the time
//!   until which they count, and are judged when they are used. What must happen although nobody calls is a reaction
//!   on a schedule.
//! - A start that cannot read the service's keys is no failed start, which the platform would answer for us: requests
//!   are refused in our own words and reactions fail, each after another attempt, until one succeeds.
//! - Log lines are written before the answer leaves, within a bound; records of calls after it, by [`afterwards`].

mod afterwards;
mod lines;
mod log;
pub mod metrics;
mod request;

use crate::clock;
use crate::endpoint::{Endpoint, Grant, Shape};
use crate::endpoints;
use crate::problem::Problem;
use crate::reactions::{self, Reacted, Reaction, Woken};
use crate::router::{Router, refuse, router};
use crate::services::Services;
use crate::start::aws::{Deployment, Opening};
use afterwards::Afterwards;
use async_trait::async_trait;
use axum::body::Body;
use axum::response::Response;
use lambda_http::RequestExt;
use lambda_http::Service;
use lambda_runtime::{Context, Error, LambdaEvent, service_fn};
use lines::Lines;
use log::Invocation;
use metrics::Counted;
use serde_json::Value;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::OnceCell;

/// Kept of an invocation's time for its answer and its lines.
const SPARE: Duration = Duration::from_millis(500);

/// Which function a process is.
#[derive(Clone, Copy)]
enum Served {
    Endpoint(&'static Endpoint),
    Reaction(&'static Reaction),
}

/// Serves an endpoint until the platform ends the process.
pub fn serve(endpoint: &'static Endpoint) -> ExitCode {
    run(Served::Endpoint(endpoint))
}

/// The same for a reaction.
pub fn react(reaction: &'static Reaction) -> ExitCode {
    run(Served::Reaction(reaction))
}

/// The function that the deployment calls this process, by its handler.
pub fn serve_handler() -> ExitCode {
    let name = std::env::var("_HANDLER").unwrap_or_default();
    let endpoint = endpoints::ALL.iter().find(|endpoint| endpoint.name == name);
    let reaction = reactions::ALL.iter().find(|reaction| reaction.name == name);
    match (endpoint, reaction) {
        (Some(endpoint), _) => serve(endpoint),
        (None, Some(reaction)) => react(reaction),
        (None, None) => {
            eprintln!("_HANDLER is {name:?}, which is the name of no endpoint and of no reaction");
            ExitCode::FAILURE
        }
    }
}

/// Not generic, so that the SDK's and hyper's futures are compiled once and not with every function.
fn run(served: Served) -> ExitCode {
    let lines = Lines::to(std::io::stdout());
    // One thread is what a function has of a processor. What takes long goes to threads of its own anyway.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a thread and its clock");
    let ended = runtime.block_on(start(served, lines.clone()));
    if let Err(wrong) = ended {
        // The platform shows what was written when a process ends before its first invocation.
        for sentence in wrong.lines() {
            eprintln!("{sentence}");
        }
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

async fn start(served: Served, lines: Lines) -> Result<(), String> {
    let deployment = Deployment::from_environment().map_err(|wrong| wrong.join("\n"))?;
    log::install(deployment.config.log.clone(), lines.clone())?;
    let public_url = deployment.config.public_url.clone();
    let deployed_as = deployment.names.prefix.clone();
    let (name, function) = match served {
        Served::Endpoint(endpoint) => (endpoint.name, endpoint.function),
        Served::Reaction(reaction) => (reaction.name, reaction.function),
    };
    let opening = Opening::start(deployment, name, function).await?;
    let served = match served {
        Served::Endpoint(endpoint) => {
            let source = Box::new(opening);
            let afterwards = match endpoint.function.grants.contains(&Grant::KeepCalls) {
                true => Afterwards::register().await,
                false => None,
            };
            let requests = Requests::new(endpoint, source, lines, public_url, deployed_as, afterwards);
            serve_requests(requests).await
        }
        Served::Reaction(reaction) => {
            let is_cold = AtomicBool::new(true);
            let events = Arc::new(Events { reaction, opening, lines, is_cold, deployed_as });
            let handle = move |event: LambdaEvent<Value>| {
                let events = events.clone();
                async move { events.answer(event).await }
            };
            lambda_runtime::run(service_fn(handle)).await
        }
    };
    served.map_err(|error| error.to_string())
}

async fn serve_requests(requests: Arc<Requests>) -> Result<(), Error> {
    let shape = requests.endpoint.shape;
    let handle = service_fn(move |request: lambda_http::Request| {
        let requests = requests.clone();
        async move { requests.answer(request).await }
    });
    match shape {
        Shape::One | Shape::List | Shape::Paged | Shape::Messages => {
            let adapter = lambda_http::Adapter::from(handle);
            lambda_runtime::run(service_fn(move |event| adapter.clone().call(request::whole(event)))).await
        }
        // A function URL that streams hands each frame on as it is made.
        Shape::Stream => {
            let adapter = lambda_http::StreamAdapter::from(handle);
            lambda_runtime::run(service_fn(move |event| adapter.clone().call(request::whole(event)))).await
        }
    }
}

/// Where a function's services come from. While there is an error, invocations fail and the next one asks again.
#[async_trait]
trait Source: Send + Sync {
    async fn services(&self) -> Result<Arc<Services>, String>;
}

#[async_trait]
impl Source for Opening {
    async fn services(&self) -> Result<Arc<Services>, String> {
        self.aws().await.map(|aws| aws.services.clone()).map_err(|error| error.to_string())
    }
}

/// A function that serves an endpoint.
struct Requests {
    endpoint: &'static Endpoint,
    source: Box<dyn Source>,
    opened: OnceCell<(Arc<Services>, Router)>,
    lines: Lines,
    is_cold: AtomicBool,
    /// Empty when each request is to tell it.
    public_url: String,
    /// Whose metrics these are.
    deployed_as: String,
    /// Of functions whose calls leave records.
    afterwards: Option<Afterwards>,
}

impl Requests {
    fn new(
        endpoint: &'static Endpoint,
        source: Box<dyn Source>,
        lines: Lines,
        public_url: String,
        deployed_as: String,
        afterwards: Option<Afterwards>,
    ) -> Arc<Self> {
        let (opened, is_cold) = (OnceCell::new(), AtomicBool::new(true));
        Arc::new(Self { endpoint, source, opened, lines, is_cold, public_url, deployed_as, afterwards })
    }

    async fn opened(&self) -> Result<&(Arc<Services>, Router), String> {
        let open = || async {
            let services = self.source.services().await?;
            // One slice of one endpoint for as long as the process lives.
            let only: &'static [&'static Endpoint] = Box::leak(Box::new([self.endpoint]));
            Ok((services.clone(), router(services, only)))
        };
        self.opened.get_or_try_init(open).await
    }

    async fn answer(&self, request: lambda_http::Request) -> Result<Response<Body>, Error> {
        let started = Instant::now();
        let mut answered = self.afterwards.as_ref().and_then(Afterwards::begin);
        let context = request.lambda_context_ref().cloned().unwrap_or_default();
        invocation(&context).begin();
        let request = request::to_ours(request, self.public_url.is_empty());
        let opened = self.opened().await;
        let (response, measured) = match &opened {
            Ok((_, router)) => router.answer(request).await,
            Err(error) => {
                tracing::error!(endpoint = self.endpoint.name, %error, "refused without the service's keys");
                let problem = Problem::unavailable("the service's own keys cannot be read right now");
                (refuse(&self.public_url, &request, problem), None)
            }
        };
        let status = response.status();
        let class = || format!("{}xx", status.as_u16() / 100);
        let counted = Counted {
            endpoint: self.endpoint.name,
            outcome: measured.map_or_else(class, |measured| measured.outcome.to_owned()),
            duration: started.elapsed(),
            is_error: status.is_server_error(),
            is_cold: self.is_cold.swap(false, Ordering::Relaxed),
            database: measured.map(|measured| measured.database),
            counts: Vec::new(),
        };
        self.lines.push(counted.line(&self.deployed_as, clock::now()));
        if let Ok((services, _)) = opened {
            match &mut answered {
                Some(answered) => answered.records = Some(services.records.clone()),
                None => services.records.flush().await,
            }
            settled(services, &context).await;
        }
        self.lines.flush().await;
        Ok(response)
    }
}

/// A function that something else than a request wakes.
struct Events {
    reaction: &'static Reaction,
    opening: Opening,
    lines: Lines,
    is_cold: AtomicBool,
    deployed_as: String,
}

impl Events {
    async fn answer(&self, event: LambdaEvent<Value>) -> Result<Value, Error> {
        let started = Instant::now();
        let (event, context) = event.into_parts();
        invocation(&context).begin();
        let opened = self.opening.aws().await.map_err(|error| error.to_string());
        let reacted = match &opened {
            Ok(aws) => (self.reaction.handle)(Woken { aws: aws.clone(), event }).await,
            Err(error) => Err(error.clone()),
        };
        let Reacted { answer, counts, wrong } =
            reacted.unwrap_or_else(|error| Reacted { wrong: vec![error], ..Reacted::default() });
        let is_error = !wrong.is_empty();
        for error in &wrong {
            tracing::error!(reaction = self.reaction.name, %error, "failed");
        }
        let counted = Counted {
            endpoint: self.reaction.name,
            outcome: if is_error { "failed" } else { "done" }.to_owned(),
            duration: started.elapsed(),
            is_error,
            is_cold: self.is_cold.swap(false, Ordering::Relaxed),
            database: None,
            counts,
        };
        self.lines.push(counted.line(&self.deployed_as, clock::now()));
        if let Ok(aws) = opened {
            settled(&aws.services, &context).await;
        }
        self.lines.flush().await;
        if is_error { Err(Error::from(wrong.join("; "))) } else { Ok(answer) }
    }
}

fn invocation(context: &Context) -> Invocation {
    Invocation { request_id: context.request_id.clone(), trace_id: context.xray_trace_id.clone() }
}

/// Waits until nothing of this invocation goes on, for as long as its time allows.
async fn settled(services: &Services, context: &Context) {
    let left = context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
    let quiet = async {
        services.tasks.close();
        services.tasks.wait().await;
        infra::databases::afterwards::settled().await;
    };
    if tokio::time::timeout(left.saturating_sub(SPARE), quiet).await.is_err() {
        tracing::warn!("work of this invocation goes on in the next");
    }
    services.tasks.reopen();
}

#[cfg(test)]
#[path = "lambda/tests.rs"]
mod tests;
