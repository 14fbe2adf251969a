//! Lines to standard output, which the platform collects.
//!
//! A request never waits for its own log: lines go to a thread through a queue with an end, and what does not fit is
//! counted and dropped. Before an answer leaves, [`Lines::flush`] gives the thread a moment, because the process may be
//! stopped right after it and a line that was not written then is late, or lost with the process.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use tokio::sync::oneshot;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait. Some hundred bytes each.
const WAITING: usize = 4096;
/// How long an answer waits for its lines. Writing one takes microseconds unless the platform does not read.
const FLUSH: Duration = Duration::from_millis(50);

enum Entry {
    Line(Vec<u8>),
    Written(oneshot::Sender<()>),
}

#[derive(Clone)]
pub struct Lines {
    queue: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
}

impl Lines {
    pub fn to(output: impl Write + Send + 'static) -> Self {
        let (queue, entries) = sync_channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let counted = dropped.clone();
        std::thread::spawn(move || write(entries, &counted, output));
        Self { queue, dropped }
    }

    /// With its newline.
    pub fn push(&self, line: Vec<u8>) {
        match self.queue.try_send(Entry::Line(line)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Waits a moment until what was pushed before is written.
    pub async fn flush(&self) {
        let (written, done) = oneshot::channel();
        if self.queue.try_send(Entry::Written(written)).is_ok() {
            // Too slow: better late lines than a late answer.
            let _ = tokio::time::timeout(FLUSH, done).await;
        }
    }
}

fn write(entries: Receiver<Entry>, dropped: &AtomicU64, mut output: impl Write) {
    for entry in entries {
        match entry {
            Entry::Line(line) => {
                // A platform that reads no lines cannot be told so.
                let _ = output.write_all(&line);
                let lost = dropped.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    let _ = writeln!(
                        output,
                        r#"{{"level":"WARN","message":"log lines were dropped","lines":{lost}}}"#
                    );
                }
            }
            Entry::Written(written) => {
                let _ = output.flush();
                let _ = written.send(());
            }
        }
    }
}

/// One event's line, pushed whole.
pub struct LineWriter {
    lines: Lines,
    line: Vec<u8>,
}

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.lines.push(std::mem::take(&mut self.line));
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> LineWriter {
        LineWriter { lines: self.clone(), line: Vec::new() }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::sync::{Condvar, Mutex};

    /// What was written, for tests to look at.
    #[derive(Clone, Default)]
    pub struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Written {
        pub fn lines(&self) -> Vec<serde_json::Value> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
        }
    }

    #[tokio::test]
    async fn what_was_pushed_is_written_when_the_answer_leaves() {
        let written = Written::default();
        let lines = Lines::to(written.clone());
        for number in 0..100 {
            lines.push(format!("{{\"number\":{number}}}\n").into_bytes());
        }
        lines.flush().await;
        assert_eq!(written.lines().len(), 100);
    }

    /// Takes nothing until it is opened.
    #[derive(Clone, Default)]
    struct Shut(Arc<(Mutex<bool>, Condvar)>, Written);

    impl Write for Shut {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let (open, opened) = &*self.0;
            let _open = opened.wait_while(open.lock().unwrap(), |open| !*open).unwrap();
            self.1.write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn an_output_that_nobody_reads_holds_no_request_up_and_tells_later_what_it_lost() {
        let shut = Shut::default();
        let lines = Lines::to(shut.clone());
        for number in 0..WAITING + 100 {
            lines.push(format!("{{\"number\":{number}}}\n").into_bytes());
        }
        lines.flush().await;
        assert_eq!(shut.1.lines().len(), 0);
        *shut.0.0.lock().unwrap() = true;
        shut.0.1.notify_all();
        while shut.1.lines().len() <= WAITING {
            tokio::task::yield_now().await;
        }
        let lost: u64 = shut.1.lines().iter().filter_map(|line| line["lines"].as_u64()).sum();
        assert!((99..=100).contains(&lost), "{lost}");
    }
}
