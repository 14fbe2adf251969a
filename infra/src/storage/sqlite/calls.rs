//! Records of live calls, in a file of their own: they come by the thousand, and neither wait for the log's writer nor
//! keep it waiting. A power cut may cost the last moments, as a crash costs what was not handed over yet.
//!
//! What comes at once of one agent becomes a block. Small ones are joined now and then, so that there are few to look
//! into however slowly records came.

mod blocks;

use super::schema::{create_file, unavailable};
use crate::storage::StoreError;
use crate::storage::calls::{
    Batch, CallRecord, CallStore, IN_DOUBT, Part, Path, Resolution, Span, id_from, key_of_call,
    key_of_lookup, read,
};
use async_trait::async_trait;
use blocks::{Packer, Transaction, beside, insert, join_small, packed, picked};
use events::{AgentId, OrganizationId};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, QueryBuilder, Row, Sqlite};
use std::collections::HashMap;
use std::path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

const FILE: &str = "calls.db";
const SCHEMA: &str = include_str!("schema/calls.sql");
const BUSY: Duration = Duration::from_secs(5);
/// Lists that are read at once; more would only wait for the same disk.
const READERS: u32 = 2;
/// Of each connection, in KiB, as SQLite takes it. Blocks are written once and seldom read again.
const CACHE: &str = "-500";
/// Blocks that are removed in one transaction, so that calls that end meanwhile are kept in between.
const EXPIRED_AT_ONCE: i64 = 500;

pub struct SqliteCalls {
    /// Of one connection, which no list holds up.
    pub(super) writer: SqlitePool,
    pub(super) readers: SqlitePool,
    owners: RwLock<HashMap<OrganizationId, HashMap<AgentId, i64>>>,
    packer: Arc<Mutex<Packer>>,
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
        let pool = |most| SqlitePoolOptions::new().max_connections(most).acquire_timeout(BUSY);
        let writer = pool(1).connect_with(options.clone()).await.map_err(unavailable)?;
        sqlx::raw_sql(SCHEMA).execute(&writer).await.map_err(unavailable)?;
        let readers = pool(READERS).connect_lazy_with(options);
        let packer = Arc::new(Mutex::new(Packer::new()?));
        Ok(Arc::new(Self { writer, readers, owners: RwLock::default(), packer }))
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
        .fetch_one(&self.writer)
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

    /// Removes what began before this. How many blocks were removed or cut.
    pub async fn expire(&self, before: Timestamp) -> Result<u64, StoreError> {
        const REMOVE: &str = "DELETE FROM blocks WHERE block IN (
                 SELECT block FROM blocks WHERE owner = ? AND last < ? LIMIT ?)";
        let before = id_from(before);
        let owners: Vec<i64> = sqlx::query_scalar("SELECT owner FROM owners")
            .fetch_all(&self.readers)
            .await
            .map_err(unavailable)?;
        let mut expired = 0;
        for owner in owners {
            loop {
                let remove = sqlx::query(REMOVE).bind(owner).bind(&before).bind(EXPIRED_AT_ONCE);
                let removed = remove.execute(&self.writer).await.map_err(unavailable)?.rows_affected();
                expired += removed;
                if removed == 0 {
                    break;
                }
            }
            let cut: Vec<i64> = sqlx::query_scalar("SELECT block FROM blocks WHERE owner = ? AND first < ?")
                .bind(owner)
                .bind(&before)
                .fetch_all(&self.readers)
                .await
                .map_err(unavailable)?;
            for block in cut {
                match self.cut(block, &before).await {
                    Ok(cut) => expired += cut,
                    // It goes as a whole when its last record does, and keeps no other from going now.
                    Err(StoreError::Corrupt { .. }) => {
                        tracing::error!(block, "a block of call records is damaged")
                    }
                    Err(error) => return Err(error),
                }
            }
            sqlx::query("DELETE FROM resolutions WHERE owner = ? AND id < ?")
                .bind(owner)
                .bind(&before)
                .execute(&self.writer)
                .await
                .map_err(unavailable)?;
        }
        Ok(expired)
    }

    /// Takes what began before this out of a block that has also later ones.
    async fn cut(&self, block: i64, before: &str) -> Result<u64, StoreError> {
        let mut transaction = Transaction::begin(&self.writer).await?;
        let row = sqlx::query("DELETE FROM blocks WHERE block = ? RETURNING owner, records")
            .bind(block)
            .fetch_optional(transaction.connection())
            .await
            .map_err(unavailable)?;
        // It was joined with others a moment ago: its turn comes next time.
        let Some(row) = row else { return transaction.commit().await.map(|()| 0) };
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

    /// Puts how each write in doubt ended beside its record. The newest comes first.
    async fn resolve(&self, owner: i64, records: &mut [CallRecord]) -> Result<(), StoreError> {
        let in_doubt = || records.iter().filter(|record| record.outcome == IN_DOUBT);
        let (Some(newest), Some(oldest)) = (in_doubt().next(), in_doubt().next_back()) else { return Ok(()) };
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT id, resolution FROM resolutions WHERE owner = ? AND id BETWEEN ? AND ?")
                .bind(owner)
                .bind(&oldest.id)
                .bind(&newest.id)
                .fetch_all(&self.readers)
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
        let packer = self.packer.clone();
        let all = beside(move || {
            let mut packer = packer.lock().unwrap_or_else(PoisonError::into_inner);
            ours.parts().map(|(_, _, part)| packer.packed(part)).collect::<Result<Vec<_>, _>>()
        });
        let all = all.await?;
        let mut blocks = Vec::with_capacity(all.len());
        for ((organization, agent, part), records) in batch.parts().zip(&all) {
            blocks.push((self.owner(organization, agent).await?, part, records));
        }
        let mut transaction = Transaction::begin(&self.writer).await?;
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
        let mut blocks = select.build().fetch(&self.readers);
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
                .fetch(&self.readers);
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
            .execute(&self.writer)
            .await
            .map(drop)
            .map_err(unavailable)
    }
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
