//! All endpoints on one port.

use crate::endpoints;
use crate::router::{Router, router};
use crate::services::Services;
use axum::body::Body;
use axum::response::Response;
use domain::limits::{DRAIN_TIMEOUT, RECEIVE_TIMEOUT};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// After an accept that failed, so that a process out of file descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` is done, then lets running requests and discoveries finish, within [`DRAIN_TIMEOUT`].
pub async fn serve(services: Arc<Services>, listener: TcpListener, stop: impl Future<Output = ()>) {
    let router = router(services.clone(), endpoints::ALL);
    serve_by(answering(router), services, listener, stop).await;
}

/// Has a router answer.
pub fn answering(router: Router) -> impl Answering {
    move |request| {
        let router = router.clone();
        async move { router.answer(request).await.0 }
    }
}

/// Whatever answers requests.
pub trait Answering: Fn(Request<Body>) -> Self::Answer + Clone + Send + 'static {
    type Answer: Future<Output = Response> + Send;
}

impl<F: Fn(Request<Body>) -> A + Clone + Send + 'static, A: Future<Output = Response> + Send> Answering
    for F
{
    type Answer = A;
}

/// The same by a router that was made otherwise.
pub async fn serve_by(
    answering: impl Answering,
    services: Arc<Services>,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) {
    let connections = accept(answering, listener, stop).await;
    services.stopping.cancel();
    services.tasks.close();
    let drained = async {
        connections.shutdown().await;
        services.tasks.wait().await;
        services.records.flush().await;
    };
    if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
}

/// Takes connections until `stop` is done. Gives those that are still open.
pub async fn accept(
    answering: impl Answering,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> GracefulShutdown {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answering(request.map(Body::new));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(RECEIVE_TIMEOUT);
    let connections = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let stream = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let connection = http.serve_connection(TokioIo::new(prompt(stream)), service.clone());
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            // A client that breaks its own connection is no event of ours.
            let _ = connection.await;
        });
    }
    connections
}

/// A live call's answer is one small write: without this it may wait for the client's acknowledgement.
fn prompt(stream: TcpStream) -> TcpStream {
    let _ = stream.set_nodelay(true);
    stream
}
