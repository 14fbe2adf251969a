//! What handlers work with, put together once per process.

use crate::config::Config;
use crate::rate::Rates;
use domain::catalog::Catalog;
use domain::integration::Discovery;
use events::{IntegrationKind, KeyId, OrganizationId};
use infra::databases::pool::Pools;
use infra::peppers::PepperSource;
use infra::sealing::Sealer;
use infra::storage::snapshots::Snapshots;
use infra::storage::{AnswerStore, CredentialStore, EventLog};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, RwLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

pub struct Services {
    pub config: Config,
    pub log: Arc<dyn EventLog>,
    pub snapshots: Arc<Snapshots>,
    pub credentials: Arc<dyn CredentialStore>,
    pub answers: Arc<dyn AnswerStore>,
    pub sealer: Arc<dyn Sealer>,
    pub pools: Arc<Pools>,
    pub rates: Rates,
    pub discoveries: crate::integrations::running::Discoveries,
    pub visible: crate::integrations::visible::Views,
    /// For the hashes of API keys.
    pub peppers: Arc<dyn PepperSource>,
    pub cursor_key: Zeroizing<[u8; 32]>,
    /// For keyed hashes of request bodies, idempotency keys and arguments.
    pub hash_key: Zeroizing<[u8; 32]>,
    /// Requests and discoveries that run, so that a server that stops lets them finish.
    pub tasks: TaskTracker,
    /// The server ends: what would go on for ever ends too.
    pub stopping: CancellationToken,
    pub turns: Turns,
    pub streams: Keyed<OrganizationId>,
    pub management: KeyedSemaphores,
    pub organizations_by_key: RwLock<HashMap<KeyId, OrganizationId>>,
}

/// Turns of one organization's decisions: whoever was overtaken waits in line instead of being overtaken again.
pub type Turns = Keyed<OrganizationId>;
pub type KeyedSemaphores = Keyed<(OrganizationId, IntegrationKind)>;

/// One semaphore for each key that was ever asked for, of which there are few.
pub struct Keyed<K> {
    permits: usize,
    semaphores: Mutex<HashMap<K, Arc<Semaphore>>>,
}

impl<K: Eq + Hash> Keyed<K> {
    pub fn new(permits: usize) -> Self {
        Self { permits, semaphores: Mutex::default() }
    }

    pub async fn take(&self, key: K) -> OwnedSemaphorePermit {
        self.of(key).acquire_owned().await.expect("it is never closed")
    }

    /// None when all are taken.
    pub fn try_take(&self, key: K) -> Option<OwnedSemaphorePermit> {
        self.of(key).try_acquire_owned().ok()
    }

    fn of(&self, key: K) -> Arc<Semaphore> {
        let mut semaphores = self.semaphores.lock().expect("not poisoned");
        semaphores.entry(key).or_insert_with(|| Arc::new(Semaphore::new(self.permits))).clone()
    }
}

impl Services {
    /// A turn to open a connection beside the pool: a burst of bindings must not take the connections that live
    /// calls need.
    pub async fn manage(&self, organization: &OrganizationId, kind: IntegrationKind) -> OwnedSemaphorePermit {
        self.management.take((organization.clone(), kind)).await
    }

    /// The whole discovered schema, blocked things included: for decisions, never for answers.
    pub async fn whole_catalog(
        &self,
        state: &domain::Organization,
        kind: IntegrationKind,
    ) -> Result<Arc<Catalog>, crate::problem::Problem> {
        self.snapshot(state, state.discovery(kind)?).await
    }

    pub async fn snapshot(
        &self,
        state: &domain::Organization,
        discovery: &Discovery,
    ) -> Result<Arc<Catalog>, crate::problem::Problem> {
        Ok(self.snapshots.load(&state.id, &discovery.schema_root).await?)
    }
}
