//! The same of what a server tells to a collector and to Prometheus, and of the log of its process.

use super::needles::Needles;
use super::scenario::Scenario;
use super::{assert_clean, assert_clean_answers};
use crate::engines::engine;
use crate::telemetry::Told;
use crate::telemetry::collector::Collector;
use events::IntegrationKind;

async fn secrets_stay_where_they_belong_in_telemetry(kind: IntegrationKind) {
    let collector = Collector::start().await;
    let mut told = Told::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url),
        ("OTEL_TRACES_SAMPLER", "always_on"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
        (
            "BINDERY_LOG",
            "info,functions=trace,infra=trace,domain=trace,opentelemetry_sdk=debug,opentelemetry-otlp=debug",
        ),
    ]);
    let scenario = Scenario::play(&told.http, Vec::new(), engine(kind)).await;
    let needles = Needles::of(&scenario.canaries);
    assert_clean_answers(&scenario, &needles);
    let exposed = told.exposed().await;
    assert!(exposed.contains("bindery_call_duration_seconds"), "metrics were looked at");
    assert_clean(&needles, "metrics", exposed.as_bytes());
    told.server.terminate();
    assert!(told.server.wait().success());

    let statements = collector.spans_now().into_iter().filter(|span| span.name == "INSERT").count();
    assert!(statements >= 3, "spans of statements were looked at");
    for body in collector.bodies() {
        assert_clean(&needles, "what a collector was sent", &body);
    }
    for line in told.server.rest_of_the_log() {
        assert_clean(&needles, "a line of the log", line.to_string().as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_stay_where_they_belong_in_telemetry_with_postgres() {
    secrets_stay_where_they_belong_in_telemetry(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_stay_where_they_belong_in_telemetry_with_mariadb() {
    secrets_stay_where_they_belong_in_telemetry(IntegrationKind::Mysql).await;
}
