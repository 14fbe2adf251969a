//! A way to a database that breaks at a chosen step of a connection or of a statement.
//!
//! What passes is encrypted, so steps are told by turns: a flight is what the client sends until the server answers. On
//! a connection that is warm a write's first flight is its statement, and its second one is COMMIT.

use infra::databases::Credentials;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Between two bytes of a way that trickles.
const TRICKLE: Duration = Duration::from_millis(100);
/// What each turn takes longer on a way that is late.
const LATE: Duration = Duration::from_millis(10);

/// How a way breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// This one connection is closed, or reset, or says that nothing more comes and stays.
    Closed,
    Reset,
    HalfClosed,
    /// Until the way is mended, on every connection: nothing passes, nobody is let in, the server's bytes come one by
    /// one, late, or as others.
    Silent,
    Refused,
    Trickling,
    Late,
    Garbled,
}

impl How {
    fn lasts(self) -> bool {
        !matches!(self, How::Closed | How::Reset | How::HalfClosed)
    }
}

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
    /// From 1, since it was armed; 0 is the dial.
    pub flight: usize,
    pub point: Point,
    pub how: How,
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
    Cut(usize, How),
}

pub struct Cutter {
    port: u16,
    armed: Arc<Mutex<Armed>>,
    /// What lasts.
    state: watch::Sender<Option<How>>,
    /// What befell the connections that were open.
    struck: watch::Sender<Option<How>>,
    /// Nobody listens any more.
    refuses: watch::Sender<bool>,
    broken: watch::Sender<bool>,
    /// The server's clients that were ours.
    ports: Mutex<Vec<u16>>,
}

