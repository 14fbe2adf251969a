//! Sees what other processes append, such as a key that is minted beside a running server.

use super::schema::unavailable;
use super::{SqliteStore, reader, schema};
use crate::storage::StoreError;
use events::{OrganizationId, Seq};
use sqlx::sqlite::SqliteConnection;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// A key that was minted beside is seen within a second; asking SQLite costs microseconds.
const EVERY: Duration = Duration::from_millis(200);

/// How long the state in memory is served after the head was last confirmed. Beyond that a revoked key might be
/// taken, so everything is read from the file again, or refused when it cannot be.
pub const TRUSTED: Duration = Duration::from_secs(60);

/// When the head was last confirmed.
pub struct Confirmed {
    start: Instant,
    /// Milliseconds after `start`.
    at: AtomicU64,
    trusted: Duration,
}

impl Confirmed {
    pub fn now(trusted: Duration) -> Self {
        Self { start: Instant::now(), at: AtomicU64::new(0), trusted }
    }

    pub fn confirm(&self) {
        self.at.store(self.elapsed(), Ordering::Relaxed);
    }

    pub fn holds(&self) -> bool {
        let ago = self.elapsed().saturating_sub(self.at.load(Ordering::Relaxed));
        u128::from(ago) <= self.trusted.as_millis()
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Ends with the store: the handle is weak.
pub fn start(store: Weak<SqliteStore>) {
    tokio::spawn(async move {
        let mut watcher = Watcher { connection: None, seen: None };
        loop {
            tokio::time::sleep(EVERY).await;
            let Some(store) = store.upgrade() else { break };
            match watcher.look(&store).await {
                Ok(()) => store.confirmed.confirm(),
                Err(error) => {
                    tracing::warn!(%error, "the log cannot be watched");
                    watcher = Watcher { connection: None, seen: None };
                }
            }
        }
    });
}

struct Watcher {
    connection: Option<SqliteConnection>,
    /// `data_version` changes when another connection has committed.
    seen: Option<i64>,
}

impl Watcher {
    async fn look(&mut self, store: &Arc<SqliteStore>) -> Result<(), StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => schema::connect(&store.path).await?,
        };
        let connection = self.connection.insert(connection);
        let version: i64 = sqlx::query_scalar("PRAGMA data_version")
            .fetch_one(&mut *connection)
            .await
            .map_err(unavailable)?;
        if self.seen == Some(version) {
            return Ok(());
        }
        let warm = store.warm.heads();
        for (organization, head) in reader::heads(connection).await? {
            if let Some(known) = warm.get(&organization).filter(|known| **known != head) {
                catch_up(connection, store, &organization, *known, head).await?;
            }
        }
        self.seen = Some(version);
        Ok(())
    }
}

async fn catch_up(
    connection: &mut SqliteConnection,
    store: &SqliteStore,
    organization: &OrganizationId,
    known: Seq,
    head: Seq,
) -> Result<(), StoreError> {
    // The writer publishes after its commit, so what is in memory may have overtaken the head that was read here.
    let Some(state) = store.warm.get(organization).filter(|state| state.head == known && known < head) else {
        return Ok(());
    };
    let mut state = Arc::unwrap_or_clone(state);
    match reader::fold(connection, &mut state).await {
        Ok(_) => {
            store.warm.publish(Arc::new(state));
            Ok(())
        }
        Err(error @ StoreError::Corrupt { .. }) => {
            // Only this organization fails, and it fails closed: the next who asks for its state is told why.
            tracing::error!(%organization, %error, "the log cannot be read");
            store.warm.forget(organization);
            Ok(())
        }
        Err(error @ StoreError::Unavailable(_)) => Err(error),
    }
}
