//! Connections that several calls read from at once. Their statements travel together, and the server answers one after
//! the other: who comes second waits for the first, and saves both sides most of the work of sending and receiving.

use super::checkout::Checkout;
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
/// How many that is before anything is known of it.
pub(super) const AT_FIRST: u32 = 8;
/// And at least, for without a second one there is no pace.
const AT_LEAST: u32 = 2;
/// How many answers the pace looks back on, about.
const PACE_WEIGHT: u32 = 16;
/// Nobody joins a connection whose oldest read takes longer than the pool's quickest by this: while others are free he
/// is better off there, and in line if none is.
const SLOW: Duration = Duration::from_millis(2);
/// Who waits longer than this, and four times what his statement takes, asks elsewhere too: others may be in his way, or
/// the server's process of this connection may not get a processor.
const PATIENCE: Duration = Duration::from_millis(4);
/// Who has less time than this has a connection for himself: he will have it stopped, and others would have to run again.
pub(super) const LITTLE_TIME: Duration = Duration::from_millis(50);
/// So many reads have to be answered for one that may ask twice: under load all wait, and asking twice makes more of it.
const ASKING_TWICE: u32 = 16;
/// And so many may at once.
const ASKING_TWICE_MAX: u32 = 10 * ASKING_TWICE;
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
            pace: AT_ITS_PACE / AT_FIRST,
            credit: ASKING_TWICE_MAX,
            quickest: Duration::ZERO,
            slow: HashMap::new(),
        }
    }
}

impl Lanes {
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
        let open = self.lanes.iter_mut().filter(|lane| lane.has_room(now, quickest, most));
        let lane = open.max_by_key(|lane| lane.reads.len())?;
        let number = self.next;
        self.next += 1;
        lane.reads.push_back((number, now));
        lane.joined = true;
        Some(Share {
            pool: pool.clone(),
            lane: lane.number,
            number,
            reader: Some(lane.reader.clone()),
            since: now,
            warm: true,
        })
    }

    /// The first part in a connection that is in use from here on.
    pub(super) fn open(&mut self, pool: &Arc<Pool>, reader: Arc<dyn Reader>, opened: Opened) -> Share {
        let Opened { warm, closed, now } = opened;
        let number = self.next;
        self.next += 1;
        let reads = VecDeque::from([(number, now)]);
        self.lanes.push(Lane { number, reader: reader.clone(), closed, joined: false, reads, left: None });
        let reader = Some(reader);
        Share { pool: pool.clone(), lane: number, number, reader, since: now, warm }
    }

    /// How many reads a connection is given.
    fn most(&self) -> usize {
        let most = AT_ITS_PACE.as_nanos() / self.pace.as_nanos().max(1);
        usize::try_from(most).unwrap_or(usize::MAX).clamp(AT_LEAST as usize, limits::READS_AT_ONCE)
    }

    /// The connection, if that was the last read on it.
    pub(super) fn leave(
        &mut self,
        lane: u64,
        number: u64,
        since: Instant,
        now: Instant,
    ) -> Option<Arc<dyn Reader>> {
        let at = self.lanes.iter().position(|it| it.number == lane)?;
        // Of who came after the last one had ended, the way to the server and back is a part.
        if let Some(left) = self.lanes[at].left.replace(now).filter(|left| since < *left) {
            let gap = now.duration_since(left).min(AT_ITS_PACE);
            self.pace = self.pace - self.pace / PACE_WEIGHT + gap / PACE_WEIGHT;
        }
        self.lanes[at].reads.retain(|(read, _)| *read != number);
        self.lanes[at].reads.is_empty().then(|| self.lanes.swap_remove(at).reader)
    }

    /// Whether one more read may ask twice.
    pub(super) fn may_ask_twice(&mut self) -> bool {
        let left = self.credit.checked_sub(ASKING_TWICE);
        self.credit = left.unwrap_or(self.credit);
        left.is_some()
    }

    /// One that was not answered says only that its statement is slow.
    pub(super) fn took(&mut self, statement: &str, took: Duration, answered: bool) {
        self.credit = ASKING_TWICE_MAX.min(self.credit + 1);
        if answered {
            match took.checked_sub(self.quickest) {
                Some(longer) if !self.quickest.is_zero() => self.quickest += longer / QUICKEST_WEIGHT,
                _ => self.quickest = took,
            }
        }
        let beyond = took.saturating_sub(self.quickest);
        if beyond < SLOW && (self.slow.is_empty() || !answered) {
            return;
        }
        let before = self.slow.get(statement).copied().unwrap_or_default();
        let average = before - before / SLOW_WEIGHT + beyond / SLOW_WEIGHT;
        if average < SLOW {
            self.slow.remove(statement);
        } else {
            self.slow.insert(statement.to_owned(), average);
        }
    }

    fn was_joined(&self, lane: u64) -> bool {
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

/// One read's part in a connection.
pub(super) struct Share {
    pool: Arc<Pool>,
    lane: u64,
    number: u64,
    reader: Option<Arc<dyn Reader>>,
    since: Instant,
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

    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// A place where the same may be asked, if it is worth it and there is one. Another connection is opened for it only
    /// where others may be in the way.
    pub(super) fn elsewhere(&self, deadline: Instant) -> Option<Checkout> {
        let is_worth_it = self.reader().shares() && Instant::now() + LITTLE_TIME < deadline;
        let others = self.was_joined();
        if is_worth_it { Pool::second_place(&self.pool, others) } else { None }
    }

    /// To be told how every read ended.
    pub(super) fn note<T>(&self, statement: &str, result: &Result<T, DatabaseError>) {
        let answered = match result {
            Ok(_) => true,
            Err(error) if error.fault == Fault::StatementTimeout => false,
            Err(_) => return,
        };
        let took = self.since.elapsed();
        self.pool.state().lanes.took(statement, took, answered);
    }

    /// Whether the connection turned out to be dead, or went with another read: once more elsewhere is safe.
    pub(super) fn may_run_again<T>(&self, result: &Result<T, DatabaseError>) -> bool {
        matches!(result, Err(error) if error.fault == Fault::ConnectionLost)
            && (self.warm || self.was_joined())
    }

    /// Whether others have read from the connection meanwhile.
    fn was_joined(&self) -> bool {
        self.pool.state().lanes.was_joined(self.lane)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // Before the connection may be closed, which takes that nobody else holds it.
        self.reader = None;
        let now = Instant::now();
        self.pool.was_held(now.duration_since(self.since));
        if let Some(reader) = self.pool.leave(self.lane, self.number, self.since, now) {
            self.pool.give_back(Some(Warm::Reads(reader)));
        }
    }
}