impl Cutter {
    pub async fn before(port: u16) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let own = listener.local_addr().expect("it is bound").port();
        let cutter = Arc::new(Self {
            port: own,
            armed: Arc::default(),
            state: watch::Sender::new(None),
            struck: watch::Sender::new(None),
            refuses: watch::Sender::new(false),
            broken: watch::Sender::new(false),
            ports: Mutex::default(),
        });
        tokio::spawn(cutter.clone().accept(listener, port));
        cutter
    }

    async fn accept(self: Arc<Self>, mut listener: TcpListener, port: u16) {
        let mut state = self.state.subscribe();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = becomes(&mut state, |state| *state == Some(How::Refused)) => {
                    drop(listener);
                    self.refuses.send_replace(true);
                    becomes(&mut state, Option::is_none).await;
                    self.refuses.send_replace(false);
                    listener = TcpListener::bind(("127.0.0.1", self.port)).await.expect("it was ours");
                    continue;
                }
            };
            let Ok((from, _)) = accepted else { return };
            tokio::spawn(self.clone().pass(from, port));
        }
    }

    /// The same database this way.
    pub fn to(&self, credentials: Credentials) -> Credentials {
        Credentials { port: self.port, ..credentials }
    }

    pub fn arm(&self, to_break: Break) {
        self.broken.send_replace(false);
        if to_break.flight == 0 && to_break.how == How::Refused {
            return self.strike(to_break.how);
        }
        *self.armed.lock().expect("not poisoned") = Armed { to_break: Some(to_break), ..Armed::default() };
    }

    /// Ends once nobody is let in any more.
    pub async fn refuses(&self) {
        self.refuses.subscribe().wait_for(|refuses| *refuses).await.expect("it is never dropped");
    }

    /// Breaks it now, for the connections that are open.
    pub fn strike(&self, how: How) {
        if how.lasts() {
            self.state.send_replace(Some(how));
        } else {
            self.struck.send_replace(Some(how));
        }
        self.broken.send_replace(true);
    }

    /// Ports by which the server knows its clients that came this way.
    pub fn ports(&self) -> Vec<u16> {
        self.ports.lock().expect("not poisoned").clone()
    }

    /// Ends once the way broke.
    pub async fn break_happened(&self) {
        self.broken.subscribe().wait_for(|broken| *broken).await.expect("it is never dropped");
    }

    /// What was broken is closed, and what is new passes. Whether the way had broken.
    pub fn mend(&self) -> bool {
        *self.armed.lock().expect("not poisoned") = Armed::default();
        self.state.send_replace(None);
        *self.broken.borrow()
    }

    fn dials(&self) -> Option<How> {
        let mut armed = self.armed.lock().expect("not poisoned");
        let to_break = armed.to_break.filter(|to_break| to_break.flight == 0)?;
        armed.to_break = None;
        Some(to_break.how)
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
        Verdict::Cut(passes, to_break.how)
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
        Verdict::Cut(passes, to_break.how)
    }

    #[allow(clippy::disallowed_methods)] // a test's own socket, to the test engine
    async fn pass(self: Arc<Self>, mut from: TcpStream, port: u16) {
        let (mut state, mut struck) = (self.state.subscribe(), self.struck.subscribe());
        let dialled = self.dials();
        if let Some(how) = dialled {
            self.breaks(how);
        }
        let Ok(mut to) = TcpStream::connect(("127.0.0.1", port)).await else { return };
        self.ports.lock().expect("not poisoned").push(to.local_addr().expect("it is connected").port());
        let broke = match dialled {
            Some(how) => Some((how, Vec::new())),
            None => self.pass_until_it_breaks(&mut state, &mut struck, &mut from, &mut to).await,
        };
        let Some((how, rest)) = broke else { return };
        tokio::select! {
            () = self.broken(how, rest, &mut from, &mut to) => {}
            _ = state.wait_for(Option::is_none), if how.lasts() => {}
        }
    }

    fn breaks(&self, how: How) {
        if how.lasts() {
            self.state.send_replace(Some(how));
        }
        self.broken.send_replace(true);
    }

    /// How, and what of an answer was on its way then. None when one of the sides was the one that ended it.
    async fn pass_until_it_breaks(
        &self,
        state: &mut watch::Receiver<Option<How>>,
        struck: &mut watch::Receiver<Option<How>>,
        from: &mut TcpStream,
        to: &mut TcpStream,
    ) -> Option<(How, Vec<u8>)> {
        let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
        loop {
            let (verdict, is_answer, bytes) = tokio::select! {
                biased;
                // Maybe on account of another connection.
                state = state.wait_for(Option::is_some) => return state.ok()?.map(|how| (how, Vec::new())),
                _ = struck.changed() => return struck.borrow().map(|how| (how, Vec::new())),
                read = from.read(&mut asked) => match read {
                    Ok(bytes) if bytes > 0 => (self.asks(bytes), false, bytes),
                    Ok(_) | Err(_) => return None,
                },
                read = to.read(&mut answered) => match read {
                    Ok(bytes) if bytes > 0 => (self.answers(bytes), true, bytes),
                    Ok(_) | Err(_) => return None,
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
                Verdict::Pass => written.ok()?,
                Verdict::Cut(_, how) => {
                    self.breaks(how);
                    let rest = if is_answer { answered[passes..bytes].to_vec() } else { Vec::new() };
                    return Some((how, rest));
                }
            }
        }
    }

    /// What becomes of one connection. Ends when there is nothing left of it.
    async fn broken(&self, how: How, rest: Vec<u8>, from: &mut TcpStream, to: &mut TcpStream) {
        match how {
            How::Closed => {}
            How::Reset => from.set_zero_linger().expect("a socket"),
            How::Refused => {
                self.refuses().await;
                from.set_zero_linger().expect("a socket");
            }
            How::HalfClosed => {
                from.shutdown().await.ok();
                // Whatever the client still says, until it goes.
                tokio::io::copy(from, &mut tokio::io::sink()).await.ok();
            }
            How::Silent => std::future::pending().await,
            How::Trickling | How::Late | How::Garbled => {
                distort(how, rest, from, to).await.unwrap_or_default();
            }
        }
    }
}

async fn becomes(state: &mut watch::Receiver<Option<How>>, is: impl FnMut(&Option<How>) -> bool) {
    state.wait_for(is).await.expect("it is never dropped");
}

async fn distort(
    how: How,
    mut rest: Vec<u8>,
    from: &mut TcpStream,
    to: &mut TcpStream,
) -> std::io::Result<()> {
    let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        pass_on(how, &mut rest, from).await?;
        tokio::select! {
            read = from.read(&mut asked) => match read? {
                0 => return Ok(()),
                bytes => to.write_all(&asked[..bytes]).await?,
            },
            read = to.read(&mut answered) => match read? {
                0 => return Ok(()),
                bytes => rest = answered[..bytes].to_vec(),
            },
        }
    }
}

async fn pass_on(how: How, answer: &mut Vec<u8>, from: &mut TcpStream) -> std::io::Result<()> {
    let mut answer = std::mem::take(answer);
    match how {
        How::Trickling => {
            for byte in answer {
                tokio::time::sleep(TRICKLE).await;
                from.write_all(&[byte]).await?;
            }
            return Ok(());
        }
        How::Garbled => answer.iter_mut().for_each(|byte| *byte = byte.wrapping_mul(31) ^ 0xa5),
        _ if !answer.is_empty() => tokio::time::sleep(LATE).await,
        _ => {}
    }
    from.write_all(&answer).await
}

/// Neither nothing nor all of it.
fn part(bytes: usize, hundredths: usize) -> usize {
    (bytes * hundredths / 100).clamp(1, bytes.saturating_sub(1).max(1))
}
