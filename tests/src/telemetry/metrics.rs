//! Metrics, as Prometheus reads them and as a collector is sent them.

use super::collector::{Collector, histogram};
use super::exposition::Exposition;
use super::{SOON, Told};
use crate::cutter::{Break, Cutter, How, Point};
use crate::engines::{engine, postgres};
use events::IntegrationKind;
use infra::databases::Credentials;
use infra::telemetry::system_name;
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const ROUTE: &str = "/api/v1/agents/{agentId}/skills/{skill}/call";

async fn calls_are_counted_by_what_came_of_them(kind: IntegrationKind) {
    let told = Told::start(&[]);
    let calls = told.desk(kind).await;
    let note = json!({ "code": "a", "body": "b" });
    let written = calls.call("add_note", note.clone(), &[("idempotency-key", "once")]).await;
    assert_eq!(written.data()["outcome"], "ok");
    let again = calls.call("add_note", note.clone(), &[("idempotency-key", "once")]).await;
    assert_eq!(again.text, written.text, "it is a repetition");
    for code in ["a", "a", "nobody"] {
        calls.call("find_note", json!({ "code": code }), &[]).await.data();
    }
    let twice = calls.call("add_note", note, &[("idempotency-key", "another")]).await;
    assert_eq!(twice.data()["code"], "constraint_violated");

    let told = told.exposition().await;
    let system = system_name(kind);
    let by_outcome = |outcome: &str| {
        let labels = [("bindery_endpoint", "skills-call"), ("bindery_outcome", outcome)];
        let calls = told.sum("bindery_call_duration_seconds_count", &labels);
        (calls, told.sum("bindery_call_database_duration_seconds_count", &labels))
    };
    assert_eq!(by_outcome("ok"), (3.0, 3.0));
    assert_eq!(by_outcome("not_found"), (1.0, 1.0));
    assert_eq!(by_outcome("repeated"), (1.0, 0.0), "no database was asked");
    let route = [("http_route", ROUTE), ("http_response_status_code", "200")];
    assert_eq!(told.sum("http_server_request_duration_seconds_count", &route), 6.0);
    assert_eq!(told.sum("http_server_active_requests", &[]), 0.0);
    let statements = |labels: &[(&str, &str)]| {
        let labels = [&[("db_system_name", system)], labels].concat();
        told.sum("db_client_operation_duration_seconds_count", &labels)
    };
    assert_eq!(statements(&[("db_operation_name", "SELECT")]), 3.0);
    assert_eq!(statements(&[("db_operation_name", "INSERT")]), 2.0);
    assert_eq!(statements(&[("error_type", "constraint_violated")]), 1.0);
    let of_pools = |name: &str| told.sum(name, &[("db_system_name", system)]);
    assert_eq!(of_pools("db_client_connection_wait_time_seconds_count"), 5.0);
    assert_eq!(of_pools("db_client_connection_create_time_seconds_count"), 2.0, "one to read, one to write");
    assert_eq!(of_pools("db_client_connection_timeouts_total"), 0.0);
    let idle = [("db_system_name", system), ("db_client_connection_state", "idle")];
    assert_eq!(told.sum("db_client_connection_count", &idle), 2.0);
    assert!(told.sum("bindery_log_events_total", &[]) >= 6.0);
    assert!(told.sum("bindery_log_append_duration_seconds_count", &[("bindery_ending", "committed")]) >= 5.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_by_what_came_of_them_on_postgres() {
    calls_are_counted_by_what_came_of_them(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_by_what_came_of_them_on_mariadb() {
    calls_are_counted_by_what_came_of_them(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::disallowed_methods, reason = "to the test's own engine, on loopback")]
async fn a_database_that_is_away_opens_its_breaker_which_is_counted() {
    let told = Told::start(&[]);
    let port = postgres().port;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let own = listener.local_addr().expect("it is bound").port();
    let way = tokio::spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((mut from, _)) = listener.accept().await {
            open.spawn(async move {
                let mut to = TcpStream::connect(("127.0.0.1", port)).await.expect("the engine runs");
                copy_bidirectional(&mut from, &mut to).await
            });
        }
    });
    let calls = told.desk_through(IntegrationKind::Postgres, |it| Credentials { port: own, ..it }).await;
    let system = [("db_system_name", "postgresql")];
    let breakers = |told: &Exposition| {
        let openings = told.sum("bindery_breaker_openings_total", &system);
        (openings, told.sum("bindery_breaker_open", &system))
    };
    assert_eq!(breakers(&told.exposition().await), (0.0, 0.0), "told before it happens");
    way.abort();
    assert!(way.await.expect_err("it was ended").is_cancelled());
    for _ in 0..7 {
        let answer = calls.call("find_note", json!({ "code": "a" }), &[]).await;
        assert_eq!(answer.data()["outcome"], "unavailable", "{}", answer.text);
    }
    let told = told.exposition().await;
    assert_eq!(breakers(&told), (1.0, 1.0));
    let refused = [("db_system_name", "postgresql"), ("error_type", "connect_refused")];
    let dialled = told.sum("db_client_connection_create_time_seconds_count", &refused);
    assert_eq!(dialled, 5.0, "and then nobody dials it");
    let outcome = [("bindery_outcome", "unavailable")];
    assert_eq!(told.sum("bindery_call_duration_seconds_count", &outcome), 7.0);
}

async fn a_read_that_is_lost_with_its_connection_is_asked_again_and_counted(kind: IntegrationKind) {
    let told = Told::start(&[]);
    let cutter = Cutter::before(engine(kind).port).await;
    let calls = told.desk_through(kind, |credentials| cutter.to(credentials)).await;
    let finds_nobody = async || {
        let answer = calls.call("find_note", json!({ "code": "a" }), &[]).await;
        assert_eq!(answer.data()["outcome"], "not_found", "{}", answer.text);
    };
    let counted = |told: &Exposition, name: &str, why: (&str, &str)| {
        told.sum(name, &[("db_system_name", system_name(kind)), why])
    };
    let repeats =
        |told: &Exposition| counted(told, "bindery_call_read_repeats_total", ("bindery_reason", "lost"));
    finds_nobody().await;
    assert_eq!(repeats(&told.exposition().await), 0.0);
    // Where the machine stands still for a moment the read is asked elsewhere before it is lost, which is counted as late.
    for _ in 0..20 {
        finds_nobody().await;
        cutter.arm(Break { flight: 1, point: Point::Sent, how: How::Closed, part: 0 });
        finds_nobody().await;
        assert!(cutter.mend(), "the way broke");
        let told = told.exposition().await;
        let faults = ("error_type", "connection_lost");
        if repeats(&told) > 0.0 && counted(&told, "db_client_operation_duration_seconds_count", faults) > 0.0
        {
            return;
        }
    }
    panic!("no read was asked again, or none was counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_is_lost_with_its_connection_is_asked_again_and_counted_on_postgres() {
    a_read_that_is_lost_with_its_connection_is_asked_again_and_counted(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_is_lost_with_its_connection_is_asked_again_and_counted_on_mariadb() {
    a_read_that_is_lost_with_its_connection_is_asked_again_and_counted(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_open_and_webhooks_that_fail_are_counted() {
    let told = Told::start(&[]);
    let stream = told.http.request("GET", "/events/stream").bearer_auth(&told.http.key).send().await;
    let stream = stream.expect("it opens");
    assert_eq!(told.exposition().await.sum("bindery_stream_open", &[]), 1.0);
    drop(stream);
    told.exposition_when(|told| told.sum("bindery_stream_open", &[]) == 0.0).await;

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("it is bound"));
    let gone = axum::Router::new().fallback(async || http::StatusCode::GONE);
    tokio::spawn(async move { axum::serve(listener, gone).await });
    told.http.post("/subscriptions", json!({ "url": url })).await.data();
    told.http.post("/agents", json!({ "name": "Front desk" })).await.data();
    let told = told.exposition_when(|told| told.sum("bindery_webhook_parkings_total", &[]) > 0.0).await;
    let failed = [("bindery_ending", "failed")];
    assert_eq!(
        told.sum("bindery_webhook_attempt_duration_seconds_count", &failed),
        1.0,
        "410 ends it at once"
    );
    assert_eq!(told.sum("bindery_webhook_parkings_total", &[]), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_no_calls_are_counted_by_route_and_status_whatever_they_ask_for() {
    let told = Told::start(&[("BINDERY_RATE_PER_KEY", "1")]);
    told.http.beside("/healthz").await;
    told.http.beside("/nothing-that-is-served/with-a-name-42").await;
    let key = told.http.with_key("flowyte_sk_live_wrong");
    assert_eq!(key.get("/agents").await.status, 401);
    let mut refused = 0;
    while refused == 0 {
        refused += usize::from(told.http.get("/agents").await.status == 429);
    }
    let text = told.exposed().await;
    assert!(!text.contains("a-name-42"), "what a client makes up is no label");
    let told = Exposition::parse(&text);
    let requests = |labels: &[(&str, &str)]| told.sum("http_server_request_duration_seconds_count", labels);
    assert_eq!(requests(&[("http_route", "/healthz"), ("http_response_status_code", "200")]), 1.0);
    assert_eq!(requests(&[("http_response_status_code", "404")]), 1.0);
    assert_eq!(requests(&[("http_route", "/api/v1/agents"), ("http_response_status_code", "401")]), 1.0);
    assert_eq!(requests(&[("http_response_status_code", "429")]), 1.0);
    assert_eq!(told.sum("bindery_rate_limit_refusals_total", &[("bindery_limit", "key")]), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_served_on_a_listener_of_their_own_and_nothing_else_is_there() {
    let told = Told::start(&[]);
    assert_eq!(told.http.beside("/metrics").await.status, 404, "not where clients are");
    let metrics = told.server.metrics.clone().expect("it serves metrics");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    for path in ["/healthz", "/api/v1/agents", "/"] {
        let address = metrics.replace("/metrics", path);
        assert_eq!(client.get(&address).send().await.expect("it answers").status(), 404, "{address}");
    }
    assert!(told.exposition().await.families.contains_key("target_info"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_is_sent_the_same_metrics_with_what_the_environment_says_of_the_server() {
    let collector = Collector::start().await;
    let named = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-collector-key=a%20key"),
        ("OTEL_SERVICE_NAME", "front-desk"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
    ];
    let told = Told::start(&[&named[..], &SOON].concat());
    let calls = told.desk(IntegrationKind::Postgres).await;
    calls.call("find_note", json!({ "code": "nobody" }), &[]).await.data();
    let metrics = collector.metrics(|metrics| metrics.contains_key("bindery.call.duration")).await;
    let call = &metrics["bindery.call.duration"];
    assert_eq!(call.unit, "s");
    let points = histogram(call);
    assert_eq!((points.len(), points[0].1), (1, 1));
    assert_eq!(points[0].0["bindery.outcome"], "not_found");
    for (name, unit) in [
        ("http.server.request.duration", "s"),
        ("http.server.active_requests", "{request}"),
        ("db.client.operation.duration", "s"),
        ("db.client.connection.count", "{connection}"),
        ("db.client.connection.pending_requests", "{request}"),
    ] {
        assert_eq!(metrics.get(name).map(|metric| metric.unit.as_str()), Some(unit), "{name}");
    }
    for resource in collector.resources() {
        assert_eq!(resource["service.name"], "front-desk");
        assert_eq!(resource["deployment.environment.name"], "test");
    }
    let headers = collector.headers();
    assert!(headers.iter().all(|headers| headers["x-collector-key"] == "a key"));
    assert!(headers.iter().all(|headers| headers["content-type"] == "application/x-protobuf"));
}
