//! Writes whose end nobody saw: marked before they are committed, settled by whoever finds out.

use super::{
    ATTEMPT, BODY, BODY_HASH, EXPIRES, STATE, STATE_DONE, STATE_RUNNING, UNTIL, WRAPPED_KEY, contended,
    is_fine, name,
};
use crate::sealing::Sealed;
use crate::storage::dynamodb::DynamoStore;
use crate::storage::dynamodb::append::TRANSACTION_ITEMS;
use crate::storage::dynamodb::errors::Failure;
use crate::storage::dynamodb::items::{self, bytes, number, text};
use crate::storage::dynamodb::tables::RUNNING;
use crate::storage::dynamodb::transact::unbuilt;
use crate::storage::{AnswerSlot, AnswerState, Settlement, StoreError};
use aws_sdk_dynamodb::types::{Delete, TransactWriteItem, Update};

impl DynamoStore {
    pub(super) async fn mark_slots(&self, slots: &[AnswerSlot], evidence: &Sealed) -> Result<(), StoreError> {
        let marks =
            slots.iter().map(|slot| self.marked(slot, evidence)).collect::<Result<Vec<_>, Failure>>()?;
        if marks.is_empty() {
            return Ok(());
        }
        match self.transact(marks).await {
            Ok(()) => Ok(()),
            Err(Failure::Cancelled(_)) => {
                Err(StoreError::Unavailable("these slots are not this attempt's any more".to_owned()))
            }
            Err(failure) => Err(failure.into()),
        }
    }

    fn marked(&self, slot: &AnswerSlot, evidence: &Sealed) -> Result<TransactWriteItem, Failure> {
        let attempt = self.attempts.of(slot).unwrap_or_default();
        let update = Update::builder()
            .table_name(self.answers())
            .set_key(Some(items::key(slot.organization.as_str(), &slot.key)))
            .update_expression("SET #wrapped_key = :wrapped_key, #body = :body")
            .condition_expression("#body_hash = :body_hash AND #state = :running AND #attempt = :attempt")
            .expression_attribute_names("#state", STATE)
            .expression_attribute_names("#attempt", ATTEMPT)
            .expression_attribute_names("#wrapped_key", WRAPPED_KEY)
            .expression_attribute_names("#body", BODY)
            .expression_attribute_names("#body_hash", BODY_HASH)
            .expression_attribute_values(":running", text(STATE_RUNNING))
            .expression_attribute_values(":attempt", text(attempt))
            .expression_attribute_values(":wrapped_key", bytes(evidence.wrapped_key.clone()))
            .expression_attribute_values(":body", bytes(evidence.body.clone()))
            .expression_attribute_values(":body_hash", text(&slot.body_hash))
            .build()
            .map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// What is voided goes with it as far as a transaction reaches; what is beyond goes after it, and until then an
    /// older write is taken for a repetition that this one made none of.
    pub(super) async fn settle_slots(
        &self,
        slots: &[AnswerSlot],
        evidence: &Sealed,
        settlement: Settlement<'_>,
    ) -> Result<bool, StoreError> {
        let (mut all, mut beyond) = (Vec::new(), Vec::new());
        match settlement {
            Settlement::Done(answers, voided) => {
                for (slot, sealed) in answers {
                    all.push(self.settled(slot, evidence, AnswerState::Done, sealed, true)?);
                }
                if let Some(voided) = voided {
                    let mut void = self.void(voided).await?;
                    let room = TRANSACTION_ITEMS.saturating_sub(all.len());
                    beyond = void.split_off(void.len().min(room));
                    all.extend(void);
                }
            }
            Settlement::Nothing => {
                for slot in slots {
                    all.push(self.given_back_under(slot, evidence)?);
                }
            }
            Settlement::InDoubt | Settlement::ForAPerson => {
                let leaves = matches!(settlement, Settlement::ForAPerson);
                for slot in slots {
                    all.push(self.settled(slot, evidence, AnswerState::InDoubt, evidence, leaves)?);
                }
            }
        }
        let own = all.len().min(slots.len());
        match self.transact(all).await {
            Ok(()) => {}
            Err(Failure::Cancelled(reasons)) if reasons.iter().take(own).all(is_fine) => {
                return Err(contended());
            }
            Err(Failure::Cancelled(_)) => return Ok(false),
            Err(failure) => return Err(failure.into()),
        }
        self.attempts.forget(slots);
        for batch in beyond.chunks(TRANSACTION_ITEMS) {
            match self.transact(batch.to_vec()).await {
                Ok(()) | Err(Failure::Cancelled(_)) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(true)
    }

    fn settled(
        &self,
        slot: &AnswerSlot,
        evidence: &Sealed,
        state: AnswerState,
        sealed: &Sealed,
        leaves: bool,
    ) -> Result<TransactWriteItem, Failure> {
        let expires = match state {
            AnswerState::Done => ", #expires = #until",
            AnswerState::InDoubt => "",
        };
        let removed = if leaves { " REMOVE #running" } else { "" };
        // Nobody works on it any more: whoever looks for what was left behind need not wait for its lease to end.
        let ends_lease = state == AnswerState::InDoubt && !leaves;
        let began = if ends_lease { ", #began = :long_ago" } else { "" };
        let mut update = Update::builder()
            .table_name(self.answers())
            .set_key(Some(items::key(slot.organization.as_str(), &slot.key)))
            .update_expression(format!(
                "SET #state = :state, #wrapped_key = :wrapped_key, #body = :body{expires}{began}{removed}"
            ))
            .condition_expression(UNDER)
            .expression_attribute_names("#state", STATE)
            .expression_attribute_names("#wrapped_key", WRAPPED_KEY)
            .expression_attribute_names("#body", BODY)
            .expression_attribute_names("#body_hash", BODY_HASH)
            .expression_attribute_values(":state", text(name(state)))
            .expression_attribute_values(":wrapped_key", bytes(sealed.wrapped_key.clone()))
            .expression_attribute_values(":body", bytes(sealed.body.clone()))
            .expression_attribute_values(":evidence", bytes(evidence.body.clone()))
            .expression_attribute_values(":body_hash", text(&slot.body_hash))
            .expression_attribute_values(":done", text(STATE_DONE));
        if ends_lease {
            update = update
                .expression_attribute_names("#began", RUNNING.sort)
                .expression_attribute_values(":long_ago", number(0));
        }
        if leaves {
            update = update.expression_attribute_names("#running", RUNNING.partition);
        }
        if state == AnswerState::Done {
            update = update
                .expression_attribute_names("#expires", EXPIRES)
                .expression_attribute_names("#until", UNTIL);
        }
        Ok(TransactWriteItem::builder().update(update.build().map_err(unbuilt)?).build())
    }

    fn given_back_under(&self, slot: &AnswerSlot, evidence: &Sealed) -> Result<TransactWriteItem, Failure> {
        let delete = Delete::builder()
            .table_name(self.answers())
            .set_key(Some(items::key(slot.organization.as_str(), &slot.key)))
            .condition_expression(UNDER)
            .expression_attribute_names("#state", STATE)
            .expression_attribute_names("#body", BODY)
            .expression_attribute_names("#body_hash", BODY_HASH)
            .expression_attribute_values(":evidence", bytes(evidence.body.clone()))
            .expression_attribute_values(":body_hash", text(&slot.body_hash))
            .expression_attribute_values(":done", text(STATE_DONE))
            .build()
            .map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}

/// That it is still the attempt of this evidence. No two are sealed to the same bytes.
const UNDER: &str = "#body_hash = :body_hash AND #state <> :done AND #body = :evidence";
