//! Measures functions under AWS's own runtime interface emulator: from a process that does not exist to its first
//! answer, and warm from there on. Prints a table.
//!
//!   bench_cold LAMBDA [LABEL:FUNCTION=PROGRAM …]
//!
//! LAMBDA is the program of all functions; it makes what is asked for, a published read on a clinic in PostgreSQL.

mod emulator;

use bytes::Bytes;
use emulator::Emulated;
use events::IntegrationKind;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use http::Request;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tests::aws::Cloud;
use tests::aws::events::event;
use tests::engines::engine;
use tests::story::{Story, Teller, Told};
use tokio::net::TcpListener;

const COLD_STARTS: usize = 15;
const WARM_CALLS: usize = 300;

/// One artefact and the function that it is to serve.
struct Candidate {
    label: String,
    function: String,
    program: PathBuf,
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let lambda = PathBuf::from(arguments.next().expect("the program of all functions"));
    let candidates: Vec<Candidate> = arguments.map(|text| candidate(&text)).collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let cloud = Cloud::deploy_on(&lambda, listener, &[], false).await;
    let plumbing = cloud.wire().await;
    let http = cloud.http_as("clinic").await.following();
    let engine = tokio::task::spawn_blocking(|| engine(IntegrationKind::Postgres)).await.expect("it starts");
    let (database, teller) = (engine.clinic(), Teller { aloud: false });
    let told = Story { http: &http, engine, database: &database, teller }.set_up().await;
    cloud.sweep().await;
    println!(
        "| artefact | function | program MB | zip MB | init ms | first answer ms, from no process | warm p50 / p99 ms | without the emulator p50 / p99 ms | resident MB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for candidate in candidates {
        println!("{}", measured(&cloud, &candidate, &question(&candidate.function, &http.key, &told)).await);
    }
    drop(plumbing);
}

fn candidate(text: &str) -> Candidate {
    let (name, program) = text.split_once('=').expect("LABEL:FUNCTION=PROGRAM");
    let (label, function) = name.split_once(':').expect("LABEL:FUNCTION=PROGRAM");
    Candidate { label: label.to_owned(), function: function.to_owned(), program: PathBuf::from(program) }
}

/// The event that the function is asked with.
fn question(function: &str, key: &str, told: &Told) -> Value {
    let (method, path, body) = match function {
        "agents-list" => ("GET", "/api/v1/agents".to_owned(), String::new()),
        "skills-call" => (
            "POST",
            format!("/api/v1/agents/{}/skills/{}/call", told.agent, told.skill),
            json!({ "arguments": told.arguments }).to_string(),
        ),
        other => panic!("there is no question for {other}"),
    };
    let request = Request::builder()
        .method(method)
        .uri(&path)
        .header("Authorization", format!("Bearer {key}"))
        .header("Content-Type", "application/json")
        .header("Host", "loopback");
    let (parts, ()) = request.body(()).expect("a well-formed request").into_parts();
    event(&parts, body.as_bytes(), &format!("{method} {path}"), &BTreeMap::new(), "measured")
}

async fn measured(cloud: &Cloud, candidate: &Candidate, question: &Value) -> String {
    let deployed = cloud.fleet.function(&candidate.function);
    let (mut inits, mut firsts) = (Vec::new(), Vec::new());
    let mut last = None;
    for _ in 0..COLD_STARTS {
        let emulated = Emulated::start(&candidate.program, deployed).await;
        let started = Instant::now();
        assert_success(&emulated.ask(question).await);
        firsts.push(started.elapsed());
        inits.push(emulated.init().await);
        last = Some(emulated);
    }
    let emulated = last.expect("it was started");
    let mut warm = Vec::new();
    for _ in 0..WARM_CALLS {
        let started = Instant::now();
        assert_success(&emulated.ask(question).await);
        warm.push(started.elapsed());
    }
    let resident = emulated.resident_kb() as f64 / 1024.0;
    drop(emulated);
    let bare = bare(cloud, candidate, question).await;
    let program = std::fs::read(&candidate.program).expect("the program");
    format!(
        "| {} | {} | {:.1} | {:.1} | {:.0} | {:.0} | {} | {} | {resident:.0} |",
        candidate.label,
        candidate.function,
        megabytes(program.len()),
        megabytes(zipped(&program)),
        milliseconds(percentile(&mut inits, 50)),
        milliseconds(percentile(&mut firsts, 50)),
        pair(&mut warm),
        bare,
    )
}

/// The same warm calls by way of our own stand-in, which adds less.
async fn bare(cloud: &Cloud, candidate: &Candidate, question: &Value) -> String {
    let fleet = cloud.fleet.with_program(&candidate.program);
    let mut warm = Vec::new();
    for _ in 0..=WARM_CALLS {
        let started = Instant::now();
        let answer = fleet.ask(&candidate.function, question).await.expect("an answer");
        assert_success(&Bytes::from(answer.to_string()));
        warm.push(started.elapsed());
    }
    // The first one was cold.
    pair(&mut warm[1..])
}

fn assert_success(answer: &Bytes) {
    let answer: Value = serde_json::from_slice(answer).expect("functions answer with JSON");
    assert_eq!(answer["statusCode"], 200, "{answer}");
}

fn zipped(program: &[u8]) -> usize {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(program).expect("memory");
    encoder.finish().expect("memory").len()
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

fn pair(times: &mut [Duration]) -> String {
    let (median, tail) = (percentile(times, 50), percentile(times, 99));
    format!("{:.1} / {:.1}", milliseconds(median), milliseconds(tail))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1_000_000.0
}

/// Where the emulator is below the folder of tools: the version of Python is in its path.
fn runtime_emulator() -> PathBuf {
    let versions = infra::emulators::tool("py/lib");
    let rapid = Path::new("site-packages/samcli/local/rapid/aws-lambda-rie-x86_64");
    let entries = std::fs::read_dir(&versions).expect("the folder of Python's packages");
    let found = entries.filter_map(|entry| Some(entry.ok()?.path().join(rapid))).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("no runtime interface emulator below {}", versions.display()))
}
