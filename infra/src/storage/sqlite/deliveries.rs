//! Webhooks: cursors and attempts. Turns are kept in memory: one process at a time delivers from a data folder, which
//! the lock of serving sees to, so they need not outlive it.

use super::schema::unavailable;
use super::{SqliteStore, reader};
use crate::storage::StoreError;
use crate::storage::deliveries::{Attempt, Cursor, DeliveryStore, Failing, Lease};
use async_trait::async_trait;
use domain::limits::WEBHOOK_ATTEMPTS_KEPT;
use events::{EventId, OrganizationId, SubscriptionId};
use jiff::Timestamp;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use std::collections::HashMap;
use std::sync::Mutex;

pub type Turns = Mutex<HashMap<(OrganizationId, SubscriptionId), Lease>>;

#[async_trait]
impl DeliveryStore for SqliteStore {
    async fn claim(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        lease: &Lease,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let mut turns = self.turns.lock().expect("not poisoned");
        let name = (organization.clone(), subscription.clone());
        let theirs = turns.get(&name).filter(|held| held.until > now && held.holder != lease.holder);
        if let Some(theirs) = theirs {
            return Ok(Some(theirs.until));
        }
        turns.insert(name, lease.clone());
        Ok(None)
    }

    async fn give_back(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        holder: &str,
        _now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut turns = self.turns.lock().expect("not poisoned");
        let name = (organization.clone(), subscription.clone());
        if turns.get(&name).is_some_and(|held| held.holder == holder) {
            turns.remove(&name);
        }
        Ok(())
    }

    async fn cursor(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
    ) -> Result<Option<Cursor>, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(unavailable)?;
        cursor(&mut connection, organization, subscription).await
    }

    async fn advance(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        was: Option<&Cursor>,
        now: &Cursor,
        attempt: Option<&Attempt>,
    ) -> Result<bool, StoreError> {
        let (organization, subscription) = (organization.clone(), subscription.clone());
        let (was, now, attempt) = (was.cloned(), now.clone(), attempt.cloned());
        self.writer
            .write(move |connection| {
                Box::pin(async move {
                    if cursor(connection, &organization, &subscription).await? != was {
                        return Ok(false);
                    }
                    put(connection, &organization, &subscription, &now).await?;
                    if let Some(attempt) = attempt {
                        keep(connection, &organization, &subscription, &attempt).await?;
                    }
                    Ok(true)
                })
            })
            .await
    }

    async fn keep(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        attempt: &Attempt,
    ) -> Result<(), StoreError> {
        let (organization, subscription) = (organization.clone(), subscription.clone());
        let attempt = attempt.clone();
        self.writer
            .write(move |connection| {
                Box::pin(async move { keep(connection, &organization, &subscription, &attempt).await })
            })
            .await
    }

    async fn attempts(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Attempt>, StoreError> {
        const PAGE: &str = "SELECT id, seq, event_id, event_type, number, at, duration_ms, status, failure
             FROM attempts WHERE organization = ? AND subscription = ? AND (?3 IS NULL OR id < ?3)
             ORDER BY id DESC LIMIT ?4";
        let rows = sqlx::query(PAGE)
            .bind(organization.as_str())
            .bind(subscription.as_str())
            .bind(before)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(unavailable)?;
        rows.iter().map(attempt).collect()
    }

    async fn attempt(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        id: &str,
    ) -> Result<Option<Attempt>, StoreError> {
        const ONE: &str = "SELECT id, seq, event_id, event_type, number, at, duration_ms, status, failure
             FROM attempts WHERE organization = ? AND subscription = ? AND id = ?";
        let row = sqlx::query(ONE)
            .bind(organization.as_str())
            .bind(subscription.as_str())
            .bind(id)
            .fetch_optional(&self.readers)
            .await
            .map_err(unavailable)?;
        row.as_ref().map(attempt).transpose()
    }

    async fn forget(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
    ) -> Result<(), StoreError> {
        let (organization, subscription) = (organization.clone(), subscription.clone());
        self.writer
            .write(move |connection| {
                Box::pin(async move {
                    for statement in [
                        "DELETE FROM cursors WHERE organization = ? AND subscription = ?",
                        "DELETE FROM attempts WHERE organization = ? AND subscription = ?",
                    ] {
                        sqlx::query(statement)
                            .bind(organization.as_str())
                            .bind(subscription.as_str())
                            .execute(&mut *connection)
                            .await
                            .map_err(unavailable)?;
                    }
                    Ok(())
                })
            })
            .await
    }
}

