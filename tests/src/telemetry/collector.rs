//! A collector on loopback that takes OTLP over HTTP and decodes what it takes.

use super::OVERDUE;
use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, header};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::watch;

pub struct Collector {
    pub url: String,
    taken: Arc<Taken>,
}

#[derive(Default)]
struct Taken {
    /// As they came, of both kinds.
    bodies: Mutex<Vec<Bytes>>,
    headers: Mutex<Vec<HeaderMap>>,
    traces: Mutex<Vec<ExportTraceServiceRequest>>,
    metrics: Mutex<Vec<ExportMetricsServiceRequest>>,
    news: watch::Sender<()>,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let taken = Arc::<Taken>::default();
        let app = Router::new().route("/v1/traces", post(traces)).route("/v1/metrics", post(metrics));
        let app = app.with_state(taken.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, taken }
    }

    /// All spans once there are such that satisfy this.
    pub async fn spans(&self, enough: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        self.wait(|taken| {
            let spans = taken.spans();
            enough(&spans).then_some(spans)
        })
        .await
    }

    /// What has come so far.
    pub fn spans_now(&self) -> Vec<Span> {
        self.taken.spans()
    }

    /// The metrics of the last sending, by name, once they are such.
    pub async fn metrics(
        &self,
        enough: impl Fn(&BTreeMap<String, Metric>) -> bool,
    ) -> BTreeMap<String, Metric> {
        self.wait(|taken| taken.metrics().filter(|metrics| enough(metrics))).await
    }

    /// What all traces, or all metrics, are said to be of.
    pub fn resources(&self) -> Vec<BTreeMap<String, String>> {
        let traces = self.taken.traces.lock().expect("not poisoned");
        let metrics = self.taken.metrics.lock().expect("not poisoned");
        let of_traces = traces.iter().flat_map(|sent| &sent.resource_spans).map(|it| it.resource.clone());
        let of_metrics = metrics.iter().flat_map(|sent| &sent.resource_metrics).map(|it| it.resource.clone());
        let attributes = |resource: Option<Resource>| attributes(&resource.expect("a resource").attributes);
        of_traces.chain(of_metrics).map(attributes).collect()
    }

    pub fn headers(&self) -> Vec<HeaderMap> {
        self.taken.headers.lock().expect("not poisoned").clone()
    }

    pub fn bodies(&self) -> Vec<Bytes> {
        self.taken.bodies.lock().expect("not poisoned").clone()
    }

    async fn wait<T>(&self, look: impl Fn(&Taken) -> Option<T>) -> T {
        let mut news = self.taken.news.subscribe();
        let found = async {
            loop {
                if let Some(found) = look(&self.taken) {
                    return found;
                }
                news.changed().await.expect("it is kept");
            }
        };
        tokio::time::timeout(OVERDUE, found).await.expect("it comes in time")
    }
}

impl Taken {
    fn spans(&self) -> Vec<Span> {
        let traces = self.traces.lock().expect("not poisoned");
        let scopes = traces.iter().flat_map(|sent| &sent.resource_spans).flat_map(|it| &it.scope_spans);
        scopes.flat_map(|scope| scope.spans.iter().cloned()).collect()
    }

    fn metrics(&self) -> Option<BTreeMap<String, Metric>> {
        let metrics = self.metrics.lock().expect("not poisoned");
        let scopes = metrics.last()?.resource_metrics.iter().flat_map(|it| &it.scope_metrics);
        Some(scopes.flat_map(|scope| &scope.metrics).map(|it| (it.name.clone(), it.clone())).collect())
    }

    fn note(&self, headers: HeaderMap, body: Bytes) {
        self.headers.lock().expect("not poisoned").push(headers);
        self.bodies.lock().expect("not poisoned").push(body);
        self.news.send_replace(());
    }
}

async fn traces(State(taken): State<Arc<Taken>>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let sent = ExportTraceServiceRequest::decode(body.clone()).expect("traces in protobuf");
    taken.traces.lock().expect("not poisoned").push(sent);
    taken.note(headers, body);
    [(header::CONTENT_TYPE, "application/x-protobuf")]
}

async fn metrics(State(taken): State<Arc<Taken>>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let sent = ExportMetricsServiceRequest::decode(body.clone()).expect("metrics in protobuf");
    taken.metrics.lock().expect("not poisoned").push(sent);
    taken.note(headers, body);
    [(header::CONTENT_TYPE, "application/x-protobuf")]
}

/// Those of a span, a point or a resource, as text.
pub fn attributes(of: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => panic!("an attribute is a text or a number: {other:?}"),
    };
    of.iter().map(|attribute| (attribute.key.clone(), text(&attribute.value))).collect()
}

/// Attributes and count of each point of a histogram.
pub fn histogram(metric: &Metric) -> Vec<(BTreeMap<String, String>, u64)> {
    let Some(metric::Data::Histogram(histogram)) = &metric.data else { panic!("{} is none", metric.name) };
    histogram.data_points.iter().map(|point| (attributes(&point.attributes), point.count)).collect()
}
