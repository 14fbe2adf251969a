//! Connections that several calls read from at once. Their statements travel together, and the server answers one after
//! the other: who comes second waits for the first, and saves both sides most of the work of sending and receiving.

use super::slots::{Pool, Want, Warm};
use crate::databases::DatabaseError;
use crate::databases::driver::{Reader, Session};
use crate::databases::error::Fault;
use domain::limits;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A connection is given as many reads as it answers in this time, by the pace of the last ones: the last of them waits
/// so long at most.
const AT_ITS_PACE: Duration = Duration::from_millis(4);
/// What takes longer than this between two answers counts as this much.
const PACE_MAX: Duration = Duration::from_millis(8);
/// How many answers the pace looks back on, about.
const PACE_WEIGHT: u32 = 16;
/// And where no two share a connection, so that each answer comes of a trial.
const PACE_WEIGHT_TRIED: u32 = 2;
/// So many reads have a connection each, where two take longer than [`AT_ITS_PACE`], before two share one all the same:
/// that shows whether they still do.
pub(super) const TRIED_AFTER: u32 = 256;
/// Nobody joins a connection whose oldest read takes longer than the pool's quickest by this: while others are free he
/// is better off there, and in line if none is.
const SLOW: Duration = Duration::from_millis(2);
/// Who waits longer than this, and four times what his statement takes, asks elsewhere too: others may be in his way, or
/// the server's process of this connection may not get a processor.
const PATIENCE: Duration = Duration::from_millis(6);
/// Who has less time than this has a connection for himself: he will have it stopped, and others would have to run again.
pub(super) const LITTLE_TIME: Duration = Duration::from_millis(50);
/// So many reads have to be answered for one that may ask twice: under load all wait, and asking twice makes more of it.
const ASKING_TWICE: u32 = 16;
/// At once as many may as can be behind a slow one.
const ASKING_TWICE_MAX: u32 = limits::READS_AT_ONCE as u32 * ASKING_TWICE;
/// A statement that takes longer than the quickest by this, on average, has a connection for itself.
const SLOW_STATEMENT: Duration = Duration::from_millis(20);
/// How many reads the average of a slow statement looks back on, about.
const SLOW_WEIGHT: u32 = 4;
/// So much of a slower read's time is added to the quickest's, which would otherwise be one of long ago.
const QUICKEST_WEIGHT: u32 = 256;

/// The connections of a pool on which reads are under way.
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    next: u64,
    /// From one answer to the next on the same connection, on average.
    pace: Duration,
    /// How many reads had a connection each since two shared one last.
    apart: u32,
    /// What is left of asking twice.
    credit: u32,
    /// About what a read takes from here to the database and back when nothing is in its way.
    quickest: Duration,
    /// What statements take beyond that, on average; only those that are slow, or were of late, are here.
    slow: HashMap<String, Duration>,
}

struct Lane {
    number: u64,
    reader: Arc<dyn Reader>,
    /// Nobody joins.
    closed: bool,
    /// Somebody has.
    joined: bool,
    /// Each read under way, and since when.
    reads: VecDeque<(u64, Instant)>,
    /// When one ended last.
    left: Option<Instant>,
}

impl Lane {
    fn has_room(&self, now: Instant, quickest: Duration, most: usize) -> bool {
        let is_slow =
            self.reads.front().is_some_and(|(_, since)| now.duration_since(*since) > quickest + SLOW);
        self.reads.len() < most && !self.closed && !is_slow && self.reader.shares() && self.reader.is_usable()
    }
}

impl Default for Lanes {
    fn default() -> Self {
        Self {
            lanes: Vec::new(),
            next: 0,
            // Nothing is known: two are tried before more are.
            pace: AT_ITS_PACE,
            apart: TRIED_AFTER,
            credit: ASKING_TWICE_MAX,
            quickest: Duration::ZERO,
            slow: HashMap::new(),
        }
    }
}

impl Lanes {
    /// As after many reads.
    #[cfg(test)]
    pub(super) fn learn(&mut self, quickest: Duration, pace: Duration) {
        (self.quickest, self.pace) = (quickest, pace);
    }

    pub(super) fn len(&self) -> usize {
        self.lanes.len()
    }

    pub(super) fn reads(&self) -> usize {
        self.lanes.iter().map(|lane| lane.reads.len()).sum()
    }

    /// How a read of this statement is to be served that is over after `time`.
    pub(super) fn plan(&self, statement: &str, time: Duration) -> Plan {
        let beyond = match self.slow.is_empty() {
            true => Duration::ZERO,
            false => self.slow.get(statement).copied().unwrap_or_default(),
        };
        let shares = beyond <= SLOW_STATEMENT && time > LITTLE_TIME;
        let want = if shares { Want::Share } else { Want::Alone(Session::ReadOnly) };
        let known = !self.quickest.is_zero();
        Plan { want, patience: known.then(|| PATIENCE + 4 * (self.quickest + beyond)) }
    }

    /// A part in the fullest one that has room: the fuller it is, the more travels at once.
    pub(super) fn join(&mut self, pool: &Arc<Pool>, now: Instant) -> Option<Share> {
        let (quickest, most) = (self.quickest, self.most());
        let tries = most < 2;
        if tries && self.apart < TRIED_AFTER {
            return None;
        }
        let open = self.lanes.iter_mut().filter(|lane| lane.has_room(now, quickest, most.max(2)));
        let lane = open.max_by_key(|lane| lane.reads.len())?;
        if tries {
            self.apart = 0;
        }
        let number = self.next;
        self.next += 1;
        lane.reads.push_back((number, now));
        lane.joined = true;
        let part = Part { lane: lane.number, number, since: now };
        Some(Share { pool: pool.clone(), part, reader: Some(lane.reader.clone()), warm: true })
    }

