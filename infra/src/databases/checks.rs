//! The checks of sql/test, in the order in which a connection can fail.

use super::driver::{Connection, Credentials, Drivers, OpenError, Phase, ServerInfo, Session};
use super::error::DatabaseError;
use events::IntegrationKind;
use serde::Serialize;
use std::time::{Duration, Instant};

/// Single-row reads that are timed on one warm session.
const PINGS: usize = 10;
/// Upper bounds of p95: what a caller on the phone does not notice, hardly notices, and still bears.
const EXCELLENT: Duration = Duration::from_millis(50);
const GOOD: Duration = Duration::from_millis(150);
const SLOW: Duration = Duration::from_millis(400);

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// No check failed.
    pub ok: bool,
    pub checks: Vec<Check>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Server>,
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    pub name: CheckName,
    pub label: String,
    pub status: Status,
    /// What was found; a failure starts with its stable code.
    pub detail: String,
    pub duration_ms: u64,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckName {
    ReachabilityTls,
    Authentication,
    SchemaRead,
    ReadProbe,
    ReadOnly,
    Latency,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Passed,
    Failed,
    Warning,
    /// An earlier check failed.
    Skipped,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Excellent,
    Good,
    Slow,
    Unusable,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Server {
    pub engine: String,
    pub version: String,
}

impl From<ServerInfo> for Server {
    fn from(server: ServerInfo) -> Self {
        Self { engine: server.engine, version: server.version }
    }
}

impl CheckName {
    /// In the order in which they run.
    pub const ALL: [CheckName; 6] = [
        CheckName::ReachabilityTls,
        CheckName::Authentication,
        CheckName::SchemaRead,
        CheckName::ReadProbe,
        CheckName::ReadOnly,
        CheckName::Latency,
    ];

    pub fn label(self) -> &'static str {
        match self {
            CheckName::ReachabilityTls => "The server is reachable over TLS",
            CheckName::Authentication => "User and password are accepted",
            CheckName::SchemaRead => "The schema can be read",
            CheckName::ReadProbe => "A row can be read",
            CheckName::ReadOnly => "The engine refuses to write",
            CheckName::Latency => "Answers are fast enough for a phone call",
        }
    }
}

/// What a check that did not fail has to say.
struct Finding {
    status: Status,
    detail: String,
    hint: Option<String>,
}

impl Finding {
    fn passed(detail: impl Into<String>) -> Self {
        Self { status: Status::Passed, detail: detail.into(), hint: None }
    }

    fn warning(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { status: Status::Warning, detail: detail.into(), hint: Some(hint.into()) }
    }

    fn failed(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { status: Status::Failed, detail: detail.into(), hint: Some(hint.into()) }
    }

    fn error(error: &DatabaseError) -> Self {
        let code = error.fault.as_str();
        let detail = match &error.sqlstate {
            Some(state) => format!("{code} (SQLSTATE {})", String::from_utf8_lossy(state)),
            None => code.to_owned(),
        };
        Self::failed(detail, error.advice.clone())
    }
}

/// Runs all checks on one connection, in the session that a live read would use. Stores nothing.
pub async fn run_checks(drivers: &Drivers, kind: IntegrationKind, credentials: &Credentials) -> Report {
    let mut checks = Checks::default();
    let started = Instant::now();
    let opened = drivers.open(kind, credentials, Session::ReadOnly).await;
    let opening = started.elapsed();
    let mut connection = match opened {
        Ok(connection) => {
            // One clock ran over both; the dial is by far the longer part of it.
            checks.add(Finding::passed("Connected, with TLS."), opening);
            checks.add(logged_in(&connection.server()), opening);
            connection
        }
        Err(OpenError { phase, error }) => {
            match phase {
                Phase::ReachabilityTls => {}
                Phase::Authentication => checks.add(Finding::passed("Connected, with TLS."), opening),
            }
            checks.add(Finding::error(&error), opening);
            return checks.report(None, None);
        }
    };
    let latency = on_connection(connection.as_mut(), &mut checks).await;
    let server = connection.server().into();
    connection.close().await;
    checks.report(latency, Some(server))
}

fn logged_in(server: &ServerInfo) -> Finding {
    if !server.pooled {
        return Finding::passed("Logged in.");
    }
    Finding::warning(
        "Logged in to a pooler that shares its sessions, such as PgBouncer.",
        "It works. Because nothing can be kept in a session, each read is a read-only transaction that brings its \
         settings along, statements are planned on every call, and a write takes one round trip more. Give the \
         server's own address for the shortest answers.",
    )
}

/// The checks after login, until one fails.
async fn on_connection(connection: &mut dyn Connection, checks: &mut Checks) -> Option<Latency> {
    let started = Instant::now();
    if !checks.add_result(schema_read(connection).await, started) {
        return None;
    }
    let started = Instant::now();
    if !checks.add_result(read_probe(connection).await, started) {
        return None;
    }
    let started = Instant::now();
    if !checks.add_result(read_only(connection).await, started) {
        return None;
    }
    let started = Instant::now();
    match latency(connection).await {
        Ok((finding, latency)) => {
            checks.add(finding, started.elapsed());
            Some(latency)
        }
        Err(error) => {
            checks.add(Finding::error(&error), started.elapsed());
            None
        }
    }
}

