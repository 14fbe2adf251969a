//! Answers to requests that may be repeated: one item a slot, taken, kept and given back in transactions.
//!
//! An item that runs or is in doubt has no time after which DynamoDB may delete it: forgetting it would let the same
//! write run twice. Answers get theirs when they are finished; until it is deleted, an answer whose time is over is as
//! good as none.

mod attempts;
mod running;
mod settling;

pub use attempts::Attempts;

use super::DynamoStore;
use super::append::TRANSACTION_ITEMS;
use super::errors::{Failure, Reason};
use super::items::{self, Filter, Item, Range, bytes, get_bytes, get_number, get_text, number, text};
use super::tables::{RUNNING, SORT, TableName};
use super::transact::unbuilt;
use crate::sealing::Sealed;
use crate::storage::{
    Abandoned, AnswerSlot, AnswerState, AnswerStore, Begun, Settlement, StoreError, Voided,
};
use async_trait::async_trait;
use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem, Update};
use domain::limits::IDEMPOTENCY_KEPT;
use events::OrganizationId;
use futures_util::future::try_join_all;
use jiff::Timestamp;

const BODY_HASH: &str = "body_hash";
const STATE: &str = "state";
/// What the attempt that took it is named by.
const ATTEMPT: &str = "attempt";
/// The process that runs it.
const OWNER: &str = "owner";
/// The second at which its time is over, once it is finished.
const UNTIL: &str = "until";
/// The same where DynamoDB looks for it.
const EXPIRES: &str = "expires";
const WRAPPED_KEY: &str = "wrapped_key";
const BODY: &str = "body";
/// There since slots are marked before their write is committed.
const MARKS: &str = "marks";

const STATE_RUNNING: &str = "running";
const STATE_DONE: &str = "done";

/// How often it is looked again when slots change hands between two looks.
pub(super) const LOOKS: u32 = 10;

fn name(state: AnswerState) -> &'static str {
    match state {
        AnswerState::Done => STATE_DONE,
        AnswerState::InDoubt => "in_doubt",
    }
}

#[async_trait]
impl AnswerStore for DynamoStore {
    async fn peek(&self, slots: &[AnswerSlot], now: Timestamp) -> Result<Begun, StoreError> {
        Self::known(slots, &self.slots(slots).await?, now)
    }

    async fn begin(&self, slots: &[AnswerSlot], now: Timestamp) -> Result<Begun, StoreError> {
        if slots.is_empty() {
            return Ok(Begun::Fresh);
        }
        self.begin_slots(slots, now).await
    }

