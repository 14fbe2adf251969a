//! What can be told of the store only by asking it: looked up now and then, so that nobody who asks for metrics waits.

use crate::services::Services;
use domain::limits::TELEMETRY_LOOK;
use infra::storage::StoreError;
use infra::storage::sqlite::SqliteStore;
use std::sync::{Arc, Mutex, PoisonError, Weak};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub documents_lag: u64,
    pub webhooks_lag: u64,
    pub delivering: u64,
    pub failing: u64,
    pub parked: u64,
    pub doubts: u64,
}

/// What was found the last time.
#[derive(Default)]
pub struct Looked(Mutex<Option<Found>>);

impl Looked {
    /// None before the first time, and while the store cannot be asked.
    pub fn last(&self) -> Option<Found> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until the services or the store are gone.
pub async fn keep_looking(services: Weak<Services>, store: Weak<SqliteStore>, looked: Arc<Looked>) {
    let mut interval = tokio::time::interval(TELEMETRY_LOOK);
    loop {
        interval.tick().await;
        let (Some(services), Some(store)) = (services.upgrade(), store.upgrade()) else { return };
        let found = look(&services, &store).await;
        if let Err(error) = &found {
            tracing::warn!(%error, "what is told of the store is not known for now");
        }
        *looked.0.lock().unwrap_or_else(PoisonError::into_inner) = found.ok();
    }
}

pub async fn look(services: &Services, store: &SqliteStore) -> Result<Found, StoreError> {
    let mut found = Found {
        documents_lag: store.documents_lag().await?,
        doubts: store.open_doubts().await?,
        ..Found::default()
    };
    for organization in services.log.organizations().await? {
        let state = services.log.state(&organization).await?;
        for (id, subscription) in state.subscriptions() {
            if !subscription.is_active() {
                found.parked += 1;
                continue;
            }
            let cursor = services.deliveries.cursor(&organization, id).await?.unwrap_or_default();
            if cursor.failing.is_some() {
                found.failing += 1;
            } else {
                found.delivering += 1;
            }
            let after = cursor.after.max(subscription.from);
            found.webhooks_lag = found.webhooks_lag.max(state.head.0.saturating_sub(after.0));
        }
    }
    Ok(found)
}