async fn schema_read(connection: &mut dyn Connection) -> Result<Finding, DatabaseError> {
    Ok(match connection.count_objects().await? {
        0 => Finding::failed(
            "permission_denied: the user sees no table and no view.",
            "Grant it SELECT on the tables that skills shall read, as sql/scripts shows.",
        ),
        1 => Finding::passed("1 table or view is visible."),
        count => Finding::passed(format!("{count} tables and views are visible.")),
    })
}

async fn read_probe(connection: &mut dyn Connection) -> Result<Finding, DatabaseError> {
    Ok(match connection.probe_read().await? {
        Some(table) => Finding::passed(format!("Read from {table}.")),
        None => Finding::failed(
            "permission_denied: no table can be read.",
            "Grant the user SELECT on the tables that skills shall read, as sql/scripts shows.",
        ),
    })
}

async fn read_only(connection: &mut dyn Connection) -> Result<Finding, DatabaseError> {
    let proof = connection.prove_read_only().await?;
    Ok(match proof.refused_with {
        None => Finding::failed(
            "The engine accepted a write in a session that must be read-only.",
            "Connect to the database itself instead of a proxy that drops session settings.",
        ),
        Some(state) => {
            let refused =
                format!("An attempted write was refused (SQLSTATE {}).", String::from_utf8_lossy(&state));
            if proof.role_can_write {
                let hint = "The user itself may write; only the session keeps it from that. Use a user with read \
                            rights alone unless you bind writes; sql/scripts makes one.";
                Finding::warning(refused, hint)
            } else {
                Finding::passed(refused)
            }
        }
    })
}

async fn latency(connection: &mut dyn Connection) -> Result<(Finding, Latency), DatabaseError> {
    // The first one warms the session up.
    connection.ping().await?;
    let mut times = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        times.push(connection.ping().await?);
    }
    let latency = summarize(&mut times);
    let detail = format!("p50 {} ms, p95 {} ms.", latency.p50_ms, latency.p95_ms);
    let finding = match latency.verdict {
        Verdict::Excellent | Verdict::Good | Verdict::Slow => Finding::passed(detail),
        Verdict::Unusable => Finding::warning(
            detail,
            "A caller hears silence while the database answers. Run this service in the database's region.",
        ),
    };
    Ok((finding, latency))
}

/// `times` is not empty.
fn summarize(times: &mut [Duration]) -> Latency {
    times.sort();
    // Nearest rank: the smallest value that so many percent do not exceed.
    let percentile = |percent: usize| times[(times.len() * percent).div_ceil(100) - 1];
    let p95 = percentile(95);
    let verdict = match p95 {
        _ if p95 <= EXCELLENT => Verdict::Excellent,
        _ if p95 <= GOOD => Verdict::Good,
        _ if p95 <= SLOW => Verdict::Slow,
        _ => Verdict::Unusable,
    };
    let milliseconds = |time: Duration| (time.as_secs_f64() * 100_000.0).round() / 100.0;
    Latency { p50_ms: milliseconds(percentile(50)), p95_ms: milliseconds(p95), verdict }
}

/// Findings in the order of [`CheckName::ALL`].
#[derive(Default)]
struct Checks(Vec<Check>);

impl Checks {
    fn add(&mut self, finding: Finding, duration: Duration) {
        let name = CheckName::ALL[self.0.len()];
        self.0.push(Check {
            name,
            label: name.label().to_owned(),
            status: finding.status,
            detail: finding.detail,
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            hint: finding.hint,
        });
    }

    /// Whether the next check may run.
    fn add_result(&mut self, result: Result<Finding, DatabaseError>, started: Instant) -> bool {
        let finding = result.unwrap_or_else(|error| Finding::error(&error));
        let goes_on = finding.status != Status::Failed;
        self.add(finding, started.elapsed());
        goes_on
    }

    fn report(mut self, latency: Option<Latency>, server: Option<Server>) -> Report {
        let ok = self.0.iter().all(|check| check.status != Status::Failed);
        while self.0.len() < CheckName::ALL.len() {
            let skipped = Finding {
                status: Status::Skipped,
                detail: "Not run, because an earlier check failed.".to_owned(),
                hint: None,
            };
            self.add(skipped, Duration::ZERO);
        }
        Report { ok, checks: self.0, latency, server }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::databases::error::Fault;

    #[test]
    fn after_a_failure_the_rest_is_skipped_and_the_code_is_in_the_detail() {
        let mut checks = Checks::default();
        checks.add(Finding::error(&DatabaseError::new(Fault::HostNotAllowed, "advice")), Duration::ZERO);
        let report = checks.report(None, None);
        assert!(!report.ok);
        let statuses: Vec<_> = report.checks.iter().map(|check| check.status).collect();
        assert_eq!(statuses[0], Status::Failed);
        assert!(statuses[1..].iter().all(|status| *status == Status::Skipped));
        assert_eq!(report.checks[0].detail, "host_not_allowed");
        let names: Vec<_> = report.checks.iter().map(|check| check.name).collect();
        assert_eq!(names, CheckName::ALL);
    }

    #[test]
    fn the_verdict_is_of_the_slowest_of_ten() {
        let verdict = |slowest: u64| {
            let mut times = vec![Duration::from_millis(1); PINGS - 1];
            times.push(Duration::from_millis(slowest));
            summarize(&mut times).verdict
        };
        assert_eq!(verdict(50), Verdict::Excellent);
        assert_eq!(verdict(51), Verdict::Good);
        assert_eq!(verdict(150), Verdict::Good);
        assert_eq!(verdict(400), Verdict::Slow);
        assert_eq!(verdict(401), Verdict::Unusable);
    }
}
