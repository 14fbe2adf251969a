//! How a commit becomes a row and a row becomes events again, the same for every backend.
//!
//! A row holds 1 to 100 events and is found by the `seq` of its last one. Its body is a JSON array with nothing
//! between the events but commas, so every byte of it is either hashed or known.

use super::{AppendError, Commit, StoreError, Verified};
use domain::consequence::is_consequence;
use domain::limits::{COMMIT_BYTES, COMMIT_EVENTS};
use events::{EventId, OrganizationId, Recorded, Seq, json};
use jiff::Timestamp;
use serde_json::value::RawValue;
use uuid::{NoContext, Uuid};

/// The end of an organization's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub seq: Seq,
    pub hash: [u8; 32],
    pub recorded_at: Timestamp,
}

impl Head {
    /// Before the first event.
    pub const START: Head = Head { seq: Seq(0), hash: [0; 32], recorded_at: Timestamp::UNIX_EPOCH };
}

/// One commit as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Of its last event.
    pub seq: Seq,
    /// Of its last event.
    pub recorded_at: Timestamp,
    /// Before its first event.
    pub prev_hash: [u8; 32],
    /// After its last event.
    pub hash: [u8; 32],
    pub body: Vec<u8>,
}

/// Puts a commit's events behind `head`.
pub fn stamp(head: &Head, commit: Commit) -> Result<(Row, Vec<Recorded>), AppendError> {
    let count = commit.events.len();
    if !(1..=COMMIT_EVENTS).contains(&count) {
        return Err(AppendError::BadSize { events: count, bytes: 0 });
    }
    let mut at = *head;
    let mut body = vec![b'['];
    let mut recorded = Vec::with_capacity(count);
    for (subject, event) in commit.events {
        let seq = Seq(at.seq.0 + 1);
        let recorded_at = next_instant(at.recorded_at, commit.now);
        let id = event_id(recorded_at);
        let first = recorded.first().map(|first: &Recorded| &first.id);
        let cause = first.filter(|_| is_consequence(&event)).or(commit.cause.as_ref()).cloned();
        let (actor, request_id) = (&commit.actor, &commit.request_id);
        let bytes = json::encode(&id, &subject, actor, request_id, cause.as_ref(), recorded_at, &event)
            .map_err(|error| StoreError::Corrupt { seq, reason: error.to_string() })?;
        let hash = json::chain(&commit.organization, seq, &at.hash, bytes.get().as_bytes());
        if body.len() > 1 {
            body.push(b',');
        }
        body.extend_from_slice(bytes.get().as_bytes());
        recorded.push(Recorded {
            organization: commit.organization.clone(),
            seq,
            id,
            subject,
            actor: commit.actor.clone(),
            request_id: commit.request_id.clone(),
            cause,
            recorded_at,
            event,
            prev_hash: at.hash,
            hash,
        });
        at = Head { seq, hash, recorded_at };
    }
    body.push(b']');
    if body.len() > COMMIT_BYTES {
        return Err(AppendError::BadSize { events: count, bytes: body.len() });
    }
    let row = Row { seq: at.seq, recorded_at: at.recorded_at, prev_hash: head.hash, hash: at.hash, body };
    Ok((row, recorded))
}

/// Whole microseconds, and never the same twice: a date finds its `seq` by binary search.
fn next_instant(last: Timestamp, now: Timestamp) -> Timestamp {
    let micros = now.as_microsecond().max(last.as_microsecond().saturating_add(1));
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}

fn event_id(at: Timestamp) -> EventId {
    let seconds = u64::try_from(at.as_second()).unwrap_or_default();
    let nanoseconds = u32::try_from(at.subsec_nanosecond()).unwrap_or_default();
    let id = Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanoseconds));
    EventId::from(format!("evt_{}", id.simple()))
}

/// A position in the chain, moved along row by row.
#[derive(Clone, Debug)]
pub struct Chain<'o> {
    organization: &'o OrganizationId,
    at: Head,
}

/// Why a row does not follow, and the `seq` from which on the log is not to be believed: the row's first event, for
/// the hashes between a row's events are not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub seq: Seq,
    pub reason: String,
}

impl From<Broken> for StoreError {
    fn from(broken: Broken) -> Self {
        StoreError::Corrupt { seq: broken.seq, reason: broken.reason }
    }
}

impl<'o> Chain<'o> {
    pub fn after(organization: &'o OrganizationId, head: Head) -> Self {
        Self { organization, at: head }
    }

