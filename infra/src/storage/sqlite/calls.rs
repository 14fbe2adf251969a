//! Records of live calls, in a file of their own: they come by the thousand, and neither wait for the log's writer nor
//! keep it waiting. A power cut may cost the last moments, as a crash costs what was not handed over yet.
//!
//! What comes at once of one agent becomes a block. Small ones are joined now and then, so that there are few to look
//! into however slowly records came.

use super::schema::{create_file, unavailable};
use crate::storage::StoreError;
use crate::storage::calls::{
    Batch, CallRecord, CallStore, IN_DOUBT, PART_RECORDS, Part, Path, Resolution, Span, damaged, id_from,
    key_of_call, key_of_lookup, read,
};
use async_trait::async_trait;
use events::{AgentId, OrganizationId};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
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
pub(super) const CONNECTIONS: u32 = 2;
/// Of each connection, in KiB, as SQLite takes it. Blocks are written once and seldom read again.
const CACHE: &str = "-500";
/// zstd's fastest but one: records are much alike, and half the time is worth more than a tenth of the size.
const LEVEL: i32 = 1;
/// So many small blocks of an agent are joined. How many records make a block that is none stands in the schema.
const JOINED_AT: i64 = 64;

pub struct SqliteCalls {
    pub(super) connections: SqlitePool,
    owners: RwLock<HashMap<OrganizationId, HashMap<AgentId, i64>>>,
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
        if let Some(owner) = self.known_owner(organization, agent) {
            return Ok(owner);
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
        let mut owners = self.owners.write().unwrap_or_else(PoisonError::into_inner);
        owners.entry(organization.clone()).or_default().insert(agent.clone(), owner);
        Ok(owner)
    }

    fn known_owner(&self, organization: &OrganizationId, agent: &AgentId) -> Option<i64> {
        let owners = self.owners.read().unwrap_or_else(PoisonError::into_inner);
        owners.get(organization)?.get(agent).copied()
    }

    async fn begin(&self) -> Result<Transaction, StoreError> {
        let mut connection = self.connections.acquire().await.map_err(unavailable)?;
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await.map_err(unavailable)?;
        Ok(Transaction(Some(connection)))
    }

    /// Removes what began before this. How many blocks were removed or cut.
    pub async fn expire(&self, before: Timestamp) -> Result<u64, StoreError> {
        let before = id_from(before);
        let mut expired = sqlx::query("DELETE FROM blocks WHERE last < ?")
            .bind(&before)
            .execute(&self.connections)
            .await
            .map_err(unavailable)?
            .rows_affected();
        let cut: Vec<i64> = sqlx::query_scalar("SELECT block FROM blocks WHERE first < ?")
            .bind(&before)
            .fetch_all(&self.connections)
            .await
            .map_err(unavailable)?;
        for block in cut {
            expired += self.cut(block, &before).await?;
        }
        sqlx::query("DELETE FROM resolutions WHERE id < ?")
            .bind(&before)
            .execute(&self.connections)
            .await
            .map_err(unavailable)?;
        Ok(expired)
    }

    /// Takes what began before this out of a block that has also later ones.
    async fn cut(&self, block: i64, before: &str) -> Result<u64, StoreError> {
        let mut transaction = self.begin().await?;
        let row = sqlx::query("DELETE FROM blocks WHERE block = ? RETURNING owner, records")
            .bind(block)
            .fetch_optional(transaction.connection())
            .await
            .map_err(unavailable)?;
        // It was joined with others a moment ago: its turn comes next time.
        let Some(row) = row else { return Ok(0) };
        let (owner, records): (i64, Vec<u8>) =
            (row.try_get(0).map_err(unavailable)?, row.try_get(1).map_err(unavailable)?);
        let before = before.to_owned();
        let left = beside(move || {
            let records = picked(&records, None)?.into_iter().filter(|record| record.id >= before);
            let left = Part::of(&records.collect::<Vec<_>>());
            Ok((packed(&left)?, left))
        });
        let (records, left) = left.await?;
        if left.len > 0 {
            insert(transaction.connection(), owner, &left, &records).await?;
        }
        transaction.commit().await?;
        Ok(1)
    }

