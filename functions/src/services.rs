//! What handlers work with, put together once per process.

use crate::calls::recorder::Recorder;
use crate::config::Config;
use crate::endpoint::Grant;
use crate::integrations::discoveries::Discoveries;
use crate::rate::Rates;
use crate::subscriptions::deliverer::Deliverer;
use domain::catalog::Catalog;
use domain::integration::Discovery;
use domain::limits::{ASSISTANT_AT_ONCE, MANAGEMENT_CONNECTIONS, STREAMS_MAX};
use events::{IntegrationKind, KeyId, OrganizationId, Seq};
use infra::assistants::Assistant;
use infra::databases::dial::Dialer;
use infra::databases::driver::Drivers;
use infra::databases::guard::Guard;
use infra::databases::pool::Pools;
use infra::peppers::PepperSource;
use infra::sealing::Sealer;
use infra::signing::Signer;
use infra::storage::calls::CallStore;
use infra::storage::deliveries::DeliveryStore;
use infra::storage::directory::Directory;
use infra::storage::misses::Misses;
use infra::storage::past::Past;
use infra::storage::snapshots::Snapshots;
use infra::storage::{AnswerStore, Artefacts, CredentialStore, EventLog, PastStates};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

/// What a process was given of the world outside.
#[derive(Clone)]
pub struct Ports {
    pub log: Arc<dyn EventLog>,
    pub artefacts: Arc<dyn Artefacts>,
    pub past: Arc<dyn PastStates>,
    pub credentials: Arc<dyn CredentialStore>,
    pub answers: Arc<dyn AnswerStore>,
    pub deliveries: Arc<dyn DeliveryStore>,
    pub directory: Arc<dyn Directory>,
    pub misses: Arc<dyn Misses>,
    pub calls: Arc<dyn CallStore>,
    pub sealer: Arc<dyn Sealer>,
    pub signer: Arc<dyn Signer>,
    pub discoveries: Arc<dyn Discoveries>,
    /// None where bindings are proposed without a service.
    pub assistant: Option<Arc<dyn Assistant>>,
}

/// The service's own keys.
#[derive(Clone)]
pub struct ServiceKeys {
    /// For the hashes of API keys.
    pub peppers: Arc<dyn PepperSource>,
    pub cursor_key: Zeroizing<[u8; 32]>,
    /// For the secrets that sign webhooks.
    pub webhook_key: Zeroizing<[u8; 32]>,
    pub hash_key: Zeroizing<[u8; 32]>,
    /// For the seals of states of the past.
    pub past_key: Zeroizing<[u8; 32]>,
}

pub struct Services {
    pub config: Config,
    pub log: Arc<dyn EventLog>,
    pub past: Past,
    pub snapshots: Arc<Snapshots>,
    pub credentials: Arc<dyn CredentialStore>,
    pub answers: Arc<dyn AnswerStore>,
    pub deliveries: Arc<dyn DeliveryStore>,
    pub directory: Arc<dyn Directory>,
    pub misses: Arc<dyn Misses>,
    /// Of live calls.
    pub records: Arc<Recorder>,
    pub sealer: Arc<dyn Sealer>,
    pub signer: Arc<dyn Signer>,
    pub pools: Arc<Pools>,
    pub rates: Rates,
    pub discoveries: Arc<dyn Discoveries>,
    pub assistant: Option<Arc<dyn Assistant>>,
    /// Goals that the assistant thinks about.
    pub assists: Keyed<OrganizationId>,
    pub visible: crate::integrations::visible::Views,
    /// For the hashes of API keys.
    pub peppers: Arc<dyn PepperSource>,
    pub cursor_key: Zeroizing<[u8; 32]>,
    /// For the secrets that sign webhooks.
    pub webhook_key: Zeroizing<[u8; 32]>,
    /// For keyed hashes of request bodies, idempotency keys and arguments.
    pub hash_key: Zeroizing<[u8; 32]>,
    /// Requests and discoveries that run, so that a server that stops lets them finish.
    pub tasks: TaskTracker,
    /// The server ends: what would go on for ever ends too.
    pub stopping: CancellationToken,
    pub turns: Turns,
    pub streams: Keyed<OrganizationId>,
    /// What answers come through holds each back until it is whole.
    pub behind_gateway: bool,
    /// None where nothing goes on in the background: another function delivers webhooks there.
    pub deliverer: Option<Deliverer>,
    pub management: KeyedSemaphores,
    /// Where the rest is done when calls have threads of their own.
    pub beside_calls: OnceLock<Handle>,
    pub organizations_by_key: RwLock<HashMap<KeyId, OrganizationId>>,
    /// The head up to which ended connections were let go of.
    pub(crate) let_go: RwLock<HashMap<OrganizationId, Seq>>,
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

    /// By all keys together.
    pub fn taken(&self) -> usize {
        let semaphores = self.semaphores.lock().expect("not poisoned");
        semaphores.values().map(|semaphore| self.permits - semaphore.available_permits()).sum()
    }

    fn of(&self, key: K) -> Arc<Semaphore> {
        let mut semaphores = self.semaphores.lock().expect("not poisoned");
        semaphores.entry(key).or_insert_with(|| Arc::new(Semaphore::new(self.permits))).clone()
    }
}

impl Services {
    /// May do everything.
    pub fn new(config: Config, ports: Ports, keys: ServiceKeys) -> Self {
        let dialer = Dialer::new(Guard { allowed: config.allow_private_hosts.clone() });
        Self { deliverer: Some(Deliverer::default()), ..Self::with(config, ports, keys, dialer) }
    }

    /// May do what `function` was granted, and no more.
    pub fn granted(
        config: Config,
        ports: &Ports,
        keys: ServiceKeys,
        function: &'static str,
        grants: &'static [Grant],
    ) -> Self {
        let dialer = if grants.contains(&Grant::Dial) {
            Dialer::new(Guard { allowed: config.allow_private_hosts.clone() })
        } else {
            Dialer::forbidden(function)
        };
        Self::with(config, ports.granted(function, grants), keys, dialer)
    }

    fn with(config: Config, ports: Ports, keys: ServiceKeys, dialer: Dialer) -> Self {
        let drivers = Drivers { dialer: Arc::new(dialer) };
        Self {
            past: Past::new(ports.log.clone(), ports.past, keys.past_key),
            log: ports.log,
            snapshots: Arc::new(Snapshots::new(ports.artefacts)),
            credentials: ports.credentials,
            answers: ports.answers,
            deliveries: ports.deliveries,
            directory: ports.directory,
            misses: ports.misses,
            records: Arc::new(Recorder::new(ports.calls, config.calls_kept)),
            sealer: ports.sealer,
            signer: ports.signer,
            pools: Arc::new(Pools::new(drivers)),
            rates: Rates::new(config.rate_per_key, config.rate_per_organization),
            discoveries: ports.discoveries,
            assistant: ports.assistant,
            assists: Keyed::new(ASSISTANT_AT_ONCE),
            visible: Default::default(),
            tasks: Default::default(),
            stopping: Default::default(),
            turns: Keyed::new(1),
            streams: Keyed::new(STREAMS_MAX),
            behind_gateway: false,
            deliverer: None,
            management: Keyed::new(MANAGEMENT_CONNECTIONS),
            beside_calls: OnceLock::new(),
            peppers: keys.peppers,
            cursor_key: keys.cursor_key,
            webhook_key: keys.webhook_key,
            hash_key: keys.hash_key,
            organizations_by_key: Default::default(),
            let_go: Default::default(),
            config,
        }
    }

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
