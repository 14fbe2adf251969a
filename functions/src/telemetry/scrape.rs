//! `GET /metrics`, on a listener of its own: without a key, so not where clients are.

use super::Telemetry;
use crate::server;
use axum::body::Body;
use axum::response::IntoResponse;
use http::{Method, Request, StatusCode, header};
use std::future::Future;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Serves until `stop` is done.
pub async fn serve_metrics(telemetry: Arc<Telemetry>, listener: TcpListener, stop: impl Future<Output = ()>) {
    let tell = move |request: Request<Body>| {
        let telemetry = telemetry.clone();
        async move {
            if request.uri().path() != "/metrics" {
                return StatusCode::NOT_FOUND.into_response();
            }
            if !matches!(*request.method(), Method::GET | Method::HEAD) {
                return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET,HEAD")]).into_response();
            }
            // Some milliseconds of work, which are not taken from calls.
            match tokio::task::spawn_blocking(move || telemetry.exposition()).await {
                Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
                Err(_panicked) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            }
        }
    };
    let connections = server::accept(tell, listener, stop).await;
    connections.shutdown().await;
}