    /// Where `row` claims to begin. What it follows is not looked at.
    pub fn before(organization: &'o OrganizationId, row: &Row) -> Result<Self, Broken> {
        let broken = |reason: &str| Broken { seq: row.seq, reason: reason.to_owned() };
        let count = parts(&row.body).map_err(|reason| broken(&reason))?.len() as u64;
        let first = row.seq.0.checked_sub(count).ok_or_else(|| broken("it begins before the log"))?;
        let at = Head { seq: Seq(first), hash: row.prev_hash, recorded_at: Timestamp::UNIX_EPOCH };
        Ok(Self { organization, at })
    }

    pub fn at(&self) -> &Head {
        &self.at
    }

    /// Checks that the row is the next one and that its bytes give its hash, and moves behind it.
    pub fn follow<'r>(&mut self, row: &'r Row) -> Result<Vec<Link<'r>>, Broken> {
        let broken = |reason: &str| Broken { seq: Seq(self.at.seq.0 + 1), reason: reason.to_owned() };
        let parts = parts(&row.body).map_err(|reason| broken(&reason))?;
        if self.at.seq.0 + parts.len() as u64 != row.seq.0 {
            return Err(broken("the events before it are missing, or it holds more or fewer than it did"));
        }
        if row.prev_hash != self.at.hash {
            return Err(broken("it does not follow the event before it"));
        }
        let (mut seq, mut hash) = (self.at.seq, self.at.hash);
        let mut links = Vec::with_capacity(parts.len());
        for bytes in parts {
            let prev = hash;
            seq = Seq(seq.0 + 1);
            hash = json::chain(self.organization, seq, &prev, bytes.get().as_bytes());
            links.push(Link { seq, prev, hash, bytes });
        }
        if hash != row.hash {
            return Err(broken("its bytes do not give its hash"));
        }
        let recorded_at = links.last().and_then(|link| json::recorded_at(link.bytes));
        if recorded_at != Some(row.recorded_at) || row.recorded_at <= self.at.recorded_at {
            return Err(broken(
                "its time is not the one that its last event tells, or not after the one before",
            ));
        }
        self.at = Head { seq, hash, recorded_at: row.recorded_at };
        Ok(links)
    }

    /// The same, with the events.
    pub fn decode(&mut self, row: &Row) -> Result<Vec<Recorded>, Broken> {
        let links = self.follow(row)?;
        let decode = |link: Link<'_>| {
            json::decode(self.organization, link.seq, &link.prev, &link.hash, link.bytes)
                .map_err(|error| Broken { seq: link.seq, reason: error.to_string() })
        };
        links.into_iter().map(decode).collect()
    }
}

/// One event of a checked row.
#[derive(Clone, Copy, Debug)]
pub struct Link<'r> {
    pub seq: Seq,
    pub prev: [u8; 32],
    pub hash: [u8; 32],
    pub bytes: &'r RawValue,
}

fn parts(body: &[u8]) -> Result<Vec<&RawValue>, String> {
    let parts: Vec<&RawValue> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let bytes: usize = parts.iter().map(|part| part.get().len()).sum();
    // Brackets and commas; a blank anywhere would be a byte that no hash covers.
    if parts.is_empty() || body.len() != bytes + parts.len() + 1 {
        return Err("it holds no events, or bytes between them".to_owned());
    }
    Ok(parts)
}

/// Recomputes a log row by row; the backend brings the rows in order and says when there are no more.
#[derive(Clone, Debug)]
pub struct Verifier {
    organization: OrganizationId,
    at: Head,
    first_bad: Option<Seq>,
}

impl Verifier {
    pub fn new(organization: &OrganizationId) -> Self {
        Self { organization: organization.clone(), at: Head::START, first_bad: None }
    }

    /// How far the chain holds.
    pub fn at(&self) -> &Head {
        &self.at
    }

    /// Takes the next rows. False when the log is broken there; nothing behind that is worth looking at.
    pub fn take(&mut self, rows: &[Row]) -> bool {
        let mut chain = Chain::after(&self.organization, self.at);
        self.first_bad = rows.iter().find_map(|row| chain.follow(row).err()).map(|broken| broken.seq);
        self.at = *chain.at();
        self.first_bad.is_none()
    }

    /// `head` is what the log says of itself apart from its rows: rows cut off at the end, or added behind it, do
    /// not pass.
    pub fn finish(self, head: &Head) -> Verified {
        let at = self.at;
        let first_bad = self.first_bad.or_else(|| {
            if at.seq == head.seq {
                (at.hash != head.hash).then_some(at.seq)
            } else {
                Some(Seq(at.seq.min(head.seq).0 + 1))
            }
        });
        Verified { events: at.seq.0, head: head.seq, head_hash: head.hash, first_bad }
    }
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
