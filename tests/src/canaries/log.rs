//! Everything this process logs, as the server would write it at its most talkative.

use functions::log::OfRequests;
use std::io::{self, Write};
use std::sync::{Mutex, OnceLock};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

static WRITTEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Buffer;

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        WRITTEN.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// From now on; other tests of the process write into the same log.
pub fn capture() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let filter =
            "info,functions=trace,infra=trace,domain=trace,sqlx=trace,tokio_postgres=trace,axum=trace";
        let filter: Targets = filter.parse().expect("a filter");
        let lines = tracing_subscriber::fmt()
            .event_format(OfRequests)
            .with_max_level(LevelFilter::TRACE)
            .with_writer(|| Buffer);
        lines.finish().with(filter).init();
    });
}

pub fn written() -> Vec<u8> {
    WRITTEN.lock().expect("not poisoned").clone()
}
