//! All endpoints on one port, for as long as the process lives.

use super::embedded::Embedded;
use crate::config::{Config, TelemetryConfig};
use crate::log::OfRequests;
use crate::server;
use crate::telemetry::{Telemetry, serve_metrics};
use crate::to_the_end::on;
use infra::storage::sqlite::SqliteStore;
use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, Runtime};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Until the process is told to end.
///
/// # Errors
/// Sentences that say what to do.
pub async fn serve(
    data_dir: &Path,
    listen: SocketAddr,
    metrics_listen: Option<SocketAddr>,
) -> Result<(), String> {
    let configured = |listen: SocketAddr| {
        Config::from_environment(&format!("http://{listen}")).map_err(|wrong| wrong.join("\n"))
    };
    let (config, seen_by) = match (configured(listen), TelemetryConfig::from_environment()) {
        (Ok(config), Ok(seen_by)) => (config, seen_by),
        (config, seen_by) => {
            let wrong = [config.err(), seen_by.err().map(|wrong| wrong.join("\n"))];
            return Err(wrong.into_iter().flatten().collect::<Vec<_>>().join("\n"));
        }
    };
    let lines = tracing_subscriber::fmt()
        .event_format(OfRequests)
        .with_max_level(LevelFilter::TRACE)
        .with_writer(std::io::stderr);
    lines.finish().with(config.log.clone()).init();
    if !config.allow_private_hosts.is_empty() {
        let blocks: Vec<String> = config.allow_private_hosts.iter().map(ToString::to_string).collect();
        tracing::warn!(blocks = blocks.join(","), "BINDERY_ALLOW_PRIVATE_HOSTS opens private addresses");
    }
    let embedded = Embedded::open(data_dir).await?;
    let _alone = SqliteStore::lock_for_serving(data_dir).map_err(|error| error.to_string())?;
    let calls = CallThreads::start()?;
    let listener = calls.own(bind(listen, "--listen")).await?;
    // Port 0 is any free one: only now it is known which.
    let listen = listener.local_addr().map_err(|error| error.to_string())?;
    let config = configured(listen)?;
    let metrics = match metrics_listen {
        Some(address) => Some(bind(address, "--metrics-listen").await?),
        None => None,
    };
    let telemetry = Telemetry::start(&seen_by, &config.public_url, metrics.is_some())?.map(Arc::new);
    let services = embedded.services(config).await?;
    services.beside_calls.set(Handle::current()).expect("it is set once");
    if let Some(telemetry) = &telemetry {
        telemetry.watch(&services, &embedded.store);
    }
    let metrics_at = metrics.as_ref().and_then(|metrics| metrics.local_addr().ok());
    match (&telemetry, metrics) {
        (Some(telemetry), Some(metrics)) => {
            let stopping = services.stopping.clone().cancelled_owned();
            tokio::spawn(serve_metrics(telemetry.clone(), metrics, stopping));
        }
        (None, Some(_)) => tracing::warn!("OTEL_SDK_DISABLED is set, so --metrics-listen serves nothing"),
        (Some(_) | None, None) => {}
    }
    let metrics = metrics_at.map(tracing::field::display);
    tracing::info!(%listen, metrics, "serving");
    calls.own(server::serve(services, listener, stop())).await;
    if let Some(telemetry) = telemetry {
        telemetry.flush().await;
    }
    Ok(())
}

/// Threads on which requests arrive and skills run, and nothing else: what a change of the configuration takes, or a look
/// into the past, no call waits for. Half of the cores, because a call that stays on one is cheaper than one that is passed
/// on to whichever is free, and all of them are there for the rest.
struct CallThreads(Option<Runtime>);

impl CallThreads {
    fn start() -> Result<Self, String> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let mut threads = Builder::new_multi_thread();
        threads.worker_threads((cores / 2).max(1)).thread_name("calls").enable_all();
        let runtime = threads.build().map_err(|error| format!("no threads could be started: {error}"))?;
        Ok(Self(Some(runtime)))
    }

    /// Has this done there.
    async fn own<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let runtime = self.0.as_ref().expect("it is taken only when it is dropped");
        on(runtime.handle().clone(), work).await
    }
}

impl Drop for CallThreads {
    fn drop(&mut self) {
        // Waiting for its threads is not allowed here, and what matters has ended.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

async fn bind(address: SocketAddr, option: &str) -> Result<TcpListener, String> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| format!("cannot listen on {address}: {error}; choose another with {option}"))
}

async fn stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be listened to");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    tracing::info!("finishing running requests");
}
