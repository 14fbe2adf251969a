//! One commit, one transaction.
//!
//! The transaction puts the commit, moves HEAD on condition that it is where the decision was judged, remembers the
//! command, and leads the minted keys to their organization. Because HEAD is conditioned on the seq *and* the hash of
//! the state in memory, what is judged on that state is judged on the log's end: streams need no items of their own.
//!
//! The SDK does not retry here. When an answer is lost, the command's item says whether it happened; when it says no,
//! the first attempt may still be under way, and the next one may be sent all the same: both put the same command's
//! item on condition that there is none, so whichever lands second is cancelled as a whole. For the same reason an
//! attempt that lands after this function has given up appends nothing that a repetition would append again.

use super::errors::{Failure, Reason};
use super::items::{self, Item, number, text};
use super::memory::{Moment, Tip};
use super::reader::{self, HEAD, KEY, ORGANIZATIONS, Remembered};
use super::tables::{SORT, TableName};
use super::{DynamoStore, backoff};
use crate::storage::chain::{self, Head, Row};
use crate::storage::judging::{foreign_key, judge, minted};
use crate::storage::{AppendError, Commit, Committed, StoreError, replay};
use aws_sdk_dynamodb::config::Config;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use domain::Organization;
use domain::limits::IDEMPOTENCY_KEPT;
use events::{CommandId, KeyId, OrganizationId, Recorded, Seq};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Items of one transaction.
pub const TRANSACTION_ITEMS: usize = 100;
/// Keys that one commit may mint: the commit, HEAD, the command and a new organization's entry are items too.
const KEYS: usize = TRANSACTION_ITEMS - 4;

/// How long an append goes on losing against other processes: the log's ceiling is near 100 commits a second, so
/// more than this behind is an overload.
const CONTENDED: Duration = Duration::from_secs(5);

/// The attempts of one append.
struct Attempts {
    started: Instant,
    /// When the service last judged a transaction; after `operation` of silence and excuses the append gives up.
    judged: Instant,
    failed: u32,
    /// The hashes that were sent: a commit that bears one of them is this call's own.
    sent: Vec<[u8; 32]>,
}

impl DynamoStore {
    pub(super) async fn append_commit(&self, commit: Commit) -> Result<Committed, AppendError> {
        let organization = commit.organization.clone();
        let turn = self.memory.turn(&organization);
        // Whoever has waited for as long as a store may be silent goes ahead without.
        let _turn = tokio::time::timeout(self.patience.operation, turn.lock()).await.ok();
        let now = Instant::now();
        let mut attempts = Attempts { started: now, judged: now, failed: 0, sent: Vec::new() };
        let (mut tip, mut confirmed) = match self.memory.get(&organization) {
            Some(tip) => (tip, false),
            None => (self.confirmed(&organization).await?, true),
        };
        loop {
            let prepared = match Prepared::new(&tip, commit.clone()) {
                Ok(prepared) => prepared,
                // Nothing is refused on memory alone.
                Err(_) if !confirmed => {
                    (tip, confirmed) = (self.confirmed(&organization).await?, true);
                    continue;
                }
                // Whatever it asks for and expects now, the command may have happened.
                Err(refused) => return self.found(&commit, &attempts).await?.ok_or(refused),
            };
            let asked = Moment::now();
            attempts.sent.push(prepared.row.hash);
            match self.send(&tip.head, &commit.command_id, &prepared).await {
                Ok(()) => {
                    let tip = Tip { head: prepared.head(), state: Arc::new(prepared.state) };
                    self.memory.confirm(&tip, asked);
                    return Ok(Committed { events: prepared.events, replayed: false, state: tip.state });
                }
                Err(Failure::Cancelled(reasons)) => {
                    attempts.judged = Instant::now();
                    if let Some(found) = self.found(&commit, &attempts).await? {
                        return Ok(found);
                    }
                    if let Some(key) = prepared.foreign(&reasons) {
                        return Err(foreign_key(key));
                    }
                    let now = self.confirmed(&organization).await?;
                    if now.head == tip.head {
                        // HEAD's own condition held, so no other append was under way.
                        let stands = reasons.get(1) == Some(&Reason::Fine);
                        if stands && reasons.first() == Some(&Reason::Condition) {
                            // The commit's place is taken by one that HEAD does not know.
                            let seq = Seq(tip.head.seq.0 + 1);
                            let reason = "a commit stands behind the head".to_owned();
                            return Err(StoreError::Corrupt { seq, reason }.into());
                        }
                        // Another transaction is being applied: its items are seen one by one.
                        tokio::time::sleep(backoff(self.patience.backoff, attempts.failed)).await;
                        attempts.failed += 1;
                    }
                    if attempts.started.elapsed() > CONTENDED {
                        let reason = "too many others append at the same time".to_owned();
                        return Err(StoreError::Unavailable(reason).into());
                    }
                    (tip, confirmed) = (now, true);
                }
                Err(Failure::Refused(reason)) => return Err(StoreError::Unavailable(reason).into()),
                Err(failure @ (Failure::Busy(_) | Failure::Lost(_))) => {
                    self.wait(&mut attempts, failure).await?;
                    if let Some(found) = self.found(&commit, &attempts).await? {
                        return Ok(found);
                    }
                }
            }
        }
    }

