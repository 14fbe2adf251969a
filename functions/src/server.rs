//! All endpoints on one port.

use crate::endpoints;
use crate::router::router;
use crate::services::Services;
use axum::serve::ListenerExt;
use std::future::Future;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Serves until `stop` is done, then lets running requests finish.
pub async fn serve(
    services: Arc<Services>,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    // A live call's answer is one small write: without this it may wait for the client's acknowledgement.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router(services, endpoints::ALL)).with_graceful_shutdown(stop).await
}
