//! The embedded backend: one file, one task that writes, readers on connections of their own.

mod answers;
mod append;
mod artefacts;
mod calls;
mod credentials;
mod deliveries;
mod directory;
mod documents;
mod lock;
mod misses;
mod past;
mod reader;
mod schema;
mod warm;
mod watch;
mod writer;

pub use calls::SqliteCalls;
pub use lock::{LockError, ServingLock};

use super::documents::Compared;
use super::misses::MissMemory;
use super::replay::{self, Rows};
use super::{AppendError, Commit, Committed, EventLog, StoreError, Stored, Verified};
use async_trait::async_trait;
use domain::Organization;
use events::{CommandId, KeyId, OrganizationId, Recorded, Seq};
use jiff::Timestamp;
use schema::unavailable;
use sqlx::sqlite::SqlitePool;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use warm::Warm;
use watch::Confirmed;
use writer::Writer;

pub struct SqliteStore {
    path: PathBuf,
    readers: SqlitePool,
    writer: Writer,
    warm: Arc<Warm>,
    confirmed: Confirmed,
    turns: deliveries::Turns,
    misses: MissMemory,
    /// Tells this process's running answers from those that a dead one left behind.
    process: String,
}

impl SqliteStore {
    /// Opens `bindery.db` in this folder and creates both, for nobody else to read, when they are missing. Must be
    /// called inside a tokio runtime; the tasks end when the store is dropped.
    pub async fn open(data_dir: &Path) -> Result<Arc<Self>, StoreError> {
        Self::open_trusting(data_dir, watch::TRUSTED).await
    }

    /// Whether this folder has a log.
    pub fn is_in(data_dir: &Path) -> bool {
        data_dir.join(schema::FILE).is_file()
    }

    async fn open_trusting(data_dir: &Path, trusted: Duration) -> Result<Arc<Self>, StoreError> {
        let path = schema::prepare(data_dir).await?;
        let warm = Arc::new(Warm::default());
        let store = Arc::new(Self {
            readers: schema::readers(&path).await?,
            writer: Writer::start(path.clone(), warm.clone()),
            warm,
            confirmed: Confirmed::now(trusted),
            turns: deliveries::Turns::default(),
            misses: MissMemory::default(),
            process: uuid::Uuid::new_v4().simple().to_string(),
            path,
        });
        store.writer.alone(|connection| Box::pin(credentials::overwrite_leftovers(connection))).await?;
        watch::start(Arc::downgrade(&store));
        Ok(store)
    }

    /// Takes the data folder for serving, until the lock is dropped. Minting keys beside a server needs no lock.
    pub fn lock_for_serving(data_dir: &Path) -> Result<ServingLock, LockError> {
        ServingLock::take(data_dir)
    }

    /// Folds the whole log and compares the documents with what that gives.
    pub async fn compare_projections(&self, organization: &OrganizationId) -> Result<Compared, StoreError> {
        let mut transaction = self.readers.begin().await.map_err(unavailable)?;
        let nothing = Organization::empty(organization.clone());
        Ok(documents::compare(&mut transaction, nothing).await?.0)
    }

    /// Throws the documents and the key index away and folds the log again. Says whether the documents had the same
    /// bytes before. Others may read and append meanwhile, this process and those beside it.
    pub async fn rebuild_projections(&self, organization: &OrganizationId) -> Result<Compared, StoreError> {
        Ok(self.rebuild(organization).await?.0)
    }

    async fn rebuild(
        &self,
        organization: &OrganizationId,
    ) -> Result<(Compared, Arc<Organization>), StoreError> {
        // Writers are held up for the documents alone: the log is folded before, and only what came since then later.
        let mut state = Organization::empty(organization.clone());
        let mut transaction = self.readers.begin().await.map_err(unavailable)?;
        reader::fold(&mut transaction, &mut state).await?;
        drop(transaction);
        self.writer
            .alone(move |connection| {
                Box::pin(writer::transaction(connection, move |connection| {
                    Box::pin(async move { documents::rebuild(connection, state).await })
                }))
            })
            .await
    }