    /// Before a transaction is tried again.
    async fn wait(&self, attempts: &mut Attempts, failure: Failure) -> Result<(), StoreError> {
        let wait = backoff(self.patience.backoff, attempts.failed);
        attempts.failed += 1;
        if attempts.judged.elapsed() + wait > self.patience.operation {
            return Err(failure.into());
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// What stands in the log for this command.
    async fn found(&self, commit: &Commit, attempts: &Attempts) -> Result<Option<Committed>, StoreError> {
        let Some(remembered) = self.reader().command(&commit.organization, &commit.command_id).await? else {
            return Ok(None);
        };
        let mut committed = self.remembered(&commit.organization, remembered).await?;
        committed.replayed = !attempts.sent.contains(&remembered.hash);
        Ok(Some(committed))
    }

    pub(super) async fn remembered(
        &self,
        organization: &OrganizationId,
        command: Remembered,
    ) -> Result<Committed, StoreError> {
        let missing = |reason: &str| StoreError::Corrupt { seq: command.first, reason: reason.to_owned() };
        let before =
            command.first.0.checked_sub(1).ok_or_else(|| missing("a command is remembered there"))?;
        let count = usize::try_from(command.last.0.saturating_sub(before)).unwrap_or(usize::MAX);
        let is_young = self.is_young(command.recorded_at);
        let give_up = Instant::now() + self.patience.operation;
        let mut looks = 0;
        loop {
            // Plain reads see a transaction's items one by one: the command's may be the first.
            let state = self.at_least(organization, command.last).await?;
            if state.head >= command.last {
                let events = replay::events(&mut self.reader(), organization, Seq(before), count).await?;
                if events.last().map(|event| event.hash) == Some(command.hash) {
                    return Ok(Committed { events, replayed: true, state });
                }
            }
            if !is_young {
                return Err(missing("the commit of a remembered command is missing or another"));
            }
            let wait = backoff(self.patience.backoff, looks);
            if Instant::now() + wait > give_up {
                let reason = "a commit is not to be seen yet as a whole".to_owned();
                return Err(StoreError::Unavailable(reason));
            }
            tokio::time::sleep(wait).await;
            looks += 1;
        }
    }

    async fn send(&self, head: &Head, command: &CommandId, prepared: &Prepared) -> Result<(), Failure> {
        let once = Config::builder().retry_config(RetryConfig::disabled());
        let sent = self
            .client
            .transact_write_items()
            .set_transact_items(Some(self.transaction(head, command, prepared)?))
            .customize()
            .config_override(once)
            .send()
            .await;
        sent.map(|_| ()).map_err(Failure::of)
    }

    /// The commit, HEAD, the command, the keys, and what a first commit adds; in this order.
    fn transaction(
        &self,
        head: &Head,
        command: &CommandId,
        prepared: &Prepared,
    ) -> Result<Vec<TransactWriteItem>, Failure> {
        let (organization, row) = (&prepared.state.id, &prepared.row);
        let mut puts = vec![
            absent(Put::builder().table_name(self.names.table(TableName::Commits)))
                .set_item(Some(reader::row_item(organization, row))),
        ];
        let heads = || Put::builder().table_name(self.names.table(TableName::Heads));
        let moved = items::item(organization.as_str(), HEAD, reader::head_attributes(&prepared.head()));
        puts.push(if head.seq == Seq(0) {
            absent(heads()).set_item(Some(moved))
        } else {
            heads()
                .set_item(Some(moved))
                .condition_expression("#seq = :seq AND #hash = :hash")
                .expression_attribute_names("#seq", "seq")
                .expression_attribute_names("#hash", "hash")
                .expression_attribute_values(":seq", number(head.seq.0))
                .expression_attribute_values(":hash", items::bytes(head.hash))
        });
        puts.push(absent(heads()).set_item(Some(command_item(organization, command, prepared))));
        for key in &prepared.keys {
            let leads = [("owner", text(organization.as_str()))];
            puts.push(
                heads()
                    .set_item(Some(items::item(&reader::key_partition(key), KEY, leads)))
                    .condition_expression("attribute_not_exists(#sort) OR #owner = :owner")
                    .expression_attribute_names("#sort", SORT)
                    .expression_attribute_names("#owner", "owner")
                    .expression_attribute_values(":owner", text(organization.as_str())),
            );
        }
        if head.seq == Seq(0) {
            let entry = items::key(ORGANIZATIONS, &reader::organization_item(organization));
            puts.push(heads().set_item(Some(entry)));
        }
        let built = |put: aws_sdk_dynamodb::types::builders::PutBuilder| {
            let put = put.build().map_err(|error| Failure::Refused(error.to_string()))?;
            Ok(TransactWriteItem::builder().put(put).build())
        };
        puts.into_iter().map(built).collect()
    }
}

fn absent(
    put: aws_sdk_dynamodb::types::builders::PutBuilder,
) -> aws_sdk_dynamodb::types::builders::PutBuilder {
    put.condition_expression("attribute_not_exists(#sort)").expression_attribute_names("#sort", SORT)
}

fn command_item(organization: &OrganizationId, command: &CommandId, prepared: &Prepared) -> Item {
    let row = &prepared.row;
    let kept = i64::try_from(IDEMPOTENCY_KEPT.as_secs()).unwrap_or(i64::MAX);
    items::item(
        organization.as_str(),
        &reader::command_item(command),
        [
            ("first", number(row.seq.0 + 1 - prepared.events.len() as u64)),
            ("last", number(row.seq.0)),
            ("hash", items::bytes(row.hash)),
            ("expires", number(row.recorded_at.as_second().saturating_add(kept))),
        ],
    )
}

/// A commit that was judged, stamped and folded behind a tip; nothing of it is written yet.
struct Prepared {
    row: Row,
    events: Vec<Recorded>,
    state: Organization,
    keys: Vec<KeyId>,
}

impl Prepared {
    fn new(tip: &Tip, commit: Commit) -> Result<Self, AppendError> {
        judge(&tip.state, &commit.expects)?;
        let (row, events) = chain::stamp(&tip.head, commit)?;
        let keys: BTreeSet<KeyId> = minted(&events).map(|(_, key)| key.clone()).collect();
        if keys.len() > KEYS {
            return Err(AppendError::BadSize { events: events.len(), bytes: row.body.len() });
        }
        // The fold comes first: what it cannot take must not be written.
        let mut state = Organization::clone(&tip.state);
        for event in &events {
            replay::apply(&mut state, event)?;
        }
        Ok(Self { row, events, state, keys: keys.into_iter().collect() })
    }

    fn head(&self) -> Head {
        Head { seq: self.row.seq, hash: self.row.hash, recorded_at: self.row.recorded_at }
    }

    /// The first key that leads elsewhere. Keys stand behind the commit, HEAD and the command.
    fn foreign(&self, reasons: &[Reason]) -> Option<&KeyId> {
        let of_keys = reasons.iter().skip(3);
        let refused = self.keys.iter().zip(of_keys).find(|(_, reason)| **reason == Reason::Condition);
        refused.map(|(key, _)| key)
    }
}
