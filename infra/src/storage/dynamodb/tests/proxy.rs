//! Stands between a store and the emulator and does to transactions what networks and busy services do.

use crate::emulators;
use std::collections::VecDeque;
use std::io::Result;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of one transaction.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Nothing.
    Pass,
    /// It never arrives.
    Drop,
    /// It is applied, and the connection breaks before the answer.
    LoseAnswer,
    /// The connection breaks, and it is applied this much later.
    ArriveLate(Duration),
    /// It is not applied; the service says this, a code or a list of cancellation reasons.
    Refuse(&'static str),
    Cancel(&'static [&'static str]),
    /// It never arrives, and nothing does any more.
    Down,
    /// It is applied, and nothing gets through any more, its answer included.
    DownAfter,
}

#[derive(Default)]
struct Script {
    transactions: Mutex<VecDeque<Fault>>,
    down: AtomicBool,
    requests: AtomicUsize,
}

pub struct Proxy {
    pub url: String,
    script: Arc<Script>,
}

impl Proxy {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let script = Arc::new(Script::default());
        let shared = script.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let script = shared.clone();
                // A broken connection is what the store has to bear.
                tokio::spawn(async move { serve(client, &script).await.ok() });
            }
        });
        Self { url, script }
    }

    /// What becomes of the next transactions; those behind pass.
    pub fn next(&self, faults: impl IntoIterator<Item = Fault>) {
        *self.script.transactions.lock().expect("not poisoned") = faults.into_iter().collect();
    }

    /// While down, no request gets through.
    pub fn down(&self, down: bool) {
        self.script.down.store(down, Ordering::SeqCst);
    }

    pub fn requests(&self) -> usize {
        self.script.requests.load(Ordering::SeqCst)
    }
}

async fn serve(mut client: TcpStream, script: &Script) -> Result<()> {
    loop {
        let request = message(&mut client).await?;
        script.requests.fetch_add(1, Ordering::SeqCst);
        if script.down.load(Ordering::SeqCst) {
            return Ok(());
        }
        let transaction = String::from_utf8_lossy(&request).contains("DynamoDB_20120810.TransactWriteItems");
        let fault = match transaction {
            true => script.transactions.lock().expect("not poisoned").pop_front().unwrap_or(Fault::Pass),
            false => Fault::Pass,
        };
        let answer = match fault {
            Fault::Pass => forward(&request).await?,
            Fault::Drop => return Ok(()),
            Fault::LoseAnswer => {
                forward(&request).await?;
                return Ok(());
            }
            Fault::Down => {
                script.down.store(true, Ordering::SeqCst);
                return Ok(());
            }
            Fault::DownAfter => {
                script.down.store(true, Ordering::SeqCst);
                forward(&request).await?;
                return Ok(());
            }
            Fault::ArriveLate(delay) => {
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    forward(&request).await.ok()
                });
                return Ok(());
            }
            Fault::Refuse(code) => error(code, ""),
            Fault::Cancel(codes) => {
                let reasons: Vec<String> =
                    codes.iter().map(|code| format!(r#"{{"Code":"{code}"}}"#)).collect();
                let reasons = format!(r#","CancellationReasons":[{}]"#, reasons.join(","));
                error("TransactionCanceledException", &reasons)
            }
        };
        client.write_all(&answer).await?;
    }
}

fn error(code: &str, more: &str) -> Vec<u8> {
    let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}"{more}}}"#);
    let head = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head, body].concat().into_bytes()
}

#[expect(clippy::disallowed_methods, reason = "the emulator on loopback is no customer's database")]
async fn forward(request: &[u8]) -> Result<Vec<u8>> {
    let address = emulators::dynamodb().url.trim_start_matches("http://");
    let mut emulator = TcpStream::connect(address).await?;
    emulator.write_all(request).await?;
    message(&mut emulator).await
}

/// One request or answer: its head, and as much behind that as it says.
async fn message(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut message = Vec::new();
    let mut left = None;
    loop {
        if left.is_none()
            && let Some(end) = message.windows(4).position(|window| window == b"\r\n\r\n")
        {
            let head = String::from_utf8_lossy(&message[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            left = Some(end + 4 + length.map_or(0, |length| length.trim().parse().expect("a number")));
        }
        if left.is_some_and(|whole| message.len() >= whole) {
            return Ok(message);
        }
        if stream.read_buf(&mut message).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}
