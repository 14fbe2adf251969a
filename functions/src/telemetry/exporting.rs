//! How traces and metrics get to a collector.

use async_trait::async_trait;
use domain::limits::TELEMETRY_ANSWER_BYTES;
use infra::databases::dial::Dialer;
use infra::databases::guard::Guard;
use infra::outgoing::Target;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::SpanExporter as OtlpExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Sends what the exporters have made, by the way that everything goes from here. The SDK exports on threads of its own:
/// no request waits for it.
pub struct Sender {
    runtime: Handle,
    dialer: Arc<Dialer>,
    timeout: Duration,
}

impl Sender {
    /// To be made inside the runtime.
    pub fn new(timeout: Duration) -> Self {
        // The collector is the operator's, and mostly beside the server.
        Self { runtime: Handle::current(), dialer: Arc::new(Dialer::new(Guard::of_the_operator())), timeout }
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let target = Target::parse(&parts.uri.to_string())?;
        let (dialer, deadline) = (self.dialer.clone(), Instant::now() + self.timeout);
        let sent = self.runtime.spawn(async move {
            target.post(&dialer, parts.headers, body, deadline, TELEMETRY_ANSWER_BYTES).await
        });
        let answer = sent.await??;
        Ok(Response::builder().status(answer.status).body(answer.body.unwrap_or_default())?)
    }
}

/// Counts what the collector took, and what was lost because it did not.
#[derive(Debug)]
pub struct Counted {
    exporter: OtlpExporter,
    exported: Counter<u64>,
}

impl Counted {
    pub fn new(exporter: OtlpExporter, meter: &Meter) -> Self {
        let exported = meter.u64_counter("otel.sdk.exporter.span.exported").with_unit("{span}");
        let exported =
            exported.with_description("Spans that a collector took, or did not: error.type says so");
        Self { exporter, exported: exported.build() }
    }
}

impl SpanExporter for Counted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let done = self.exporter.export(batch).await;
        match &done {
            Ok(()) => self.exported.add(spans, &[]),
            Err(_) => self.exported.add(spans, &[KeyValue::new("error.type", "not_taken")]),
        }
        done
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
