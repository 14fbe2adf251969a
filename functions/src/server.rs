//! All endpoints on one port.

use crate::endpoints;
use crate::router::router;
use crate::services::Services;
use axum::Router;
use domain::limits::{DRAIN_TIMEOUT, RECEIVE_TIMEOUT};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// After an accept that failed, so that a process out of file descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` is done, then lets running requests and discoveries finish, within [`DRAIN_TIMEOUT`].
pub async fn serve(services: Arc<Services>, listener: TcpListener, stop: impl Future<Output = ()>) {
    serve_app(router(services.clone(), endpoints::ALL), services, listener, stop).await;
}

/// The same with a router that was made otherwise.
///
/// Not axum's own loop: it has no time limit for a request's headers.
pub async fn serve_app(
    app: Router,
    services: Arc<Services>,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) {
    let app = TowerToHyperService::new(app);
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
        let connection = http.serve_connection(TokioIo::new(prompt(stream)), app.clone());
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            // A client that breaks its own connection is no event of ours.
            let _ = connection.await;
        });
    }
    drop(listener);
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

/// A live call's answer is one small write: without this it may wait for the client's acknowledgement.
fn prompt(stream: TcpStream) -> TcpStream {
    let _ = stream.set_nodelay(true);
    stream
}
