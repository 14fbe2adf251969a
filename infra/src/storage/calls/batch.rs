//! Records on their way to where they are kept, in the form they are kept in: as text, those of an agent together. A
//! record that waits costs its text and no more, whatever it is made of.

use super::{CallRecord, IN_DOUBT};
use crate::storage::StoreError;
use events::{AgentId, OrganizationId};
use std::collections::HashMap;

/// Bytes of buffers that are held on to, of all agents together: a busy server fills half of it many times a second.
const ROOM: usize = 1 << 20;
/// A full part is followed by another, so that whoever looks for one record reads no more than this many.
pub const PART_RECORDS: usize = 4096;

#[derive(Clone, Default)]
pub struct Batch {
    agents: HashMap<OrganizationId, HashMap<AgentId, Vec<Part>>>,
    len: usize,
}

/// Some records of one agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The lowest and the highest id. Others lie between them, in no order.
    pub first: String,
    pub last: String,
    pub len: usize,
    pub in_doubt: bool,
    /// [`key_of_lookup`] and [`key_of_call`] of all records that have them, one after the other.
    pub keys: Vec<u8>,
    /// A line of JSON for each, which has no line break of its own.
    pub lines: Vec<u8>,
}

impl Batch {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn push(&mut self, record: &CallRecord) {
        self.len += 1;
        let agents = entry(&mut self.agents, &record.organization);
        let parts = entry(agents, &record.agent);
        match parts.last_mut() {
            Some(part) if part.len < PART_RECORDS => part.push(record),
            Some(_) | None => parts.push(Part::of(std::slice::from_ref(record))),
        }
    }

    /// Has these come after its own.
    pub fn append(&mut self, others: Batch) {
        self.len += others.len;
        for (organization, others) in others.agents {
            let agents = self.agents.entry(organization).or_default();
            for (agent, parts) in others {
                agents.entry(agent).or_default().extend(parts);
            }
        }
    }

    /// Nothing, with room for what was in it: who was heard of this time is likely to be heard of again.
    pub fn emptied(mut self) -> Self {
        self.len = 0;
        let mut room = ROOM;
        self.agents.retain(|_, agents| {
            agents.retain(|_, parts| {
                parts.truncate(1);
                parts.retain_mut(|part| part.empty(&mut room));
                !parts.is_empty()
            });
            !agents.is_empty()
        });
        self
    }

    pub fn parts(&self) -> impl Iterator<Item = (&OrganizationId, &AgentId, &Part)> {
        let parts = self.agents.iter().flat_map(|(organization, agents)| {
            agents
                .iter()
                .flat_map(move |(agent, parts)| parts.iter().map(move |part| (organization, agent, part)))
        });
        parts.filter(|(_, _, part)| part.len > 0)
    }

    /// # Errors
    /// Never, for lines that it has made itself.
    pub fn records<'b>(&'b self) -> Result<Vec<CallRecord>, StoreError> {
        let lines = |part: &'b Part| part.lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        self.parts().flat_map(|(_, _, part)| lines(part)).map(super::read).collect()
    }
}

impl<'r> FromIterator<&'r CallRecord> for Batch {
    fn from_iter<T: IntoIterator<Item = &'r CallRecord>>(records: T) -> Self {
        let mut batch = Self::default();
        records.into_iter().for_each(|record| batch.push(record));
        batch
    }
}

/// Looks before it copies the name, which is new only once for each batch.
fn entry<'m, K: Clone + Eq + std::hash::Hash, V: Default>(map: &'m mut HashMap<K, V>, key: &K) -> &'m mut V {
    if !map.contains_key(key) {
        map.insert(key.clone(), V::default());
    }
    map.get_mut(key).expect("is there now")
}

impl Part {
    pub fn of(records: &[CallRecord]) -> Self {
        let mut part = Self::default();
        records.iter().for_each(|record| part.push(record));
        part
    }

    fn push(&mut self, record: &CallRecord) {
        if self.len == 0 || record.id < self.first {
            self.first.clone_from(&record.id);
        }
        if record.id > self.last {
            self.last.clone_from(&record.id);
        }
        self.len += 1;
        self.in_doubt |= record.outcome == IN_DOUBT;
        self.keys.extend(record.lookup_hash().map(key_of_lookup).into_iter().flatten());
        self.keys.extend(record.call_id.as_deref().map(key_of_call).into_iter().flatten());
        serde_json::to_writer(&mut self.lines, record).expect("records are JSON");
        self.lines.push(b'\n');
    }

    /// Whether there was something in it, and its buffer is within what may be kept, which it is taken from.
    fn empty(&mut self, room: &mut usize) -> bool {
        let left = room.checked_sub(self.lines.capacity()).filter(|_| self.len > 0);
        *room = left.unwrap_or(*room);
        self.len = 0;
        self.in_doubt = false;
        self.first.clear();
        self.last.clear();
        self.keys.clear();
        self.lines.clear();
        left.is_some()
    }

    /// Both in one.
    pub fn join(&mut self, other: Part) {
        if self.len == 0 || other.first < self.first {
            self.first = other.first;
        }
        if other.last > self.last {
            self.last = other.last;
        }
        self.len += other.len;
        self.in_doubt |= other.in_doubt;
        self.keys.extend(other.keys);
        self.lines.extend(other.lines);
    }
}

/// Says where a record may be, and not that it is there: others have the same.
pub fn key_of_lookup(hash: &str) -> [u8; 4] {
    key(b"lookup ", hash)
}

pub fn key_of_call(call: &str) -> [u8; 4] {
    key(b"call ", call)
}

fn key(way: &[u8], name: &str) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(way);
    hasher.update(name.as_bytes());
    hasher.finalize().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::calls::sample;
    use jiff::Timestamp;

    fn record(id: &str, agent: &str, outcome: &'static str) -> CallRecord {
        let (outcome, call_id) = (outcome.into(), Some(format!("call of {id}")));
        CallRecord { id: id.to_owned(), outcome, call_id, ..sample(agent, Timestamp::UNIX_EPOCH) }
    }

    #[test]
    fn an_emptied_batch_is_filled_as_a_new_one_is() {
        let before = [record("9", "agt_1", IN_DOUBT), record("8", "agt_2", "ok")];
        let after = [record("5", "agt_1", "ok"), record("4", "agt_1", "ok")];
        let mut batch = before.iter().collect::<Batch>().emptied();
        assert!(batch.is_empty() && batch.parts().next().is_none());
        after.iter().for_each(|record| batch.push(record));
        let parts: Vec<_> = batch.parts().map(|(_, agent, part)| (agent.as_str(), part)).collect();
        assert_eq!(parts, [("agt_1", &Part::of(&after))]);
    }

    #[test]
    fn room_is_kept_for_those_that_were_heard_of_and_no_more_than_so_much() {
        let agents: Vec<String> = (0..40).map(|agent| format!("agt_{agent}")).collect();
        let long = "x".repeat(ROOM / 20);
        let long = |agent: &String| CallRecord { tool: long.clone(), ..record("1", agent, "ok") };
        let kept = |batch: &Batch| -> usize {
            let parts = batch.agents.values().flat_map(HashMap::values).flatten();
            parts.map(|part| part.lines.capacity()).sum()
        };
        let batch = agents.iter().map(long).collect::<Vec<_>>().iter().collect::<Batch>();
        assert!(kept(&batch) > ROOM);
        let batch = batch.emptied();
        assert!((1..=ROOM).contains(&kept(&batch)), "{}", kept(&batch));
        assert_eq!(kept(&batch.emptied()), 0, "nobody was heard of");
    }
}
