//! Follows an organization's events and never misses or repeats one, however often it is cut off.
//!
//! ```text
//! BINDERY_URL=http://127.0.0.1:8480 BINDERY_KEY=flowyte_sk_live_… cargo run --example subscriber position.txt
//! ```
//!
//! The position is written after an event was handled, so an event is handled again when the program dies in between:
//! whatever handles events must bear that. A whole number as second argument ends it after so many events.

use serde_json::Value;
use std::time::Duration;
use std::{env, fs};

fn handle(event: &Value) {
    println!(
        "{} {} {}",
        event["seq"],
        event["type"].as_str().unwrap_or(""),
        event["actor"]["id"].as_str().unwrap_or("")
    );
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = env::args().nth(1).ok_or("name the file that holds the position")?;
    let mut left = env::args().nth(2).map(|count| count.parse::<u64>()).transpose()?;
    let (address, key) = (env::var("BINDERY_URL")? + "/api/v1/events/stream", env::var("BINDERY_KEY")?);
    let client = reqwest::Client::builder().read_timeout(Duration::from_secs(60)).build()?;
    loop {
        let position = fs::read_to_string(&file).unwrap_or_else(|_| "0".to_owned());
        let request = client.get(&address).bearer_auth(&key).header("Last-Event-ID", position);
        let Ok(mut stream) = request.send().await.inspect_err(|error| eprintln!("cut off: {error}")) else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        if !stream.status().is_success() {
            return Err(format!("{}: {}", stream.status(), stream.text().await?).into());
        }
        let mut text = Vec::new();
        while let Ok(Some(chunk)) = stream.chunk().await {
            text.extend_from_slice(&chunk);
            while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8(text.drain(..=end).collect())?;
                let Some(data) = line.strip_prefix("data: ") else { continue };
                let event: Value = serde_json::from_str(data)?;
                handle(&event);
                fs::write(format!("{file}.new"), event["seq"].to_string())?;
                fs::rename(format!("{file}.new"), &file)?;
                left = left.map(|left| left - 1);
                if left == Some(0) {
                    return Ok(());
                }
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
