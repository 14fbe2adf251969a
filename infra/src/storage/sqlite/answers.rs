//! Answers to requests that may be repeated.

mod settling;

use super::schema::unavailable;
use super::{SqliteStore, reader};
use crate::sealing::Sealed;
use crate::storage::{
    Abandoned, AnswerSlot, AnswerState, AnswerStore, Begun, Settlement, StoreError, Voided,
};
use async_trait::async_trait;
use domain::limits::IDEMPOTENCY_KEPT;
use jiff::Timestamp;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

pub(super) use settling::open_doubts;

const RUNNING: &str = "running";

fn name(state: AnswerState) -> &'static str {
    match state {
        AnswerState::Done => "done",
        AnswerState::InDoubt => "in_doubt",
    }
}

#[async_trait]
impl AnswerStore for SqliteStore {
    async fn peek(&self, slots: &[AnswerSlot], now: Timestamp) -> Result<Begun, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(unavailable)?;
        first_taken(&mut connection, slots, now).await
    }

    async fn begin(&self, slots: &[AnswerSlot], now: Timestamp) -> Result<Begun, StoreError> {
        let (slots, owner) = (slots.to_vec(), self.process.clone());
        self.writer
            .write(move |connection| {
                Box::pin(async move {
                    let taken = first_taken(connection, &slots, now).await?;
                    if taken == Begun::Fresh {
                        for slot in &slots {
                            take(connection, slot, &owner, now).await?;
                        }
                    }
                    Ok(taken)
                })
            })
            .await
    }

    async fn finish(
        &self,
        answers: &[(AnswerSlot, Sealed)],
        state: AnswerState,
        voided: Option<&Voided>,
    ) -> Result<(), StoreError> {
        let (answers, voided) = (answers.to_vec(), voided.cloned());
        self.writer
            .write(move |connection| {
                Box::pin(async move {
                    for (slot, sealed) in answers {
                        finish(connection, slot, state, sealed).await?;
                    }
                    match voided {
                        Some(voided) => forget(connection, voided).await,
                        None => Ok(()),
                    }
                })
            })
            .await
    }

    async fn release(&self, slots: &[AnswerSlot]) -> Result<(), StoreError> {
        let slots = slots.to_vec();
        self.writer
            .write(move |connection| {
                Box::pin(async move {
                    for slot in slots {
                        give_back(connection, slot).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    async fn mark(&self, slots: &[AnswerSlot], evidence: &Sealed) -> Result<(), StoreError> {
        let (slots, owner, evidence) = (slots.to_vec(), self.process.clone(), evidence.clone());
        self.writer
            .write(move |connection| Box::pin(settling::mark(connection, slots, owner, evidence)))
            .await
    }

    async fn settle(
        &self,
        slots: &[AnswerSlot],
        evidence: &Sealed,
        settlement: Settlement<'_>,
    ) -> Result<bool, StoreError> {
        let (slots, evidence) = (slots.to_vec(), evidence.clone());
        let settled = settling::Settled::from(settlement);
        self.writer
            .write(move |connection| {
                Box::pin(async move {
                    if !settling::is_under(connection, &slots, &evidence).await? {
                        return Ok(false);
                    }
                    match settled {
                        settling::Settled::Done(answers, voided) => {
                            for (slot, sealed) in answers {
                                finish(connection, slot, AnswerState::Done, sealed).await?;
                            }
                            if let Some(voided) = voided {
                                forget(connection, voided).await?;
                            }
                        }
                        settling::Settled::Nothing => {
                            for slot in slots {
                                give_back(connection, slot).await?;
                            }
                        }
                        settling::Settled::InDoubt => {
                            for slot in slots {
                                finish(connection, slot, AnswerState::InDoubt, evidence.clone()).await?;
                            }
                        }
                    }
                    Ok(true)
                })
            })
            .await
    }

    async fn abandoned(&self) -> Result<Vec<Abandoned>, StoreError> {
        settling::abandoned(&self.readers, &self.process).await
    }

    async fn expire(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.writer
            .write(move |connection| {
                Box::pin(async move {
                    // What is running or in doubt stays: forgetting it would let the same write run twice.
                    let gone = sqlx::query("DELETE FROM answers WHERE expires_at < ? AND state = 'done'")
                        .bind(before.as_microsecond())
                        .execute(connection)
                        .await
                        .map_err(unavailable)?;
                    Ok(gone.rows_affected())
                })
            })
            .await
    }
}

/// What is known of the first slot that somebody has.
async fn first_taken(
    connection: &mut SqliteConnection,
    slots: &[AnswerSlot],
    now: Timestamp,
) -> Result<Begun, StoreError> {
    for slot in slots {
        // A finished answer whose time is over is as good as none, swept or not.
        let row = sqlx::query(
            "SELECT body_hash, state, wrapped_key, body FROM answers
             WHERE organization = ? AND key = ? AND NOT (state = 'done' AND expires_at < ?)",
        )
        .bind(slot.organization.as_str())
        .bind(&slot.key)
        .bind(now.as_microsecond())
        .fetch_optional(&mut *connection)
        .await
        .map_err(unavailable)?;
        if let Some(row) = row {
            return found(&row, slot);
        }
    }
    Ok(Begun::Fresh)
}

async fn take(
    connection: &mut SqliteConnection,
    slot: &AnswerSlot,
    owner: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let kept = i64::try_from(IDEMPOTENCY_KEPT.as_micros()).unwrap_or(i64::MAX);
    sqlx::query(
        "INSERT OR REPLACE INTO answers (organization, key, body_hash, state, owner, expires_at)
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(slot.organization.as_str())
    .bind(&slot.key)
    .bind(&slot.body_hash)
    .bind(RUNNING)
    .bind(owner)
    .bind(now.as_microsecond().saturating_add(kept))
    .execute(connection)
    .await
    .map_err(unavailable)?;
    Ok(())
}

async fn finish(
    connection: &mut SqliteConnection,
    slot: AnswerSlot,
    state: AnswerState,
    sealed: Sealed,
) -> Result<(), StoreError> {
    // An answer that is known is never unlearnt.
    let done = sqlx::query(
        "UPDATE answers SET state = ?, wrapped_key = ?, body = ?
         WHERE organization = ? AND key = ? AND body_hash = ? AND state <> 'done'",
    )
    .bind(name(state))
    .bind(sealed.wrapped_key)
    .bind(sealed.body)
    .bind(slot.organization.as_str())
    .bind(slot.key)
    .bind(slot.body_hash)
    .execute(connection)
    .await
    .map_err(unavailable)?;
    if done.rows_affected() == 0 {
        return Err(StoreError::Unavailable("nobody has begun this answer, or it is finished".to_owned()));
    }
    Ok(())
}

async fn give_back(connection: &mut SqliteConnection, slot: AnswerSlot) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM answers WHERE organization = ? AND key = ? AND body_hash = ? AND state <> 'done'",
    )
    .bind(slot.organization.as_str())
    .bind(slot.key)
    .bind(slot.body_hash)
    .execute(connection)
    .await
    .map_err(unavailable)?;
    Ok(())
}

async fn forget(connection: &mut SqliteConnection, voided: Voided) -> Result<(), StoreError> {
    // Not a pattern: a prefix may hold any character. The bounds are for the index.
    sqlx::query(
        "DELETE FROM answers
         WHERE organization = ?1 AND key >= ?2 AND key <= ?2 || char(1114111)
         AND substr(key, 1, length(?2)) = ?2 AND key <> ?3 AND state = 'done'",
    )
    .bind(voided.organization.as_str())
    .bind(voided.prefix)
    .bind(voided.except)
    .execute(connection)
    .await
    .map_err(unavailable)?;
    Ok(())
}

fn found(row: &SqliteRow, slot: &AnswerSlot) -> Result<Begun, StoreError> {
    let body_hash: &str = row.try_get(0).map_err(unavailable)?;
    if body_hash != slot.body_hash {
        return Ok(Begun::OtherBody);
    }
    let state: &str = row.try_get(1).map_err(unavailable)?;
    if state == RUNNING {
        return Ok(Begun::Running);
    }
    let state = [AnswerState::Done, AnswerState::InDoubt]
        .into_iter()
        .find(|known| name(*known) == state)
        .ok_or_else(|| reader::damaged("an answer is in no known state"))?;
    let wrapped_key: Option<Vec<u8>> = row.try_get(2).map_err(unavailable)?;
    let body: Option<Vec<u8>> = row.try_get(3).map_err(unavailable)?;
    let (Some(wrapped_key), Some(body)) = (wrapped_key, body) else {
        return Err(reader::damaged("a finished answer has no content"));
    };
    Ok(Begun::Finished { state, sealed: Sealed { wrapped_key, body } })
}
