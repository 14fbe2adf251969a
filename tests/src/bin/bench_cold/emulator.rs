//! One function under AWS's runtime interface emulator.

use bytes::Bytes;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tests::aws::fleet::Deployed;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// How long the emulator may take to listen, or to report.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Emulated {
    child: Child,
    address: SocketAddr,
    client: reqwest::Client,
    init: watch::Receiver<Option<Duration>>,
}

impl Emulated {
    /// Returns when the emulator listens; the function is not started before its first event.
    pub async fn start(program: &Path, deployed: &Deployed) -> Self {
        let (address, api) = (free_address().await, free_address().await);
        let mut child = Command::new(super::runtime_emulator())
            .args(["--runtime-interface-emulator-address", &address.to_string()])
            .args(["--runtime-api-address", &api.to_string()])
            .arg(std::path::absolute(program).expect("a path"))
            .arg(&deployed.name)
            .env_clear()
            .envs(&deployed.environment)
            .env("AWS_LAMBDA_FUNCTION_NAME", &deployed.name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_TIMEOUT", deployed.timeout.as_secs().to_string())
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", deployed.memory_mb.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the emulator runs");
        let (reported, init) = watch::channel(None);
        let mut lines = BufReader::new(child.stderr.take().expect("it was piped")).lines();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                // … INIT REPORT(durationMs: 14.097000)
                let report =
                    line.split_once("INIT REPORT(durationMs: ").map(|(_, rest)| rest.trim_end_matches(')'));
                if let Some(milliseconds) = report.and_then(|number| number.parse::<f64>().ok()) {
                    reported.send_replace(Some(Duration::from_secs_f64(milliseconds / 1000.0)));
                }
            }
        });
        let client = reqwest::Client::builder().no_proxy().build().expect("a client without TLS");
        let emulated = Self { child, address, client, init };
        tokio::time::timeout(PATIENCE, emulated.listens()).await.expect("the emulator listens");
        emulated
    }

    async fn listens(&self) {
        // Any path but the one of invocations starts nothing.
        while self.client.get(format!("http://{}/", self.address)).send().await.is_err() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub async fn ask(&self, event: &Value) -> Bytes {
        let url = format!("http://{}/2015-03-31/functions/function/invocations", self.address);
        let answer = self.client.post(url).body(event.to_string()).send().await.expect("an answer");
        answer.bytes().await.expect("a whole answer")
    }

    /// From the start of the function's process until it asked for an event, as the emulator reports it.
    pub async fn init(&self) -> Duration {
        let mut init = self.init.clone();
        let reported = tokio::time::timeout(PATIENCE, init.wait_for(Option::is_some)).await;
        reported.expect("a report").expect("the emulator runs").expect("it was waited for")
    }

    /// Of the function's process, which is the emulator's child.
    pub fn resident_kb(&self) -> u64 {
        let parent = self.child.id().expect("it runs");
        let entries = std::fs::read_dir("/proc").expect("Linux").filter_map(Result::ok);
        let statuses = entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("status")).ok());
        let field = |status: &str, name: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.split_whitespace().next()?.parse().ok()
        };
        let child = statuses.into_iter().find(|status| field(status, "PPid") == Some(u64::from(parent)));
        field(&child.expect("the function's process"), "VmRSS").expect("its memory")
    }
}

async fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("it is bound")
}
