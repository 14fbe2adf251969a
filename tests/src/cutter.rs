//! A way to a database that breaks at a chosen step of a write.
//!
//! What passes is encrypted, so steps are told by turns: a flight is what the client sends until the server answers. On
//! a connection that is warm a write's first flight is its statement, and its second one is COMMIT.

use infra::databases::Credentials;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Nothing of the flight arrives.
    Before,
    /// A part of it does.
    WithinFlight,
    /// All of it does, and the way breaks at once.
    Sent,
    /// The server has answered, and nothing of that arrives.
    Answered,
    WithinAnswer,
    /// The answer arrives; only what comes after it does not.
    After,
}

pub const POINTS: [Point; 6] =
    [Point::Before, Point::WithinFlight, Point::Sent, Point::Answered, Point::WithinAnswer, Point::After];

#[derive(Clone, Copy, Debug)]
pub struct Break {
    /// From 1, since it was armed.
    pub flight: usize,
    pub point: Point,
    /// Nothing passes any more, on any connection, until the way is mended; else this one connection is closed.
    pub silent: bool,
    /// Which part of a broken flight or answer arrives, in hundredths.
    pub part: usize,
}

#[derive(Default)]
struct Armed {
    to_break: Option<Break>,
    flights: usize,
    /// Whether the client spoke last.
    asked: bool,
}

enum Verdict {
    Pass,
    /// Passes so many bytes and breaks.
    Cut(usize, bool),
}

pub struct Cutter {
    port: u16,
    armed: Arc<Mutex<Armed>>,
    /// Nothing passes.
    silent: watch::Sender<bool>,
    broken: watch::Sender<bool>,
}

impl Cutter {
    pub async fn before(port: u16) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let own = listener.local_addr().expect("it is bound").port();
        let (silent, broken) = (watch::Sender::new(false), watch::Sender::new(false));
        let cutter = Arc::new(Self { port: own, armed: Arc::default(), silent, broken });
        let accepting = cutter.clone();
        tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().pass(from, port));
            }
        });
        cutter
    }

    /// The same database this way.
    pub fn to(&self, credentials: Credentials) -> Credentials {
        Credentials { port: self.port, ..credentials }
    }

    pub fn arm(&self, to_break: Break) {
        self.broken.send_replace(false);
        *self.armed.lock().expect("not poisoned") = Armed { to_break: Some(to_break), ..Armed::default() };
    }

    /// Ends once the way broke.
    pub async fn break_happened(&self) {
        self.broken.subscribe().wait_for(|broken| *broken).await.expect("it is never dropped");
    }

    /// What was silent is closed, and what is new passes. Whether the way had broken.
    pub fn mend(&self) -> bool {
        *self.armed.lock().expect("not poisoned") = Armed::default();
        self.silent.send_replace(false);
        *self.broken.borrow()
    }

    fn asks(&self, bytes: usize) -> Verdict {
        let mut armed = self.armed.lock().expect("not poisoned");
        let Some(to_break) = armed.to_break else { return Verdict::Pass };
        if !armed.asked {
            armed.asked = true;
            armed.flights += 1;
        }
        if armed.flights != to_break.flight {
            return Verdict::Pass;
        }
        let passes = match to_break.point {
            Point::Before => 0,
            Point::WithinFlight => part(bytes, to_break.part),
            Point::Sent => bytes,
            Point::Answered | Point::WithinAnswer | Point::After => return Verdict::Pass,
        };
        armed.to_break = None;
        Verdict::Cut(passes, to_break.silent)
    }

    fn answers(&self, bytes: usize) -> Verdict {
        let mut armed = self.armed.lock().expect("not poisoned");
        armed.asked = false;
        let Some(to_break) = armed.to_break else { return Verdict::Pass };
        if armed.flights != to_break.flight {
            return Verdict::Pass;
        }
        armed.to_break = None;
        let passes = match to_break.point {
            Point::WithinAnswer => part(bytes, to_break.part),
            Point::After => bytes,
            Point::Before | Point::WithinFlight | Point::Sent | Point::Answered => 0,
        };
        Verdict::Cut(passes, to_break.silent)
    }

    #[allow(clippy::disallowed_methods)] // a test's own socket, to the test engine
    async fn pass(self: Arc<Self>, mut from: TcpStream, port: u16) {
        let mut silent = self.silent.subscribe();
        silent.wait_for(|silent| !*silent).await.expect("it is never dropped");
        let Ok(mut to) = TcpStream::connect(("127.0.0.1", port)).await else { return };
        let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
        loop {
            let (verdict, is_answer, bytes) = tokio::select! {
                // The way fell silent on account of another connection.
                _ = silent.wait_for(|silent| *silent) => break,
                read = from.read(&mut asked) => match read {
                    Ok(bytes) if bytes > 0 => (self.asks(bytes), false, bytes),
                    Ok(_) | Err(_) => return,
                },
                read = to.read(&mut answered) => match read {
                    Ok(bytes) if bytes > 0 => (self.answers(bytes), true, bytes),
                    Ok(_) | Err(_) => return,
                },
            };
            let passes = match verdict {
                Verdict::Pass => bytes,
                Verdict::Cut(passes, _) => passes,
            };
            let written = match is_answer {
                true => from.write_all(&answered[..passes]).await,
                false => to.write_all(&asked[..passes]).await,
            };
            match verdict {
                Verdict::Pass if written.is_ok() => {}
                Verdict::Pass => return,
                Verdict::Cut(_, becomes_silent) => {
                    self.silent.send_replace(becomes_silent);
                    self.broken.send_replace(true);
                    break;
                }
            }
        }
        // Closed at once, or when the way is mended.
        silent.wait_for(|silent| !*silent).await.expect("it is never dropped");
    }
}

/// Neither nothing nor all of it.
fn part(bytes: usize, hundredths: usize) -> usize {
    (bytes * hundredths / 100).clamp(1, bytes.saturating_sub(1).max(1))
}
