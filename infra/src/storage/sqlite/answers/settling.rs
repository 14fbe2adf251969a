//! Writes whose end nobody saw. In one file with one server there is one writer, so what is looked at in a transaction
//! stays as it is until it ends.

use crate::sealing::Sealed;
use crate::storage::sqlite::schema::unavailable;
use crate::storage::{Abandoned, AnswerSlot, Settlement, StoreError, Voided};
use events::OrganizationId;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Row, SqlitePool};

/// [`Settlement`] with what it holds.
pub(super) enum Settled {
    Done(Vec<(AnswerSlot, Sealed)>, Option<Voided>),
    Nothing,
    /// Also what is left for a person: after the next start it is asked about once more, which does no harm.
    InDoubt,
}

impl From<Settlement<'_>> for Settled {
    fn from(settlement: Settlement<'_>) -> Self {
        match settlement {
            Settlement::Done(answers, voided) => Self::Done(answers.to_vec(), voided.cloned()),
            Settlement::Nothing => Self::Nothing,
            Settlement::InDoubt | Settlement::ForAPerson => Self::InDoubt,
        }
    }
}

pub(super) async fn mark(
    connection: &mut SqliteConnection,
    slots: Vec<AnswerSlot>,
    owner: String,
    evidence: Sealed,
) -> Result<(), StoreError> {
    for slot in slots {
        let marked = sqlx::query(
            "UPDATE answers SET wrapped_key = ?, body = ?
             WHERE organization = ? AND key = ? AND body_hash = ? AND state = 'running' AND owner = ?",
        )
        .bind(&evidence.wrapped_key)
        .bind(&evidence.body)
        .bind(slot.organization.as_str())
        .bind(slot.key)
        .bind(slot.body_hash)
        .bind(&owner)
        .execute(&mut *connection)
        .await
        .map_err(unavailable)?;
        if marked.rows_affected() == 0 {
            return Err(StoreError::Unavailable("these slots are not this attempt's any more".to_owned()));
        }
    }
    Ok(())
}

/// Whether all of these slots are taken by the attempt of this evidence. No two are sealed to the same bytes.
pub(super) async fn is_under(
    connection: &mut SqliteConnection,
    slots: &[AnswerSlot],
    evidence: &Sealed,
) -> Result<bool, StoreError> {
    for slot in slots {
        let found = sqlx::query(
            "SELECT 1 FROM answers
             WHERE organization = ? AND key = ? AND body_hash = ? AND state <> 'done' AND body = ?",
        )
        .bind(slot.organization.as_str())
        .bind(&slot.key)
        .bind(&slot.body_hash)
        .bind(&evidence.body)
        .fetch_optional(&mut *connection)
        .await
        .map_err(unavailable)?;
        if found.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes in doubt, those for a person among them. The slots of one write share its hash.
pub async fn open_doubts(readers: &SqlitePool) -> Result<u64, StoreError> {
    let row = sqlx::query(
        "SELECT COUNT(*) FROM (SELECT DISTINCT organization, body_hash FROM answers WHERE state = 'in_doubt')",
    )
    .fetch_one(readers)
    .await
    .map_err(unavailable)?;
    let open: i64 = row.try_get(0).map_err(unavailable)?;
    Ok(u64::try_from(open).unwrap_or(0))
}

pub(super) async fn abandoned(readers: &SqlitePool, process: &str) -> Result<Vec<Abandoned>, StoreError> {
    let rows = sqlx::query(
        "SELECT organization, key, body_hash, wrapped_key, body FROM answers
         WHERE state = 'running' AND owner <> ?1
         UNION ALL
         SELECT organization, key, body_hash, wrapped_key, body FROM answers
         WHERE state = 'in_doubt' AND owner <> ?1
         ORDER BY organization, key",
    )
    .bind(process)
    .fetch_all(readers)
    .await
    .map_err(unavailable)?;
    rows.iter()
        .map(|row| {
            let (wrapped_key, body): (Option<Vec<u8>>, Option<Vec<u8>>) =
                (row.try_get(3).map_err(unavailable)?, row.try_get(4).map_err(unavailable)?);
            Ok(Abandoned {
                slot: AnswerSlot {
                    organization: OrganizationId::from(row.try_get::<String, _>(0).map_err(unavailable)?),
                    key: row.try_get(1).map_err(unavailable)?,
                    body_hash: row.try_get(2).map_err(unavailable)?,
                },
                evidence: wrapped_key.zip(body).map(|(wrapped_key, body)| Sealed { wrapped_key, body }),
            })
        })
        .collect()
}
