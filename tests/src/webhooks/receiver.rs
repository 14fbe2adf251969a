//! A receiver of webhooks on loopback.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What becomes of a request.
pub enum Verdict {
    Status(u16),
    /// The connection is closed without an answer.
    HangUp,
    /// Nothing comes back for as long as anybody waits.
    Silence,
}

/// No receiver is waited for longer without anything coming.
const OVERDUE: Duration = Duration::from_secs(60);

type Judge = Box<dyn Fn(usize) -> Verdict + Send + Sync>;

pub struct Receiver {
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    judge: Mutex<Judge>,
    /// The position of each request that came, and whether it was taken.
    asked: Mutex<Vec<(u64, bool)>>,
    /// What was answered with success.
    taken: Mutex<Vec<Received>>,
    news: Notify,
}

#[derive(Clone)]
pub struct Received {
    /// When it came.
    at: jiff::Timestamp,
    pub headers: BTreeMap<String, String>,
    text: String,
}

impl Receiver {
    /// The judge is told how many requests came before.
    pub async fn start(judge: impl Fn(usize) -> Verdict + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/hook?kept=as+it+is", listener.local_addr().expect("it is bound"));
        let shared = Arc::new(Shared {
            judge: Mutex::new(Box::new(judge)),
            asked: Mutex::default(),
            taken: Mutex::default(),
            news: Notify::new(),
        });
        let serving = shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, serving.clone()));
            }
        });
        Self { url, shared }
    }

    /// From now on.
    pub fn answer(&self, judge: impl Fn(usize) -> Verdict + Send + Sync + 'static) {
        *self.shared.judge.lock().expect("not poisoned") = Box::new(judge);
    }

    /// Requests that came, whatever became of them.
    pub fn asked(&self) -> usize {
        self.shared.asked.lock().expect("not poisoned").len()
    }

    /// What came is what may come: the first attempt of each event in order, no event behind one that was not taken,
    /// and none that was taken after a later one was. Returns how many positions were taken.
    ///
    /// # Panics
    /// When it is not.
    pub fn assert_in_order(&self) -> u64 {
        let mut taken = 0;
        for (at, (seq, is_taken)) in self.shared.asked.lock().expect("not poisoned").iter().enumerate() {
            assert!(
                (taken..=taken + 1).contains(seq),
                "request {at} is of {seq}, when {taken} was taken last"
            );
            if *is_taken {
                taken = *seq;
            }
        }
        taken
    }

    /// What was taken, as soon as it is so many.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let (mut give_up, mut before) = (Instant::now() + OVERDUE, 0);
        loop {
            let news = self.shared.news.notified();
            let came = {
                let taken = self.shared.taken.lock().expect("not poisoned");
                if taken.len() >= count {
                    return taken.clone();
                }
                taken.len()
            };
            if came > before {
                (give_up, before) = (Instant::now() + OVERDUE, came);
            }
            let left = give_up.saturating_duration_since(Instant::now());
            let waited = tokio::time::timeout(left, news).await;
            assert!(waited.is_ok(), "{came} of {count} came");
        }
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let Some(received) = read(&mut stream).await else { return };
    let verdict = {
        let mut asked = shared.asked.lock().expect("not poisoned");
        let verdict = (shared.judge.lock().expect("not poisoned"))(asked.len());
        let is_taken = matches!(verdict, Verdict::Status(200..300));
        asked.push((received.body()["seq"].as_u64().unwrap_or_default(), is_taken));
        if is_taken {
            shared.taken.lock().expect("not poisoned").push(received);
        }
        verdict
    };
    let status = match verdict {
        Verdict::Status(status) => status,
        Verdict::HangUp => return,
        Verdict::Silence => return wait_for_the_end(&mut stream).await,
    };
    let answer = format!("HTTP/1.1 {status} Told\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(answer.as_bytes()).await;
    shared.news.notify_waiters();
}

async fn wait_for_the_end(stream: &mut TcpStream) {
    // Whoever gave up closes the connection, or breaks it.
    while stream.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
}

async fn read(stream: &mut TcpStream) -> Option<Received> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    if line.is_empty() {
        // Whoever connected ended before it said anything.
        return None;
    }
    assert_eq!(line.trim_end(), "POST /hook?kept=as+it+is HTTP/1.1");
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    Some(Received { at: jiff::Timestamp::now(), headers, text: String::from_utf8(body).ok()? })
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn body(&self) -> Value {
        serde_json::from_str(&self.text).expect("JSON")
    }

    /// Verifies as the receivers' libraries of Standard Webhooks do.
    pub fn is_signed_by(&self, secret: &str) -> bool {
        let (id, timestamp) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let Ok(secret) = BASE64_STANDARD.decode(secret.trim_start_matches("whsec_")) else { return false };
        let seconds: i64 = timestamp.parse().expect("seconds");
        assert!((self.at.as_second() - seconds).abs() < 300, "{timestamp}");
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{timestamp}.{}", self.text).as_bytes());
        let expected = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
        self.header("webhook-signature").split(' ').any(|signature| signature == expected)
    }
}
