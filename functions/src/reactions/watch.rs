//! Says loudly that a commit was changed or removed. No role may update or delete one, and every put of ours is on
//! condition that there is none; a put without the condition IAM cannot refuse. So whoever did it has gone around our
//! code; the chain shows later what, and this shows at once that.

use super::records::{self, Record};
use super::{Change, Handled, Reacted, Reaction, Trigger, Woken};
use crate::endpoint::Function;
use infra::storage::dynamodb::tables::TableName;
use serde_json::{Value, json};
use std::time::Duration;

/// What the alarm counts.
pub const LOG_TAMPERED: &str = "LogTampered";

pub static REACTION: Reaction = Reaction {
    name: "log-watch",
    summary: "Raises the alarm when a commit was changed or removed",
    woken_by: Trigger::Stream {
        table: TableName::Commits,
        items: "C#",
        changes: &[Change::Modify, Change::Remove],
    },
    function: Function { grants: &[], memory_mb: 128, timeout: Duration::from_secs(10) },
    handle: |woken| -> Handled { Box::pin(handle(woken)) },
};

async fn handle(woken: Woken) -> Result<Reacted, String> {
    let tampered = tampered(&woken.event)?;
    for record in &tampered {
        tracing::error!(
            organization = record.organization(),
            item = record.item(),
            change = record.event_name.as_str(),
            "a commit was changed or removed behind the log's back; run audit/verify",
        );
    }
    let count = tampered.len() as u64;
    let counts = vec![(LOG_TAMPERED, count)];
    Ok(Reacted { answer: json!({ "tampered": count }), counts, ..Reacted::default() })
}

/// Inserts are how the log grows; the stream's filter keeps them away, and so does this.
fn tampered(event: &Value) -> Result<Vec<Record>, String> {
    let records = records::batch(event)?;
    let is_other = |record: &Record| match record.event_name {
        Change::Insert => false,
        Change::Modify | Change::Remove => true,
    };
    Ok(records.into_iter().filter(is_other).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_and_a_removed_commit_are_named_and_a_new_one_is_not() {
        let event = serde_json::from_str(include_str!("samples/stream.json")).unwrap();
        let tampered = tampered(&event).expect("a batch of a stream");
        let named: Vec<_> =
            tampered.iter().map(|record| (record.event_name, record.organization(), record.item())).collect();
        let (seventh, ninth) = ("C#00000000000000000007", "C#00000000000000000009");
        assert_eq!(
            named,
            [
                (Change::Modify, Some("default"), Some(seventh)),
                (Change::Remove, Some("default"), Some(ninth)),
            ]
        );
    }

    #[test]
    fn what_is_no_batch_is_an_error_and_not_an_empty_one() {
        assert!(tampered(&json!({ "records": [] })).is_err());
    }
}
