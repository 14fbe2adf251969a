//! A service on loopback that gives one recorded answer and keeps the request.

use serde_json::Value;
use std::collections::BTreeMap;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub struct Replay {
    pub url: String,
    asked: JoinHandle<Asked>,
}

pub struct Asked {
    /// Method and path.
    pub line: String,
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

impl Replay {
    pub async fn of(status: u16, body: impl Into<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let body = body.into();
        let asked = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("somebody asks");
            let mut stream = BufReader::new(stream);
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).await.expect("a line");
                match line.trim_end() {
                    "" => break,
                    line => lines.push(line.to_owned()),
                }
            }
            let line = lines.remove(0);
            let pairs = lines.iter().filter_map(|line| line.split_once(": "));
            let headers: BTreeMap<String, String> =
                pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
            let mut sent = vec![0; headers["content-length"].parse().expect("a number")];
            stream.read_exact(&mut sent).await.expect("a body");
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} Recorded\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
            );
            // Who has read enough hangs up.
            let _ = stream.write_all(answer.as_bytes()).await;
            Asked { line, headers, body: serde_json::from_slice(&sent).expect("JSON") }
        });
        Self { url, asked }
    }

    pub async fn asked(self) -> Asked {
        self.asked.await.expect("it was asked")
    }
}
