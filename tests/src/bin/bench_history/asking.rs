//! Questions about random points of a history, asked of a server one after the other.

use std::time::{Duration, Instant};

const STATES: usize = 200;
const DIFFERENCES: usize = 50;
/// Events between the two points of a difference.
const APART: u64 = 1000;

/// Measures until the last byte of an answer, and does not parse it.
pub struct Asker {
    client: reqwest::Client,
    url: String,
    key: String,
}

impl Asker {
    pub fn new(url: &str, key: &str) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client without TLS");
        Self { client, url: url.to_owned(), key: key.to_owned() }
    }

    async fn get(&self, path: &str) -> (Duration, Vec<u8>) {
        let began = Instant::now();
        let asked = self.client.get(format!("{}/api/v1{path}", self.url)).bearer_auth(&self.key);
        let answer = asked.send().await.and_then(reqwest::Response::error_for_status);
        let bytes = answer.expect("it is answered").bytes().await.expect("it arrives whole");
        (began.elapsed(), bytes.to_vec())
    }

    pub async fn measure(&self) {
        let (took, verified) = self.get("/audit/verify").await;
        let verified: serde_json::Value = serde_json::from_slice(&verified).expect("JSON");
        let head = verified["data"]["headSeq"].as_u64().expect("a position");
        println!("  GET /audit/verify, the server's first answer: {:.0} ms", millis(took));
        let mut points = points(head);
        let states: Vec<String> = (0..STATES).map(|_| format!("/audit/state?at={}", points())).collect();
        self.percentiles("GET /audit/state", states).await;
        let differences = (0..DIFFERENCES).map(|_| {
            let to = points().max(APART);
            format!("/audit/diff?from={}&to={to}", to - APART)
        });
        let differences = differences.collect();
        self.percentiles("GET /audit/diff over 1,000 events", differences).await;
    }

    async fn percentiles(&self, what: &str, paths: Vec<String>) {
        let (mut took, mut bytes) = (Vec::new(), 0);
        for path in &paths {
            let (time, answer) = self.get(path).await;
            took.push(millis(time));
            bytes += answer.len();
        }
        let first = took[0];
        took.sort_by(f64::total_cmp);
        let at = |percent: usize| took[((took.len() - 1) * percent) / 100];
        println!(
            "  {what}, {} random points: p50 {:.0} ms, p99 {:.0} ms, longest {:.0} ms, first {first:.0} ms; an answer has \
             {:.1} MB",
            took.len(),
            at(50),
            at(99),
            at(100),
            bytes as f64 / took.len() as f64 / 1e6,
        );
    }
}

/// The same every time.
fn points(head: u64) -> impl FnMut() -> u64 {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        1 + random % head
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
