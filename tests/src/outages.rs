//! Services of AWS that are down, silent or slow: what goes on, what is refused, and that nobody waits for long.

use crate::aws::Cloud;
use crate::aws::faults::Weather;
use crate::aws::meter::Meter;
use crate::aws::plumbing::Plumbing;
use crate::engines::postgres;
use crate::http::{Answer, Http};
use domain::limits::{AWS_OPERATION_TIMEOUT, HEAD_FRESH};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const CALL: &str = "skills-call";
/// What a refusal may take on two busy cores, beyond what is waited for.
const MARGIN: Duration = Duration::from_millis(1500);
/// A cold function's refusal, from the request to the answer.
const COLD_REFUSAL: Duration = Duration::from_secs(2);

/// A published read and a published write on a clinic behind a meter.
struct Desk {
    cloud: Cloud,
    _plumbing: Plumbing,
    http: Http,
    meter: Meter,
    agent: String,
    database: String,
}

impl Desk {
    async fn open() -> Self {
        Self::open_on(Cloud::deploy().await).await
    }

    async fn open_on(cloud: Cloud) -> Self {
        let plumbing = cloud.wire().await;
        let http = cloud.http_as("clinic").await.following();
        let meter = Meter::before(postgres().port).await;
        let database = postgres().clinic();
        let owner = postgres().owner(&database);
        let credentials = json!({ "credentials": {
            "host": owner.host, "port": meter.port, "database": owner.database, "user": owner.user,
            "password": owner.password.expose(), "sslmode": "verify-full", "ca_pem": owner.ca_pem,
        }});
        http.post("/integrations/postgres/connect", credentials).await.data();
        http.post("/integrations/postgres/discover", json!({})).await.data();
        let agent = http.post("/agents", json!({ "name": "Front desk" })).await;
        let agent = agent.data()["id"].as_str().expect("an id").to_owned();
        let read = json!({
            "toolName": "find_patient", "operation": "patients.read",
            "inputs": [{ "param": "phone", "arg": "phone" }],
            "projection": [{ "path": ["patients", "id"], "leaf": "id" }],
        });
        let write = json!({
            "toolName": "note_reason", "operation": "appointments.update",
            "keyColumn": "reference", "keyParam": "reference",
            "inputs": [{ "param": "reason", "arg": "reason" }],
        });
        let review =
            json!({ "isEnabled": true, "requiresConfirmation": false, "requiresVerifiedIdentity": false });
        for binding in [read, write] {
            let path = format!("/agents/{agent}/integrations/postgres/bindings");
            let skill = http.post(&path, binding).await.data()["id"].as_str().expect("an id").to_owned();
            http.patch(&format!("/agents/{agent}/skills/{skill}"), review.clone()).await.data();
        }
        http.post(&format!("/agents/{agent}/publish"), json!({})).await.data();
        Self { cloud, _plumbing: plumbing, http, meter, agent, database }
    }

    async fn call(&self, tool: &str, arguments: Value) -> (Answer, Duration) {
        let path = format!("/agents/{}/skills/{tool}/call", self.agent);
        let started = Instant::now();
        (self.http.post(&path, json!({ "arguments": arguments })).await, started.elapsed())
    }

    async fn read(&self) -> (Answer, Duration) {
        self.call("find_patient", json!({ "phone": "+12025550142" })).await
    }

    /// Nothing is kept of it.
    async fn write(&self, reason: &str) -> (Answer, Duration) {
        self.call("note_reason", json!({ "reference": "APT-000123", "reason": reason })).await
    }

    /// Its answer is kept for repetitions.
    async fn write_in_a_call(&self, reason: &str) -> (Answer, Duration) {
        let path = format!("/agents/{}/skills/note_reason/call", self.agent);
        let arguments = json!({ "reference": "APT-000123", "reason": reason });
        let body = json!({ "arguments": arguments, "context": { "callId": "call", "toolCallId": reason } });
        let started = Instant::now();
        (self.http.post(&path, body).await, started.elapsed())
    }

    async fn assert_reads(&self, when: &str) {
        let (answer, _) = self.read().await;
        assert_eq!(answer.data()["outcome"], "ok", "{when}: {}", answer.text);
    }

    async fn assert_writes(&self, reason: &str) {
        let (answer, _) = self.write(reason).await;
        assert_eq!(answer.data()["outcome"], "ok", "{}", answer.text);
        assert_eq!(self.reason(), reason);
    }

    /// From the database's side.
    fn end_connections(&self) {
        let end = format!(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
             WHERE datname = '{}' AND pid <> pg_backend_pid()",
            self.database
        );
        let ended = postgres().admin_sql(&self.database, &end);
        assert_ne!(ended.trim(), "0", "there was a connection");
    }

    fn reason(&self) -> String {
        let reason = "SELECT reason FROM appointments WHERE reference = 'APT-000123'";
        postgres().admin_sql(&self.database, reason).trim().to_owned()
    }
}