    /// From memory when that reaches `seq`; else from the documents, which are never behind.
    async fn at_least(
        &self,
        organization: &OrganizationId,
        seq: Seq,
    ) -> Result<Arc<Organization>, StoreError> {
        if let Some(state) = self.warm_state(organization).filter(|state| state.head >= seq) {
            return Ok(state);
        }
        let mut transaction = self.readers.begin().await.map_err(unavailable)?;
        let loaded = documents::load(&mut transaction, organization).await?;
        drop(transaction);
        if !loaded.current {
            // Another release wrote them: written once now, they need not be folded at every start. The state is
            // right without.
            if let Err(error) = self.rebuild(organization).await {
                tracing::warn!(%organization, %error, "documents could not be written");
            }
        }
        if loaded.state.head > Seq(0) {
            self.warm.publish(loaded.state.clone());
        }
        Ok(loaded.state)
    }

    /// Forgets the ids of commands that were recorded before, and returns how many. Ids must be kept for at least
    /// [`domain::limits::IDEMPOTENCY_KEPT`].
    pub async fn expire_commands(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.writer
            .write(move |connection| {
                Box::pin(async move {
                    let gone = sqlx::query("DELETE FROM commands WHERE recorded_at < ?")
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

#[async_trait]
impl EventLog for SqliteStore {
    async fn append(&self, commit: Commit) -> Result<Committed, AppendError> {
        self.writer.append(commit).await
    }

    async fn committed(
        &self,
        organization: &OrganizationId,
        command_id: &CommandId,
    ) -> Result<Option<Committed>, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(unavailable)?;
        let Some(events) = append::stored(&mut connection, organization, command_id).await? else {
            return Ok(None);
        };
        drop(connection);
        let state = self.at_least(organization, events.last().map_or(Seq(0), |event| event.seq)).await?;
        Ok(Some(Committed { events, replayed: true, state }))
    }

    async fn read(
        &self,
        organization: &OrganizationId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Recorded>, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(unavailable)?;
        replay::events(&mut *connection, organization, after, limit).await
    }

    async fn stored(
        &self,
        organization: &OrganizationId,
        after: Seq,
        commits: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(unavailable)?;
        replay::stored(&mut *connection, organization, after, commits).await
    }

    async fn head(&self, organization: &OrganizationId) -> Result<Seq, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(unavailable)?;
        Ok(connection.head(organization).await?.seq)
    }

    async fn state(&self, organization: &OrganizationId) -> Result<Arc<Organization>, StoreError> {
        self.at_least(organization, Seq(0)).await
    }

    fn warm_state(&self, organization: &OrganizationId) -> Option<Arc<Organization>> {
        self.warm.get(organization).filter(|_| self.confirmed.holds())
    }

    async fn verify(&self, organization: &OrganizationId) -> Result<Verified, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(unavailable)?;
        replay::verify(&mut *connection, organization).await
    }

    async fn beyond(
        &self,
        organization: &OrganizationId,
        seq: Seq,
        within: Duration,
    ) -> Result<Seq, StoreError> {
        let mut news = self.warm.news();
        let deadline = tokio::time::Instant::now() + within;
        loop {
            let head = self.state(organization).await?.head;
            if head > seq || tokio::time::timeout_at(deadline, news.changed()).await.is_err() {
                return Ok(head);
            }
        }
    }

    async fn organizations(&self) -> Result<Vec<OrganizationId>, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(unavailable)?;
        let heads = reader::heads(&mut connection).await?;
        Ok(heads.into_iter().map(|(organization, _)| organization).collect())
    }

    async fn organization_of_key(&self, key: &KeyId) -> Result<Option<OrganizationId>, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(unavailable)?;
        reader::organization_of_key(&mut connection, key).await
    }
}

#[cfg(test)]
mod tests;
