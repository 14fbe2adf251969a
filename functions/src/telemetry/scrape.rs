//! `GET /metrics`, on a listener of its own: without a key, so not where clients are.

use super::Telemetry;
use crate::server;
use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{StatusCode, header};
use std::future::Future;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Serves until `stop` is done.
pub async fn serve_metrics(telemetry: Arc<Telemetry>, listener: TcpListener, stop: impl Future<Output = ()>) {
    let tell = move || {
        let telemetry = telemetry.clone();
        async move {
            // Some milliseconds of work, which are not taken from calls.
            match tokio::task::spawn_blocking(move || telemetry.exposition()).await {
                Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
                Err(_panicked) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            }
        }
    };
    let connections = server::accept(Router::new().route("/metrics", get(tell)), listener, stop).await;
    connections.shutdown().await;
}