    /// Puts how each write in doubt ended beside its record. Newest first come and go.
    async fn resolve(&self, owner: i64, records: &mut [CallRecord]) -> Result<(), StoreError> {
        let in_doubt = || records.iter().filter(|record| record.outcome == IN_DOUBT);
        let (Some(newest), Some(oldest)) = (in_doubt().next(), in_doubt().next_back()) else { return Ok(()) };
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT id, resolution FROM resolutions WHERE owner = ? AND id BETWEEN ? AND ?")
                .bind(owner)
                .bind(&oldest.id)
                .bind(&newest.id)
                .fetch_all(&self.connections)
                .await
                .map_err(unavailable)?;
        let mut resolutions: HashMap<String, String> = rows.into_iter().collect();
        for record in records.iter_mut().filter(|record| record.outcome == IN_DOUBT) {
            let resolution = resolutions.remove(&record.id);
            record.resolution = resolution.map(|json| read(json.as_bytes())).transpose()?;
        }
        Ok(())
    }
}

#[async_trait]
impl CallStore for SqliteCalls {
    /// How long is for [`SqliteCalls::expire`] to see to.
    async fn keep_calls(&self, batch: &Arc<Batch>, _kept: Duration) -> Result<(), StoreError> {
        let ours = batch.clone();
        let all =
            beside(move || ours.parts().map(|(_, _, part)| packed(part)).collect::<Result<Vec<_>, _>>())
                .await?;
        let mut blocks = Vec::with_capacity(all.len());
        for ((organization, agent, part), records) in batch.parts().zip(&all) {
            blocks.push((self.owner(organization, agent).await?, part, records));
        }
        let mut transaction = self.begin().await?;
        for (owner, part, records) in blocks {
            insert(transaction.connection(), owner, part, records).await?;
            join_small(transaction.connection(), owner).await?;
        }
        transaction.commit().await
    }

    async fn calls(
        &self,
        organization: &OrganizationId,
        agent: &AgentId,
        path: Path<'_>,
        span: Span<'_>,
        limit: usize,
    ) -> Result<Vec<CallRecord>, StoreError> {
        let owner = self.owner(organization, agent).await?;
        let mut select = QueryBuilder::<Sqlite>::new("SELECT last, records FROM blocks WHERE owner = ");
        select.push_bind(owner);
        if let Some(from) = span.from {
            select.push(" AND last >= ").push_bind(from);
        }
        if let Some(before) = span.before {
            select.push(" AND first < ").push_bind(before);
        }
        match path {
            Path::All => {}
            Path::Lookup(hash) => has_key(&mut select, key_of_lookup(hash)),
            Path::Call(call) => has_key(&mut select, key_of_call(call)),
            Path::InDoubt => drop(select.push(" AND in_doubt")),
        }
        select.push(" ORDER BY last DESC");
        let mut found: Vec<CallRecord> = Vec::new();
        let mut blocks = select.build().fetch(&self.connections);
        while let Some(block) = blocks.try_next().await.map_err(unavailable)? {
            let last: &str = block.try_get(0).map_err(unavailable)?;
            // All that is left is older than what is there.
            if found.len() >= limit && found.last().is_none_or(|oldest| oldest.id.as_str() > last) {
                break;
            }
            let records: Vec<u8> = block.try_get(1).map_err(unavailable)?;
            let word = word_of(path);
            let picked = beside(move || picked(&records, word.as_deref())).await?;
            found.extend(picked.into_iter().filter(|record| fits(record, path, span)));
            // A batch may have been kept twice.
            found.sort_by(|a, b| b.id.cmp(&a.id));
            found.dedup_by(|a, b| a.id == b.id);
            found.truncate(limit);
        }
        drop(blocks);
        self.resolve(owner, &mut found).await?;
        Ok(found)
    }