async fn cursor(
    connection: &mut SqliteConnection,
    organization: &OrganizationId,
    subscription: &SubscriptionId,
) -> Result<Option<Cursor>, StoreError> {
    let row = sqlx::query(
        "SELECT after, failures, failing_since, retry_at FROM cursors
         WHERE organization = ? AND subscription = ?",
    )
    .bind(organization.as_str())
    .bind(subscription.as_str())
    .fetch_optional(connection)
    .await
    .map_err(unavailable)?;
    let Some(row) = row else { return Ok(None) };
    let since: Option<i64> = row.try_get(2).map_err(unavailable)?;
    let retry_at: Option<i64> = row.try_get(3).map_err(unavailable)?;
    let failing = match (since, retry_at) {
        (Some(since), Some(retry_at)) => {
            Some(Failing { since: instant(since)?, retry_at: instant(retry_at)? })
        }
        (_, _) => None,
    };
    let failures = u32::try_from(reader::seq(&row, 1)?.0).unwrap_or(u32::MAX);
    Ok(Some(Cursor { after: reader::seq(&row, 0)?, failures, failing }))
}

async fn put(
    connection: &mut SqliteConnection,
    organization: &OrganizationId,
    subscription: &SubscriptionId,
    cursor: &Cursor,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT OR REPLACE INTO cursors (organization, subscription, after, failures, failing_since, retry_at)
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(organization.as_str())
    .bind(subscription.as_str())
    .bind(cursor.after.0 as i64)
    .bind(cursor.failures)
    .bind(cursor.failing.map(|failing| failing.since.as_microsecond()))
    .bind(cursor.failing.map(|failing| failing.retry_at.as_microsecond()))
    .execute(connection)
    .await
    .map_err(unavailable)?;
    Ok(())
}

async fn keep(
    connection: &mut SqliteConnection,
    organization: &OrganizationId,
    subscription: &SubscriptionId,
    attempt: &Attempt,
) -> Result<(), StoreError> {
    sqlx::query("INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(organization.as_str())
        .bind(subscription.as_str())
        .bind(&attempt.id)
        .bind(attempt.seq.0 as i64)
        .bind(attempt.event_id.as_str())
        .bind(&attempt.event_type)
        .bind(attempt.number)
        .bind(attempt.at.as_microsecond())
        .bind(i64::try_from(attempt.duration_ms).unwrap_or(i64::MAX))
        .bind(attempt.status)
        .bind(&attempt.failure)
        .execute(&mut *connection)
        .await
        .map_err(unavailable)?;
    sqlx::query(
        "DELETE FROM attempts WHERE organization = ?1 AND subscription = ?2 AND id <= (
             SELECT id FROM attempts WHERE organization = ?1 AND subscription = ?2
             ORDER BY id DESC LIMIT 1 OFFSET ?3)",
    )
    .bind(organization.as_str())
    .bind(subscription.as_str())
    .bind(WEBHOOK_ATTEMPTS_KEPT as i64)
    .execute(connection)
    .await
    .map_err(unavailable)?;
    Ok(())
}

fn attempt(row: &SqliteRow) -> Result<Attempt, StoreError> {
    let number = u32::try_from(reader::seq(row, 4)?.0).unwrap_or(u32::MAX);
    Ok(Attempt {
        id: row.try_get(0).map_err(unavailable)?,
        seq: reader::seq(row, 1)?,
        event_id: EventId::from(row.try_get::<String, _>(2).map_err(unavailable)?),
        event_type: row.try_get(3).map_err(unavailable)?,
        number,
        at: instant(row.try_get(5).map_err(unavailable)?)?,
        duration_ms: reader::seq(row, 6)?.0,
        status: row.try_get(7).map_err(unavailable)?,
        failure: row.try_get(8).map_err(unavailable)?,
    })
}

fn instant(micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(micros).map_err(|_| reader::damaged("a time is out of range"))
}
