//! Collectors that are away or do not answer.

use super::Told;
use super::exposition::Exposition;
use std::time::Duration;
use tokio::net::TcpListener;

const REQUESTS: usize = 60;

/// Every request is traced, to a queue that holds few.
fn overflowing<'a>(collector: &'a str, timeout: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector),
        ("OTEL_TRACES_SAMPLER", "always_on"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "8"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", timeout),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_does_not_answer_holds_no_request_up_and_what_is_dropped_is_counted() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}/v1/traces", silent.local_addr().expect("it is bound"));
    let mut told = Told::start(&overflowing(&address, "30000"));
    let asked = async {
        // The first spans are under way to somebody who never answers, before the others are made.
        assert_eq!(told.http.get("/agents").await.status, 200);
        let _held = silent.accept().await.expect("a sending begins");
        for _ in 0..REQUESTS {
            assert_eq!(told.http.get("/agents").await.status, 200);
        }
        told.exposition().await
    };
    // The sending that hangs would be given up only later.
    let exposed = tokio::time::timeout(Duration::from_secs(25), asked).await.expect("nobody waits for it");
    let full = [("error_type", "queue_full")];
    let dropped = exposed.sum("otel_sdk_processor_span_processed_total", &full);
    let made = 2.0 * (REQUESTS as f64 + 1.0);
    assert!((1.0..made).contains(&dropped), "{dropped} of {made}");
    told.server.terminate();
    assert!(told.server.wait().success(), "it ends all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_costs_spans_which_are_counted_and_no_request() {
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}/v1/traces", gone.local_addr().expect("it is bound"));
    drop(gone);
    let told = Told::start(&overflowing(&address, "1000"));
    assert_eq!(told.http.get("/agents").await.status, 200);
    let lost =
        |told: &Exposition| told.sum("otel_sdk_exporter_span_exported_total", &[("error_type", "not_taken")]);
    let told = told.exposition_when(|told| lost(told) > 0.0).await;
    assert_eq!(lost(&told), 2.0, "the request, and its authentication");
}