    async fn call(
        &self,
        organization: &OrganizationId,
        agent: &AgentId,
        id: &str,
    ) -> Result<Option<CallRecord>, StoreError> {
        let owner = self.owner(organization, agent).await?;
        let mut blocks =
            sqlx::query("SELECT records FROM blocks WHERE owner = ?1 AND last >= ?2 AND first <= ?2")
                .bind(owner)
                .bind(id)
                .fetch(&self.connections);
        let mut found = Vec::new();
        while let Some(block) = blocks.try_next().await.map_err(unavailable)?
            && found.is_empty()
        {
            let (records, word): (Vec<u8>, _) = (block.try_get(0).map_err(unavailable)?, id.to_owned());
            found = beside(move || picked(&records, Some(&word))).await?;
            found.retain(|record| record.id == id);
        }
        drop(blocks);
        self.resolve(owner, &mut found).await?;
        Ok(found.pop())
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

/// Not sqlx's own: where the disk is full SQLite has rolled back by itself, and sqlx would count the transaction as open
/// for as long as the connection lives.
struct Transaction(Option<PoolConnection<Sqlite>>);

impl Transaction {
    fn connection(&mut self) -> &mut SqliteConnection {
        self.0.as_mut().expect("it is there until the end")
    }

    async fn commit(mut self) -> Result<(), StoreError> {
        sqlx::query("COMMIT").execute(self.connection()).await.map_err(unavailable)?;
        self.0 = None;
        Ok(())
    }
}

impl Drop for Transaction {
    /// What failed, or was left in the middle, ends with its connection.
    fn drop(&mut self) {
        if let Some(connection) = &mut self.0 {
            connection.close_on_drop();
        }
    }
}

async fn insert(
    connection: &mut SqliteConnection,
    owner: i64,
    part: &Part,
    records: &[u8],
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO blocks (owner, first, last, len, in_doubt, keys, records) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(owner)
    .bind(&part.first)
    .bind(&part.last)
    .bind(i64::try_from(part.len).unwrap_or(i64::MAX))
    .bind(part.in_doubt)
    .bind(&part.keys)
    .bind(records)
    .execute(connection)
    .await
    .map(drop)
    .map_err(unavailable)
}

/// Makes few blocks of many small ones, once there are so many.
async fn join_small(connection: &mut SqliteConnection, owner: i64) -> Result<(), StoreError> {
    const COUNT: &str = "SELECT count(*) FROM blocks WHERE owner = ? AND len < 1024";
    const TAKE: &str = "DELETE FROM blocks WHERE owner = ? AND len < 1024 RETURNING first, last, len, in_doubt, keys, records";
    type Taken = (String, String, i64, bool, Vec<u8>, Vec<u8>);
    let count: i64 =
        sqlx::query_scalar(COUNT).bind(owner).fetch_one(&mut *connection).await.map_err(unavailable)?;
    if count < JOINED_AT {
        return Ok(());
    }
    let taken: Vec<Taken> =
        sqlx::query_as(TAKE).bind(owner).fetch_all(&mut *connection).await.map_err(unavailable)?;
    let joined = beside(move || {
        let mut parts: Vec<Part> = Vec::new();
        for (first, last, len, in_doubt, keys, records) in taken {
            let lines = zstd::stream::decode_all(records.as_slice()).map_err(|_| damaged())?;
            let len = usize::try_from(len).map_err(|_| damaged())?;
            let part = Part { first, last, len, in_doubt, keys, lines };
            match parts.last_mut() {
                Some(before) if before.len + len <= PART_RECORDS => before.join(part),
                Some(_) | None => parts.push(part),
            }
        }
        parts.into_iter().map(|part| Ok((packed(&part)?, part))).collect::<Result<Vec<_>, _>>()
    });
    for (records, part) in joined.await? {
        insert(&mut *connection, owner, &part, &records).await?;
    }
    Ok(())
}

fn has_key(select: &mut QueryBuilder<Sqlite>, key: [u8; 4]) {
    select.push(" AND instr(keys, ").push_bind(key.to_vec()).push(") > 0");
}

/// What stands in the line of every record that this path leads to.
fn word_of(path: Path<'_>) -> Option<String> {
    match path {
        Path::All => None,
        Path::Lookup(word) => Some(word.to_owned()),
        Path::Call(call) => serde_json::to_string(call).ok(),
        Path::InDoubt => Some(IN_DOUBT.to_owned()),
    }
}

fn fits(record: &CallRecord, path: Path<'_>, span: Span<'_>) -> bool {
    let leads_to_it = match path {
        Path::All => true,
        Path::Lookup(hash) => record.lookup_hash() == Some(hash),
        Path::Call(call) => record.call_id.as_deref() == Some(call),
        Path::InDoubt => record.outcome == IN_DOUBT,
    };
    let id = record.id.as_str();
    leads_to_it && span.from.is_none_or(|from| id >= from) && span.before.is_none_or(|before| id < before)
}

/// Beside the runtime: a block takes milliseconds, for which no call shall wait.
async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StoreError::Unavailable(error.to_string()))?
}

fn packed(part: &Part) -> Result<Vec<u8>, StoreError> {
    zstd::bulk::compress(&part.lines, LEVEL).map_err(|error| StoreError::Unavailable(error.to_string()))
}

/// The records of a block that have this word in their line.
fn picked(records: &[u8], word: Option<&str>) -> Result<Vec<CallRecord>, StoreError> {
    let lines = zstd::stream::decode_all(records).map_err(|_| damaged())?;
    let lines = str::from_utf8(&lines).map_err(|_| damaged())?;
    let wanted = lines.lines().filter(|line| word.is_none_or(|word| line.contains(word)));
    wanted.map(|line| read(line.as_bytes())).collect()
}