    /// What is voided goes in the same transaction, as far as a transaction reaches: 100 items. What is beyond goes
    /// before it, so that an answer that is kept never stands beside one that it voids.
    async fn finish(
        &self,
        answers: &[(AnswerSlot, Sealed)],
        state: AnswerState,
        voided: Option<&Voided>,
    ) -> Result<(), StoreError> {
        for _ in 0..LOOKS {
            let mut void = match voided {
                Some(voided) => self.void(voided).await?,
                None => Vec::new(),
            };
            let room = TRANSACTION_ITEMS.saturating_sub(answers.len());
            let last = void.split_off(void.len().saturating_sub(room));
            let mut before = true;
            for batch in void.chunks(TRANSACTION_ITEMS) {
                match self.transact(batch.to_vec()).await {
                    Ok(()) => {}
                    Err(Failure::Cancelled(_)) => before = false,
                    Err(failure) => return Err(failure.into()),
                }
            }
            if !before {
                continue;
            }
            let kept = answers.iter().map(|(slot, sealed)| self.keep(slot, sealed, state));
            let mut all = kept.collect::<Result<Vec<_>, Failure>>()?;
            all.extend(last);
            if all.is_empty() {
                return Ok(());
            }
            match self.transact(all).await {
                Ok(()) => {
                    self.attempts.forget(answers.iter().map(|(slot, _)| slot));
                    return Ok(());
                }
                Err(Failure::Cancelled(reasons)) if reasons.iter().take(answers.len()).all(is_fine) => {}
                Err(Failure::Cancelled(_)) => {
                    let reason = "nobody has begun this answer, or it is finished";
                    return Err(StoreError::Unavailable(reason.to_owned()));
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        Err(contended())
    }

    async fn release(&self, slots: &[AnswerSlot]) -> Result<(), StoreError> {
        if slots.is_empty() {
            return Ok(());
        }
        let all = slots.iter().map(|slot| self.give_back(slot, self.attempts.of(slot).as_deref()));
        let all = all.collect::<Result<Vec<_>, Failure>>()?;
        match self.transact(all.clone()).await {
            Ok(()) => {
                self.attempts.forget(slots);
                return Ok(());
            }
            Err(Failure::Cancelled(_)) => {}
            Err(failure) => return Err(failure.into()),
        }
        // One of them is finished, or another request's: the others are given back without it.
        for one in all {
            match self.transact(vec![one]).await {
                Ok(()) | Err(Failure::Cancelled(_)) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        self.attempts.forget(slots);
        Ok(())
    }

    async fn mark(&self, slots: &[AnswerSlot], evidence: &Sealed) -> Result<(), StoreError> {
        self.mark_slots(slots, evidence).await
    }

    async fn settle(
        &self,
        slots: &[AnswerSlot],
        evidence: &Sealed,
        settlement: Settlement<'_>,
    ) -> Result<bool, StoreError> {
        self.settle_slots(slots, evidence, settlement).await
    }

    async fn abandoned(&self) -> Result<Vec<Abandoned>, StoreError> {
        self.left_running(Timestamp::now()).await
    }

    /// DynamoDB does this by itself within days, and costs nothing; this looks at the whole table, for an emulator.
    async fn expire(&self, before: Timestamp) -> Result<u64, StoreError> {
        let filter = Filter {
            expression: "#state = :done AND #expires < :before",
            names: &[STATE, EXPIRES],
            values: Item::from([
                (":done".to_owned(), text(STATE_DONE)),
                (":before".to_owned(), number(before.as_second())),
            ]),
        };
        let (mut gone, mut next) = (0, None);
        loop {
            let (page, from) = items::scan(&self.client, &self.answers(), &filter, next).await?;
            for item in &page {
                let (organization, key) = named(item)?;
                match self.transact(vec![self.forget(&organization, key)?]).await {
                    Ok(()) => gone += 1,
                    Err(Failure::Cancelled(_)) => {}
                    Err(failure) => return Err(failure.into()),
                }
            }
            next = from;
            if next.is_none() {
                return Ok(gone);
            }
        }
    }
}

impl DynamoStore {
    fn answers(&self) -> String {
        self.names.table(TableName::Answers)
    }

    async fn slots(&self, slots: &[AnswerSlot]) -> Result<Vec<Option<Item>>, StoreError> {
        let table = self.answers();
        let get = |slot: &AnswerSlot| {
            let (organization, key) = (slot.organization.clone(), slot.key.clone());
            let table = &table;
            async move { items::get(&self.client, table, organization.as_str(), &key).await }
        };
        try_join_all(slots.iter().map(get)).await
    }

    /// What is known of the first of these slots that is there.
    fn known(slots: &[AnswerSlot], items: &[Option<Item>], now: Timestamp) -> Result<Begun, StoreError> {
        let there = slots.iter().zip(items).filter_map(|(slot, item)| Some((slot, item.as_ref()?)));
        for (slot, item) in there {
            if !is_over(item, now)? {
                return found(item, slot);
            }
        }
        Ok(Begun::Fresh)
    }

    fn take(&self, slot: &AnswerSlot, attempt: &str, now: Timestamp) -> Result<TransactWriteItem, Failure> {
        let kept = i64::try_from(IDEMPOTENCY_KEPT.as_secs()).unwrap_or(i64::MAX);
        let attributes = [
            (BODY_HASH, text(&slot.body_hash)),
            (STATE, text(STATE_RUNNING)),
            (ATTEMPT, text(attempt)),
            (OWNER, text(&self.process)),
            (MARKS, number(1)),
            (UNTIL, number(now.as_second().saturating_add(kept))),
            (RUNNING.partition, text(running::shard(&slot.key))),
            (RUNNING.sort, number(now.as_microsecond())),
        ];
        let put = Put::builder()
            .table_name(self.answers())
            .set_item(Some(items::item(slot.organization.as_str(), &slot.key, attributes)))
            .condition_expression("attribute_not_exists(#sort) OR (#state = :done AND #expires < :now)")
            .expression_attribute_names("#sort", SORT)
            .expression_attribute_names("#state", STATE)
            .expression_attribute_names("#expires", EXPIRES)
            .expression_attribute_values(":done", text(STATE_DONE))
            .expression_attribute_values(":now", number(now.as_second()))
            .build()
            .map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// An answer that is known is never unlearnt.
    fn keep(
        &self,
        slot: &AnswerSlot,
        sealed: &Sealed,
        state: AnswerState,
    ) -> Result<TransactWriteItem, Failure> {
        let expires = match state {
            AnswerState::Done => ", #expires = #until",
            AnswerState::InDoubt => "",
        };
        let attempt = self.attempts.of(slot);
        let mut update = Update::builder()
            .table_name(self.answers())
            .set_key(Some(items::key(slot.organization.as_str(), &slot.key)))
            .update_expression(format!(
                "SET #state = :state, #wrapped_key = :wrapped_key, #body = :body{expires} REMOVE #running"
            ))
            .condition_expression(unfinished(attempt.as_deref()))
            .expression_attribute_names("#state", STATE)
            .expression_attribute_names("#wrapped_key", WRAPPED_KEY)
            .expression_attribute_names("#body", BODY)
            .expression_attribute_names("#running", RUNNING.partition)
            .expression_attribute_names("#body_hash", BODY_HASH)
            .expression_attribute_values(":state", text(name(state)))
            .expression_attribute_values(":wrapped_key", bytes(sealed.wrapped_key.clone()))
            .expression_attribute_values(":body", bytes(sealed.body.clone()))
            .expression_attribute_values(":body_hash", text(&slot.body_hash))
            .expression_attribute_values(":done", text(STATE_DONE));
        if state == AnswerState::Done {
            update = update
                .expression_attribute_names("#expires", EXPIRES)
                .expression_attribute_names("#until", UNTIL);
        }
        if let Some(attempt) = attempt {
            update = update
                .expression_attribute_names("#attempt", ATTEMPT)
                .expression_attribute_values(":attempt", text(attempt));
        }
        Ok(TransactWriteItem::builder().update(update.build().map_err(unbuilt)?).build())
    }

    fn give_back(&self, slot: &AnswerSlot, attempt: Option<&str>) -> Result<TransactWriteItem, Failure> {
        let mut delete = Delete::builder()
            .table_name(self.answers())
            .set_key(Some(items::key(slot.organization.as_str(), &slot.key)))
            .condition_expression(unfinished(attempt))
            .expression_attribute_names("#body_hash", BODY_HASH)
            .expression_attribute_names("#state", STATE)
            .expression_attribute_values(":body_hash", text(&slot.body_hash))
            .expression_attribute_values(":done", text(STATE_DONE));
        if let Some(attempt) = attempt {
            delete = delete
                .expression_attribute_names("#attempt", ATTEMPT)
                .expression_attribute_values(":attempt", text(attempt));
        }
        Ok(TransactWriteItem::builder().delete(delete.build().map_err(unbuilt)?).build())
    }

    /// The deletion of every finished answer that is voided.
    async fn void(&self, voided: &Voided) -> Result<Vec<TransactWriteItem>, StoreError> {
        let table = self.answers();
        let range = Range {
            table: &table,
            partition: voided.organization.as_str(),
            from: &voided.prefix,
            to: &format!("{}{}", voided.prefix, char::MAX),
        };
        let mut deletions = Vec::new();
        for item in items::query(&self.client, range, usize::MAX).await? {
            let (organization, key) = named(&item)?;
            let reaches = key.starts_with(&voided.prefix) && key != voided.except;
            if reaches && get_text(&item, STATE)? == STATE_DONE {
                deletions.push(self.forget(&organization, key)?);
            }
        }
        Ok(deletions)
    }

    /// Deletes an answer, unless it was begun again.
    fn forget(&self, organization: &OrganizationId, key: &str) -> Result<TransactWriteItem, Failure> {
        let delete = Delete::builder()
            .table_name(self.answers())
            .set_key(Some(items::key(organization.as_str(), key)))
            .condition_expression("attribute_not_exists(#sort) OR #state = :done")
            .expression_attribute_names("#sort", SORT)
            .expression_attribute_names("#state", STATE)
            .expression_attribute_values(":done", text(STATE_DONE))
            .build()
            .map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}

/// That a slot is not finished, and where it is known, that it is still this attempt that has it.
fn unfinished(attempt: Option<&str>) -> &'static str {
    match attempt {
        Some(_) => "#body_hash = :body_hash AND #state <> :done AND #attempt = :attempt",
        None => "#body_hash = :body_hash AND #state <> :done",
    }
}

fn is_fine(reason: &Reason) -> bool {
    *reason == Reason::Fine
}

fn contended() -> StoreError {
    StoreError::Unavailable("these slots change hands too often".to_owned())
}

fn named(item: &Item) -> Result<(OrganizationId, &str), StoreError> {
    Ok((get_text(item, super::tables::PARTITION)?.into(), get_text(item, SORT)?))
}

fn is_over(item: &Item, now: Timestamp) -> Result<bool, StoreError> {
    Ok(get_text(item, STATE)? == STATE_DONE && get_number::<i64>(item, EXPIRES)? < now.as_second())
}

fn found(item: &Item, slot: &AnswerSlot) -> Result<Begun, StoreError> {
    if get_text(item, BODY_HASH)? != slot.body_hash {
        return Ok(Begun::OtherBody);
    }
    let state = get_text(item, STATE)?;
    if state == STATE_RUNNING {
        return Ok(Begun::Running);
    }
    let state = [AnswerState::Done, AnswerState::InDoubt].into_iter().find(|known| name(*known) == state);
    let state = state.ok_or_else(|| items::damaged(STATE))?;
    let sealed =
        Sealed { wrapped_key: get_bytes(item, WRAPPED_KEY)?.to_vec(), body: get_bytes(item, BODY)?.to_vec() };
    Ok(Begun::Finished { state, sealed })
}
