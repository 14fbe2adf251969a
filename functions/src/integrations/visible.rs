//! What of a schema the scoping leaves, with its search index: made once for each discovery and scoping.

use crate::problem::Problem;
use crate::services::Services;
use domain::catalog::Catalog;
use domain::{Organization, search};
use events::scoping::Blocked;
use events::{IntegrationKind, OrganizationId, Seq};
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

/// A large one holds tens of megabytes.
const KEPT: usize = 32;

#[derive(Default)]
pub struct Views {
    views: Mutex<HashMap<(OrganizationId, IntegrationKind), Arc<View>>>,
}

pub struct View {
    pub catalog: Arc<Catalog>,
    pub schema_hash: String,
    pub discovered_at: Timestamp,
    schema_root: String,
    scoping_at: Seq,
    index: OnceLock<search::Index>,
}

impl View {
    /// Off the threads that serve calls, like everything that goes through a whole large schema.
    pub async fn with_index<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&search::Index) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let worked = tokio::task::spawn_blocking(move || {
            work(self.index.get_or_init(|| search::Index::build(self.catalog.clone())))
        });
        worked.await.map_err(|_| Problem::internal())
    }
}

impl Views {
    pub fn forget(&self, organization: &OrganizationId, kind: IntegrationKind) {
        self.views.lock().expect("not poisoned").remove(&(organization.clone(), kind));
    }
}

impl Services {
    /// # Errors
    /// 404 before the first discovery.
    pub async fn visible(&self, state: &Organization, kind: IntegrationKind) -> Result<Arc<View>, Problem> {
        let discovery = state.discovery(kind)?;
        let scoping_at = state.scopings.get(&kind).map_or(Seq(0), |scoping| scoping.changed_at);
        let key = (state.id.clone(), kind);
        if let Some(known) = self.visible.views.lock().expect("not poisoned").get(&key)
            && known.schema_root == discovery.schema_root
            && known.scoping_at == scoping_at
            && known.discovered_at == discovery.discovered_at
        {
            return Ok(known.clone());
        }
        let (whole, blocked) = (self.whole_catalog(state, kind).await?, state.blocked(kind).clone());
        let catalog = if blocked == Blocked::default() {
            whole
        } else {
            let cut = tokio::task::spawn_blocking(move || Arc::new(whole.visible(&blocked))).await;
            cut.map_err(|_| Problem::internal())?
        };
        let view = Arc::new(View {
            catalog,
            schema_hash: discovery.schema_hash.clone(),
            discovered_at: discovery.discovered_at,
            schema_root: discovery.schema_root.clone(),
            scoping_at,
            index: OnceLock::new(),
        });
        let mut views = self.visible.views.lock().expect("not poisoned");
        if views.len() >= KEPT {
            views.clear();
        }
        views.insert(key, view.clone());
        Ok(view)
    }
}
