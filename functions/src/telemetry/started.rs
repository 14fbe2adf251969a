//! OpenTelemetry's SDK, set up once for a server. It is the one source of what Prometheus reads and collectors are sent.

use super::exporting::{Counted, Sender};
use super::looking::{self, Looked};
use super::meters::{Meters, REQUESTS};
use super::observed;
use super::spans::Tracing;
use crate::config::TelemetryConfig;
use crate::services::Services;
use domain::limits::{TELEMETRY_FLUSH, TRACED};
use infra::storage::sqlite::SqliteStore;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{Instrument, PeriodicReader, SdkMeterProvider, Stream};
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{BatchSpanProcessor, Sampler, SdkTracerProvider};
use prometheus::{Encoder, Registry, TextEncoder};
use std::sync::Arc;

const SCOPE: &str = "bindery";
/// More than any instrument but [`REQUESTS`] comes to: engines, by operations, by faults.
const ATTRIBUTE_SETS: usize = 200;

pub struct Telemetry {
    meter: Meter,
    meters: SdkMeterProvider,
    traces: Option<SdkTracerProvider>,
    registry: Registry,
    looked: Arc<Looked>,
}

impl Telemetry {
    /// Has what the process tells counted and sent from now on. None when nobody wants to know. To be called inside the
    /// runtime, and once.
    ///
    /// # Errors
    /// One sentence that says what to do.
    pub fn start(
        wanted: &TelemetryConfig,
        public_url: &str,
        is_scraped: bool,
    ) -> Result<Option<Self>, String> {
        if wanted.disabled || !(is_scraped || wanted.sends_traces || wanted.sends_metrics) {
            return Ok(None);
        }
        let registry = Registry::new();
        let meters = meter_provider(wanted, &registry)?;
        // The SDK counts its own losses with whatever meter is set here.
        opentelemetry::global::set_meter_provider(meters.clone());
        let meter = meters.meter(SCOPE);
        let traces = wanted.sends_traces.then(|| tracer_provider(wanted, &meter)).transpose()?;
        let tracing = traces.as_ref().map(|traces| Tracing(traces.tracer(SCOPE)));
        let scheme = if public_url.starts_with("https:") { "https" } else { "http" };
        let listener = Arc::new(Meters::new(&meter, tracing, scheme));
        if !(infra::telemetry::listen(listener.clone()) && super::listen(listener)) {
            return Err("what a process tells goes to one listener, and there is one already".to_owned());
        }
        Ok(Some(Self { meter, meters, traces, registry, looked: Arc::default() }))
    }

    /// Has also told what is looked at when somebody asks: how pools are used, how far webhooks are, what is in doubt.
    pub fn watch(&self, services: &Arc<Services>, store: &Arc<SqliteStore>) {
        observed::register(&self.meter, services, &self.looked);
        let (services, store) = (Arc::downgrade(services), Arc::downgrade(store));
        tokio::spawn(looking::keep_looking(services, store, self.looked.clone()));
    }

    /// In the text format of Prometheus.
    pub fn exposition(&self) -> Vec<u8> {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics could not be told");
        }
        text
    }

    /// Sends what is left, for as long as that may take.
    pub async fn flush(&self) {
        let (meters, traces) = (self.meters.clone(), self.traces.clone());
        let (done, sent) = tokio::sync::oneshot::channel();
        // A thread that the runtime does not wait for when it ends.
        std::thread::spawn(move || {
            let traces = traces.map_or(Ok(()), |traces| traces.shutdown_with_timeout(TELEMETRY_FLUSH));
            let _ = done.send(traces.and(meters.shutdown_with_timeout(TELEMETRY_FLUSH)));
        });
        match tokio::time::timeout(TELEMETRY_FLUSH, sent).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the last traces or metrics were not sent"),
            Ok(Err(_)) | Err(_) => tracing::warn!("the last traces or metrics were not sent in time"),
        }
    }
}

fn meter_provider(wanted: &TelemetryConfig, registry: &Registry) -> Result<SdkMeterProvider, String> {
    let scraped = opentelemetry_prometheus::exporter().with_registry(registry.clone());
    let scraped = scraped.scope_info_enabled(false).build().map_err(|error| error.to_string())?;
    let mut provider =
        SdkMeterProvider::builder().with_resource(resource()).with_view(few).with_reader(scraped);
    if wanted.sends_metrics {
        let exporter = MetricExporter::builder().with_http().with_http_client(Sender::new(wanted.timeout));
        let exporter = exporter.build().map_err(|error| format!("OTEL_EXPORTER_OTLP_ENDPOINT: {error}"))?;
        provider = provider.with_reader(PeriodicReader::builder(exporter).build());
    }
    Ok(provider.build())
}

/// The SDK makes room for 2,000 sets of attributes, 7 MB for all of ours. Only requests come in hundreds of them.
fn few(instrument: &Instrument) -> Option<Stream> {
    if instrument.name() == REQUESTS {
        return None;
    }
    Stream::builder().with_cardinality_limit(ATTRIBUTE_SETS).build().ok()
}

fn tracer_provider(wanted: &TelemetryConfig, meter: &Meter) -> Result<SdkTracerProvider, String> {
    let exporter = SpanExporter::builder().with_http().with_http_client(Sender::new(wanted.timeout));
    let exporter = exporter.build().map_err(|error| format!("OTEL_EXPORTER_OTLP_ENDPOINT: {error}"))?;
    let batches = BatchSpanProcessor::builder(Counted::new(exporter, meter)).build();
    let provider = SdkTracerProvider::builder().with_resource(resource()).with_span_processor(batches);
    Ok(if wanted.names_sampler {
        provider.build()
    } else {
        provider.with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(TRACED)))).build()
    })
}

/// What the environment says of this server goes before what it says of itself.
fn resource() -> Resource {
    let own = [
        KeyValue::new("service.name", "bindery"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
    ];
    let resource = Resource::builder_empty()
        .with_attributes(own)
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match std::env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty()) {
        Some(name) => resource.with_service_name(name).build(),
        None => resource.build(),
    }
}