    /// The first part in a connection that is in use from here on.
    pub(super) fn open(&mut self, pool: &Arc<Pool>, reader: Arc<dyn Reader>, opened: Opened) -> Share {
        let Opened { warm, closed, now } = opened;
        let number = self.next;
        self.next += 1;
        let reads = VecDeque::from([(number, now)]);
        self.lanes.push(Lane { number, reader: reader.clone(), closed, joined: false, reads, left: None });
        let part = Part { lane: number, number, since: now };
        Share { pool: pool.clone(), part, reader: Some(reader), warm }
    }

    /// How many reads a connection is given.
    fn most(&self) -> usize {
        let most = AT_ITS_PACE.as_nanos() / self.pace.as_nanos().max(1);
        usize::try_from(most).unwrap_or(usize::MAX).clamp(1, limits::READS_AT_ONCE)
    }

    fn answered_after(&mut self, gap: Duration) {
        let tries = self.most() < 2;
        let weight = if tries { PACE_WEIGHT_TRIED } else { PACE_WEIGHT };
        self.pace = self.pace - self.pace / weight + gap.min(PACE_MAX) / weight;
        if tries && 2 * gap <= AT_ITS_PACE {
            // Two have room. The next ones may show that they always do.
            self.apart = TRIED_AFTER;
        }
    }

    /// Notes how a read ended, before it leaves. One that was not answered says only that its statement is slow.
    pub(super) fn ended(&mut self, part: &Part, now: Instant, statement: &str, answered: bool) {
        self.credit = ASKING_TWICE_MAX.min(self.credit + 1);
        let Some(lane) = self.lanes.iter().find(|it| it.number == part.lane) else { return };
        let is_first = lane.reads.front().is_some_and(|(first, _)| *first == part.number);
        // The server came to it when it was done with the one before. Of who came after that, the way to the server and
        // back is a part.
        let before = lane.left.filter(|left| part.since < *left);
        let took = now.duration_since(before.unwrap_or(part.since));
        let beyond = match before {
            Some(_) => took,
            None => took.saturating_sub(self.quickest),
        };
        match (answered, before) {
            (true, Some(_)) => self.answered_after(took),
            (true, None) => {
                self.apart = self.apart.saturating_add(1);
                match took.checked_sub(self.quickest) {
                    Some(longer) if !self.quickest.is_zero() => self.quickest += longer / QUICKEST_WEIGHT,
                    _ => self.quickest = took,
                }
            }
            // It waited for others.
            (false, _) if !is_first => return,
            (false, _) => {}
        }
        if beyond < SLOW && (self.slow.is_empty() || !answered) {
            return;
        }
        let average = self.slow.get(statement).copied().unwrap_or_default();
        let average = average - average / SLOW_WEIGHT + beyond / SLOW_WEIGHT;
        if average < SLOW {
            self.slow.remove(statement);
        } else {
            self.slow.insert(statement.to_owned(), average);
        }
    }

    /// The connection, if that was the last read on it.
    pub(super) fn leave(&mut self, part: &Part, now: Instant) -> Option<Arc<dyn Reader>> {
        let at = self.lanes.iter().position(|it| it.number == part.lane)?;
        self.lanes[at].left = Some(now);
        self.lanes[at].reads.retain(|(read, _)| *read != part.number);
        self.lanes[at].reads.is_empty().then(|| self.lanes.swap_remove(at).reader)
    }

    pub(super) fn may_ask_twice(&self) -> bool {
        self.credit >= ASKING_TWICE
    }

    pub(super) fn asks_twice(&mut self) {
        self.credit = self.credit.saturating_sub(ASKING_TWICE);
    }

    pub(super) fn was_joined(&self, lane: u64) -> bool {
        self.lanes.iter().any(|it| it.number == lane && it.joined)
    }
}

/// How a read is to be served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub want: Want,
    /// How long it is waited for before it is asked elsewhere too; none while nothing is known of the database.
    pub patience: Option<Duration>,
}

/// How a connection comes into use.
pub(super) struct Opened {
    pub now: Instant,
    /// It had waited in the pool.
    pub warm: bool,
    /// For one read alone.
    pub closed: bool,
}

/// Which read on which connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub lane: u64,
    number: u64,
    pub since: Instant,
}

/// One read's part in a connection.
pub(super) struct Share {
    pool: Arc<Pool>,
    part: Part,
    reader: Option<Arc<dyn Reader>>,
    /// The connection had been used before, and may have died without a sign.
    warm: bool,
}

impl Share {
    pub(super) fn reader(&self) -> &dyn Reader {
        match &self.reader {
            Some(reader) => reader.as_ref(),
            None => unreachable!("a share is used after it was given back"),
        }
    }

    pub(super) fn part(&self) -> Part {
        self.part
    }

    /// To be told how every read ended. Whether the connection turned out to be dead, or went with another read: once
    /// more elsewhere is safe.
    pub(super) fn note<T>(&self, statement: &str, result: &Result<T, DatabaseError>) -> bool {
        let fault = result.as_ref().err().map(|error| error.fault);
        let mut state = self.pool.state();
        if matches!(fault, None | Some(Fault::StatementTimeout)) {
            state.lanes.ended(&self.part, Instant::now(), statement, fault.is_none());
        }
        fault == Some(Fault::ConnectionLost) && (self.warm || state.lanes.was_joined(self.part.lane))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // Before the connection may be closed, which takes that nobody else holds it.
        self.reader = None;
        let now = Instant::now();
        self.pool.was_held(now.duration_since(self.part.since));
        if let Some(reader) = self.pool.leave(&self.part, now) {
            self.pool.give_back(Some(Warm::Reads(reader)));
        }
    }
}
