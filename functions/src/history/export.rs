//! A log as JSON Lines that anybody can verify without this service: the events as their bytes stand in the log, and
//! a signed checkpoint behind them.

use super::checkpoint::Checkpoint;
use crate::services::Services;
use events::{OrganizationId, Seq, json};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::io::{BufRead, Write};

const FORMAT: &str = "bindery.export.v1";
/// Commits that are in memory at once.
const COMMITS: usize = 256;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Header {
    format: String,
    organization: OrganizationId,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    seq: Seq,
    prev_hash: String,
    hash: String,
    /// Byte for byte as it is hashed.
    event: Box<RawValue>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Footer {
    checkpoint: Checkpoint,
}

/// What the reader of an export has from elsewhere.
#[derive(Default)]
pub struct Known {
    /// Of the service, as base64.
    pub public_key: Option<String>,
    /// One that was kept: the export must extend it.
    pub checkpoint: Option<Checkpoint>,
}

/// What an export was found to be.
#[derive(Debug, PartialEq, Eq)]
pub struct Checked {
    pub organization: OrganizationId,
    pub events: u64,
    /// Of the checkpoint's key, as base64: whose it is, the reader must know.
    pub public_key: String,
}

impl Services {
    /// Writes all events up to a head, and the checkpoint of that head.
    ///
    /// # Errors
    /// One sentence.
    pub async fn export(
        &self,
        organization: &OrganizationId,
        out: &mut (dyn Write + Send),
    ) -> Result<u64, String> {
        let checkpoint = self.checkpoint(organization).await.map_err(|problem| problem.detail)?;
        write(out, &Header { format: FORMAT.to_owned(), organization: organization.clone() })?;
        let mut after = Seq(0);
        while after < checkpoint.seq {
            let events = self.log.stored(organization, after, COMMITS).await.map_err(|it| it.to_string())?;
            let Some(last) = events.last().map(|event| event.seq) else {
                return Err(format!("the log ends at {after}, before its head {}", checkpoint.seq));
            };
            for event in events.into_iter().filter(|event| event.seq <= checkpoint.seq) {
                let line = Line {
                    seq: event.seq,
                    prev_hash: hex::encode(event.prev_hash),
                    hash: hex::encode(event.hash),
                    event: RawValue::from_string(event.bytes).map_err(|error| error.to_string())?,
                };
                write(out, &line)?;
            }
            after = last;
        }
        let events = checkpoint.seq.0;
        write(out, &Footer { checkpoint })?;
        out.flush().map_err(|error| error.to_string())?;
        Ok(events)
    }
}

fn write(out: &mut (dyn Write + Send), line: &impl Serialize) -> Result<(), String> {
    let mut text = serde_json::to_string(line).map_err(|error| error.to_string())?;
    text.push('\n');
    out.write_all(text.as_bytes()).map_err(|error| error.to_string())
}

/// Verifies an export with nothing but itself and what its reader knows.
///
/// # Errors
/// The first line that is wrong, and what is wrong with it.
pub fn verify(export: impl BufRead, known: &Known) -> Result<Checked, String> {
    known.check()?;
    let mut lines = export.lines().enumerate();
    let mut next = || {
        let (at, line) = lines.next()?;
        Some(line.map(|line| (at + 1, line)).map_err(|error| format!("line {}: {error}", at + 1)))
    };
    let (_, first) = next().ok_or("the file is empty")??;
    let header: Header = serde_json::from_str(&first)
        .ok()
        .filter(|header: &Header| header.format == FORMAT)
        .ok_or_else(|| format!("line 1 is not the header of an export ({FORMAT})"))?;
    let (mut seq, mut hash) = (Seq(0), [0; 32]);
    let checkpoint = loop {
        let (at, line) = next().ok_or("the checkpoint at the end is missing: the file is cut off")??;
        if let Ok(footer) = serde_json::from_str::<Footer>(&line) {
            break footer.checkpoint;
        }
        let line: Line = serde_json::from_str(&line).map_err(|error| format!("line {at}: {error}"))?;
        let expected = Seq(seq.0 + 1);
        if line.seq != expected {
            return Err(format!("line {at}: event {expected} is missing, {} stands in its place", line.seq));
        }
        if line.prev_hash != hex::encode(hash) {
            return Err(format!("line {at}: event {} does not follow the one before it", line.seq));
        }
        hash = json::chain(&header.organization, line.seq, &hash, line.event.get().as_bytes());
        if line.hash != hex::encode(hash) {
            return Err(format!("line {at}: the bytes of event {} do not give its hash", line.seq));
        }
        seq = line.seq;
        known.check_event(seq, &line.hash)?;
    };
    if next().is_some() {
        return Err("there is something behind the checkpoint".to_owned());
    }
    if !checkpoint.is_signed() {
        return Err("the checkpoint's signature is not that of its public key".to_owned());
    }
    let at_head = (checkpoint.seq, checkpoint.hash.as_str()) == (seq, hex::encode(hash).as_str());
    if !at_head || checkpoint.organization != header.organization {
        return Err(format!("the checkpoint is of another log than the {seq} events before it"));
    }
    known.check_end(&checkpoint)?;
    Ok(Checked { organization: header.organization, events: seq.0, public_key: checkpoint.public_key })
}

impl Known {
    fn check(&self) -> Result<(), String> {
        match &self.checkpoint {
            Some(kept) if !kept.is_signed() => {
                Err("the checkpoint that was kept is not signed by the public key in it".to_owned())
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_event(&self, seq: Seq, hash: &str) -> Result<(), String> {
        match &self.checkpoint {
            Some(kept) if kept.seq == seq && kept.hash != hash => {
                Err(format!("event {seq} is not the one that the kept checkpoint saw: history was rewritten"))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_end(&self, end: &Checkpoint) -> Result<(), String> {
        let kept = self.checkpoint.as_ref();
        if let Some(kept) = kept.filter(|kept| kept.organization != end.organization) {
            let (kept, exported) = (&kept.organization, &end.organization);
            return Err(format!(
                "the kept checkpoint is of the organization {kept}, the export of {exported}"
            ));
        }
        if let Some(kept) = kept.filter(|kept| kept.seq > end.seq) {
            return Err(format!(
                "the export ends at event {}, the kept checkpoint saw {}",
                end.seq, kept.seq
            ));
        }
        let mut keys = self.public_key.iter().chain(kept.map(|kept| &kept.public_key));
        if let Some(key) = keys.find(|key| **key != end.public_key) {
            return Err(format!("the export is signed by the key {}, not by {key}", end.public_key));
        }
        Ok(())
    }
}
