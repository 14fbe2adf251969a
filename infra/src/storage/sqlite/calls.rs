//! Records of live calls, in a file of their own: they come by the thousand, and neither wait for the log's writer nor
//! keep it waiting. A power cut may cost the last moments, as a crash costs what was not handed over yet.

use super::schema::{create_file, unavailable};
use crate::storage::StoreError;
use crate::storage::calls::{self, CallRecord, CallStore, IN_DOUBT, Path, Resolution, Span, id_from};
use async_trait::async_trait;
use events::{AgentId, OrganizationId};
use jiff::Timestamp;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions, QueryBuilder, Row, Sqlite};
use std::collections::HashMap;
use std::path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

const FILE: &str = "calls.db";
const SCHEMA: &str = include_str!("schema/calls.sql");
const BUSY: Duration = Duration::from_secs(5);
/// One writes while another is read; more would only wait for the same disk.
const CONNECTIONS: u32 = 2;
/// Of each connection, in KiB, as SQLite takes it: what a batch touches of the index fits, so no page of it is read twice.
const CACHE: &str = "-6000";
/// Pages of the write-ahead log that are brought into the file at once. A page that many batches touch goes once.
const CHECKPOINT_PAGES: &str = "8000";
/// Rows of one statement. SQLite compiles it once for each number of rows.
const ROWS: usize = 100;
/// Records that are removed in one transaction, so that calls that end meanwhile are kept in between.
const EXPIRED_AT_ONCE: i64 = 5000;

pub struct SqliteCalls {
    connections: SqlitePool,
    owners: RwLock<HashMap<(OrganizationId, AgentId), i64>>,
}

impl SqliteCalls {
    /// Opens `calls.db` in a data folder that is there, for nobody else to read.
    pub async fn open(data_dir: &path::Path) -> Result<Arc<Self>, StoreError> {
        let file = data_dir.join(FILE);
        create_file(&file)
            .map_err(|error| StoreError::Unavailable(format!("{}: {error}", file.display())))?;
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            // Synced at checkpoints: a call must not wait for a disk, nor a thousand of them for a thousand syncs.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY)
            .pragma("cache_size", CACHE)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
            .disable_statement_logging();
        let connections = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(BUSY)
            .connect_with(options)
            .await
            .map_err(unavailable)?;
        sqlx::raw_sql(SCHEMA).execute(&connections).await.map_err(unavailable)?;
        Ok(Arc::new(Self { connections, owners: RwLock::default() }))
    }

    /// The number that stands for an agent in this file; a new one when it has none yet.
    async fn owner(&self, organization: &OrganizationId, agent: &AgentId) -> Result<i64, StoreError> {
        let name = (organization.clone(), agent.clone());
        if let Some(owner) = self.owners.read().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Ok(*owner);
        }
        // Changes nothing and gives the number all the same.
        let owner = sqlx::query_scalar(
            "INSERT INTO owners (organization, agent) VALUES (?, ?)
             ON CONFLICT (organization, agent) DO UPDATE SET agent = excluded.agent RETURNING owner",
        )
        .bind(organization.as_str())
        .bind(agent.as_str())
        .fetch_one(&self.connections)
        .await
        .map_err(unavailable)?;
        self.owners.write().unwrap_or_else(PoisonError::into_inner).insert(name, owner);
        Ok(owner)
    }

    /// Removes what began before this. How many there were.
    pub async fn expire(&self, before: Timestamp) -> Result<u64, StoreError> {
        const CALLS: &str = "DELETE FROM calls WHERE owner = ?1 AND id IN (
                 SELECT id FROM calls WHERE owner = ?1 AND id < ?2 LIMIT ?3)";
        const RESOLUTIONS: &str = "DELETE FROM resolutions WHERE owner = ? AND id < ?";
        let before = id_from(before);
        let owners: Vec<i64> = sqlx::query_scalar("SELECT owner FROM owners")
            .fetch_all(&self.connections)
            .await
            .map_err(unavailable)?;
        let mut expired = 0;
        for owner in owners {
            loop {
                let calls = sqlx::query(CALLS).bind(owner).bind(&before).bind(EXPIRED_AT_ONCE);
                let removed = calls.execute(&self.connections).await.map_err(unavailable)?.rows_affected();
                expired += removed;
                if removed == 0 {
                    break;
                }
            }
            let resolutions = sqlx::query(RESOLUTIONS).bind(owner).bind(&before);
            resolutions.execute(&self.connections).await.map_err(unavailable)?;
        }
        Ok(expired)
    }
}