/// That it says when to come again, and came within this time.
fn assert_unavailable(what: &str, (answer, took): &(Answer, Duration), within: Duration) {
    assert_eq!(answer.refusal(503), "service_unavailable", "{what}: {}", answer.text);
    let seconds = answer.header("retry-after").and_then(|text| text.parse::<u64>().ok());
    assert!(seconds.is_some_and(|seconds| (1..=60).contains(&seconds)), "{what}: {:?}", answer.headers);
    assert!(*took <= within, "{what} took {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_key_service_warm_calls_go_on_and_cold_ones_are_refused_in_time() {
    let desk = Desk::open().await;
    desk.assert_reads("before").await;
    desk.assert_writes("warm").await;
    for weather in [Weather::Down, Weather::Silent] {
        desk.cloud.kms.becomes(weather);
        for _ in 0..3 {
            let before = desk.meter.sent().connections;
            desk.end_connections();
            desk.assert_reads("a connection is opened with the data key in memory").await;
            assert!(desk.meter.sent().connections > before, "{weather:?}: the connection was opened again");
        }
        desk.cloud.fleet.forget(CALL).await;
        assert_unavailable(&format!("a cold call, {weather:?}"), &desk.read().await, COLD_REFUSAL);
        desk.cloud.kms.becomes(Weather::Fair);
        desk.assert_reads("the key service is back").await;
        desk.assert_writes(&format!("after {weather:?}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_secrets_a_cold_function_starts_refuses_in_time_and_serves_when_they_are_back() {
    let cloud = Cloud::deploy().await;
    let http = cloud.http_as("clinic").await;
    let (list, mint) = ("agents-list", "keys-mint-first");
    let minting = json!({ "organization": "clinic", "name": "another", "scopes": ["all"] });
    for (starts, weather) in [(1, Weather::Down), (2, Weather::Silent)] {
        cloud.secrets.becomes(weather);
        cloud.fleet.forget(list).await;
        cloud.fleet.forget(mint).await;
        for what in ["cold", "again"] {
            let started = Instant::now();
            let answer = http.get("/agents").await;
            let refused = (answer, started.elapsed());
            assert_unavailable(&format!("{what}, {weather:?}"), &refused, COLD_REFUSAL);
        }
        let failed = cloud.fleet.ask(mint, &minting).await;
        failed.expect_err("an event that was not reacted to is to come again");
        cloud.secrets.becomes(Weather::Fair);
        // As Retry-After says.
        tokio::time::sleep(Duration::from_secs(1)).await;
        http.get("/agents").await.data();
        assert_eq!(cloud.fleet.started(list), starts, "the process that refused is the one that serves");
        cloud.fleet.ask(mint, &minting).await.expect("the same process mints");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_log_writes_are_refused_before_the_database_hears_of_them_and_reads_go_on_for_a_while() {
    let desk = Desk::open().await;
    desk.assert_reads("before").await;
    desk.assert_writes("before").await;
    for weather in [Weather::Down, Weather::Silent] {
        desk.assert_reads("the head was confirmed just now").await;
        desk.cloud.dynamodb.becomes(weather);
        let sent = desk.meter.sent();
        for n in 0..2 {
            let reason = format!("{weather:?} {n}");
            for refused in [desk.write(&reason).await, desk.write_in_a_call(&reason).await] {
                let what = format!("a write, {weather:?}");
                assert_unavailable(&what, &refused, AWS_OPERATION_TIMEOUT * 2 + MARGIN);
            }
        }
        assert_eq!(desk.meter.sent(), sent, "{weather:?}: nothing went to the customer's database");
        desk.assert_reads("the head is still trusted").await;
        assert_ne!(desk.meter.sent(), sent, "and the meter counts");
        let listed = Instant::now();
        let refused = desk.http.get("/agents").await;
        assert_unavailable("a list", &(refused, listed.elapsed()), AWS_OPERATION_TIMEOUT + MARGIN);
        let created = Instant::now();
        let refused = desk.http.post("/agents", json!({ "name": "x" })).await;
        assert_unavailable("a change", &(refused, created.elapsed()), AWS_OPERATION_TIMEOUT * 2 + MARGIN);
        desk.cloud.dynamodb.becomes(Weather::Fair);
        desk.assert_writes(&format!("after {weather:?}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_slow_log_everything_is_answered_within_the_operation_timeout() {
    let desk = Desk::open().await;
    desk.assert_reads("before").await;
    desk.cloud.dynamodb.becomes(Weather::Slow(Duration::from_secs(5)));
    let within = AWS_OPERATION_TIMEOUT * 2 + MARGIN;
    let started = Instant::now();
    let listed = desk.http.get("/agents").await;
    assert_unavailable("a question of an administrator", &(listed, started.elapsed()), within);
    let (read, took) = desk.read().await;
    assert_eq!(read.data()["outcome"], "ok", "{}", read.text);
    assert!(took <= within, "{took:?}");
    assert_unavailable("a write", &desk.write("late").await, within);
    desk.cloud.fleet.forget(CALL).await;
    assert_unavailable("a cold call", &desk.read().await, within);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_was_not_confirmed_for_too_long_is_trusted_no_more() {
    let trusted = Duration::from_secs(6);
    let variables = [("BINDERY_HEAD_TRUSTED_MS", "6000")];
    let desk = Desk::open_on(Cloud::deploy_with(&variables).await).await;
    desk.assert_reads("before").await;
    desk.cloud.dynamodb.becomes(Weather::Down);
    let started = Instant::now();
    let refused = loop {
        let asked = Instant::now();
        let (answer, took) = desk.read().await;
        if answer.status != 200 {
            break (answer, took);
        }
        assert!(asked - started <= trusted, "a read was answered {:?} later", asked - started);
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(started.elapsed() > HEAD_FRESH, "{:?}", started.elapsed());
    assert_unavailable("a read", &refused, AWS_OPERATION_TIMEOUT + MARGIN);
    desk.cloud.dynamodb.becomes(Weather::Fair);
    desk.assert_reads("the log is back").await;
}
