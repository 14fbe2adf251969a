//! What handlers work with, put together once per process.

use crate::config::Config;
use crate::rate::Rates;
use domain::catalog::Catalog;
use events::{IntegrationKind, KeyId, OrganizationId};
use infra::databases::pool::Pools;
use infra::sealing::Sealer;
use infra::storage::snapshots::Snapshots;
use infra::storage::{AnswerStore, CredentialStore, EventLog};
use std::collections::HashMap;
use std::sync::{Arc, RwLock};
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
    pub pepper: Zeroizing<[u8; 32]>,
    pub cursor_key: Zeroizing<[u8; 32]>,
    /// For keyed hashes of request bodies, idempotency keys and arguments.
    pub hash_key: Zeroizing<[u8; 32]>,
    pub organizations_by_key: RwLock<HashMap<KeyId, OrganizationId>>,
}

impl Services {
    /// The whole discovered schema, blocked things included: for decisions, never for answers.
    pub async fn whole_catalog(
        &self,
        state: &domain::Organization,
        kind: IntegrationKind,
    ) -> Result<Arc<Catalog>, crate::problem::Problem> {
        let discovery = state.discovery(kind)?;
        Ok(self.snapshots.load(&state.id, &discovery.schema_root).await?)
    }
}