#[async_trait]
impl CallStore for SqliteCalls {
    /// How long is for [`SqliteCalls::expire`] to see to.
    async fn keep_calls(&self, records: &[CallRecord], _kept: Duration) -> Result<(), StoreError> {
        let mut owned = Vec::with_capacity(records.len());
        for record in records {
            owned.push((self.owner(&record.organization, &record.agent).await?, record));
        }
        let mut transaction = self.connections.begin().await.map_err(unavailable)?;
        for owned in owned.chunks(ROWS) {
            let mut insert: QueryBuilder<Sqlite> = QueryBuilder::new(
                "INSERT OR IGNORE INTO calls (owner, id, lookup, call_id, in_doubt, record) ",
            );
            insert.push_values(owned, |mut row, (owner, record)| {
                row.push_bind(*owner)
                    .push_bind(&record.id)
                    .push_bind(record.lookup_hash().map(short))
                    .push_bind(record.call_id.as_deref())
                    .push_bind((record.outcome == IN_DOUBT).then_some(true))
                    .push_bind(serde_json::to_string(record).expect("records are JSON"));
            });
            insert.build().execute(&mut *transaction).await.map_err(unavailable)?;
        }
        transaction.commit().await.map_err(unavailable)
    }

    async fn calls(
        &self,
        organization: &OrganizationId,
        agent: &AgentId,
        path: Path<'_>,
        span: Span<'_>,
        limit: usize,
    ) -> Result<Vec<CallRecord>, StoreError> {
        let mut select = select(self.owner(organization, agent).await?);
        match path {
            Path::All => {}
            Path::Lookup(hash) => drop(select.push(" AND lookup = ").push_bind(short(hash))),
            Path::Call(call) => drop(select.push(" AND call_id = ").push_bind(call)),
            Path::InDoubt => drop(select.push(" AND in_doubt")),
        }
        if let Some(from) = span.from {
            select.push(" AND calls.id >= ").push_bind(from);
        }
        if let Some(before) = span.before {
            select.push(" AND calls.id < ").push_bind(before);
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        select.push(" ORDER BY calls.id DESC LIMIT ").push_bind(limit);
        let rows = select.build().fetch_all(&self.connections).await.map_err(unavailable)?;
        rows.iter().map(read).collect()
    }

    async fn call(
        &self,
        organization: &OrganizationId,
        agent: &AgentId,
        id: &str,
    ) -> Result<Option<CallRecord>, StoreError> {
        let mut select = select(self.owner(organization, agent).await?);
        select.push(" AND calls.id = ").push_bind(id);
        let row = select.build().fetch_optional(&self.connections).await.map_err(unavailable)?;
        row.as_ref().map(read).transpose()
    }

    async fn resolve_call(
        &self,
        organization: &OrganizationId,
        agent: &AgentId,
        id: &str,
        resolution: &Resolution,
        _kept: Duration,
    ) -> Result<(), StoreError> {
        sqlx::query("INSERT OR REPLACE INTO resolutions (owner, id, resolution) VALUES (?, ?, ?)")
            .bind(self.owner(organization, agent).await?)
            .bind(id)
            .bind(serde_json::to_string(resolution).expect("resolutions are JSON"))
            .execute(&self.connections)
            .await
            .map(drop)
            .map_err(unavailable)
    }
}

fn select(owner: i64) -> QueryBuilder<Sqlite> {
    let mut select = QueryBuilder::new(
        "SELECT record, resolution FROM calls LEFT JOIN resolutions USING (owner, id) WHERE calls.owner = ",
    );
    select.push_bind(owner);
    select
}

/// As much of a hash as the index holds. What is no hash leads nowhere.
fn short(hash: &str) -> i64 {
    let digits = hash.get(..16).unwrap_or(hash);
    u64::from_str_radix(digits, 16).map_or(0, u64::cast_signed)
}

fn read(row: &SqliteRow) -> Result<CallRecord, StoreError> {
    let (record, resolution): (String, Option<String>) =
        (row.try_get(0).map_err(unavailable)?, row.try_get(1).map_err(unavailable)?);
    calls::read(record.as_bytes(), resolution.as_deref().map(str::as_bytes))
}
