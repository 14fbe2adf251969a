//! What stands between functions and a service of AWS, and can be told to fail: nothing listens, nothing comes back,
//! or everything takes its time. It counts the requests, so that a test can act at a certain one.

use axum::body::{Body, Bytes};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weather {
    Fair,
    /// Connections end as soon as they are made, and those that were there with the next request.
    Down,
    /// Requests arrive and are never answered.
    Silent,
    /// Answers are late by this.
    Slow(Duration),
}

/// Where in the life of a request a test wants to act.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Moment {
    /// The service has not seen it.
    Before,
    /// The service has done it, and nobody was told.
    After,
}

/// Which request a test wants to act at.
enum Due {
    Number(u64),
    /// The first of this operation.
    Operation(&'static str),
}

struct Trap {
    due: Due,
    moment: Moment,
    caught: oneshot::Sender<()>,
}

/// A proxy in front of a service.
pub struct Faults {
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    target: String,
    client: reqwest::Client,
    weather: watch::Sender<Weather>,
    requests: AtomicU64,
    /// Its request is held for ever, and somebody is told.
    trap: std::sync::Mutex<Option<Trap>>,
}

impl Faults {
    pub async fn before(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            target: url.to_owned(),
            client: reqwest::Client::builder().no_proxy().build().expect("a client without TLS"),
            weather: watch::Sender::new(Weather::Fair),
            requests: AtomicU64::new(0),
            trap: std::sync::Mutex::default(),
        });
        tokio::spawn(accept(listener, shared.clone()));
        Self { url: format!("http://{address}"), shared }
    }

    pub fn becomes(&self, weather: Weather) {
        self.shared.weather.send_replace(weather);
    }

    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Holds the request that comes after `later` others, and says when it is there.
    pub fn trap(&self, later: u64, moment: Moment) -> oneshot::Receiver<()> {
        self.set(Due::Number(self.requests() + later + 1), moment)
    }

    /// Holds the next request of this operation, such as `TransactWriteItems`, and says when it is there.
    pub fn trap_operation(&self, operation: &'static str, moment: Moment) -> oneshot::Receiver<()> {
        self.set(Due::Operation(operation), moment)
    }

    fn set(&self, due: Due, moment: Moment) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        *self.shared.trap.lock().expect("not poisoned") = Some(Trap { due, moment, caught: sender });
        receiver
    }

    /// Holds nothing any more.
    pub fn free(&self) {
        self.shared.trap.lock().expect("not poisoned").take();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        if *shared.weather.borrow() == Weather::Down {
            continue;
        }
        let shared = shared.clone();
        tokio::spawn(async move {
            let pass = service_fn(move |request| pass(shared.clone(), request));
            // Either side may end the connection as it likes.
            let _ =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), pass).await;
        });
    }
}

impl Shared {
    async fn hold_if_trapped(&self, number: u64, operation: &str, at: Moment) {
        let trap = self.trap.lock().expect("not poisoned").take_if(|trap| {
            let is_this = match trap.due {
                Due::Number(due) => due == number,
                Due::Operation(due) => due == operation,
            };
            is_this && trap.moment == at
        });
        if let Some(trap) = trap {
            let _ = trap.caught.send(());
            std::future::pending::<()>().await;
        }
    }
}

async fn pass(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, io::Error> {
    let number = shared.requests.fetch_add(1, Ordering::SeqCst) + 1;
    let weather = *shared.weather.borrow();
    match weather {
        Weather::Fair => {}
        Weather::Down => return Err(io::Error::from(io::ErrorKind::ConnectionReset)),
        Weather::Silent => std::future::pending().await,
        Weather::Slow(late) => tokio::time::sleep(late).await,
    }
    let (parts, body) = request.into_parts();
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or("");
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    shared.hold_if_trapped(number, &operation, Moment::Before).await;
    let body = axum::body::to_bytes(Body::new(body), usize::MAX).await.map_err(io::Error::other)?;
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut onward = shared.client.request(parts.method, format!("{}{path}", shared.target));
    for (name, value) in parts.headers.iter().filter(|(name, _)| **name != http::header::HOST) {
        onward = onward.header(name, value);
    }
    let answer = onward.body(body).send().await.map_err(io::Error::other)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    for (name, value) in answer.headers() {
        // The length is that of the body below, however it came.
        if *name != http::header::TRANSFER_ENCODING && *name != http::header::CONTENT_LENGTH {
            response.headers_mut().append(name, value.clone());
        }
    }
    let body: Bytes = answer.bytes().await.map_err(io::Error::other)?;
    shared.hold_if_trapped(number, &operation, Moment::After).await;
    *response.body_mut() = Body::from(body);
    Ok(response)
}
