//! On one machine: SQLite and a key file in one data folder.

use super::assistants;
use crate::calls::recorder::keep_up;
use crate::config::Config;
use crate::integrations::discoveries::in_process::InProcess;
use crate::services::{Ports, ServiceKeys, Services};
use crate::skills::answers::settle_abandoned;
use domain::limits::CALLS_KEPT_EVERY;
use infra::peppers::{OnePepper, PepperSource};
use infra::sealing::key_file::KeyFileSealer;
use infra::signing::DerivedSigner;
use infra::storage::EventLog;
use infra::storage::sqlite::{SqliteCalls, SqliteStore};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often what has expired is swept away.
const SWEEP: Duration = Duration::from_secs(600);

/// The master key's file in a data folder.
pub const KEY_FILE: &str = "bindery.key";

/// The store and the sealer of a data folder.
pub struct Embedded {
    pub store: Arc<SqliteStore>,
    /// Records of live calls.
    pub calls: Arc<SqliteCalls>,
    pub sealer: Arc<KeyFileSealer>,
    /// For the hashes of API keys.
    pub peppers: Arc<dyn PepperSource>,
}

impl Embedded {
    /// # Errors
    /// One sentence that says what to do.
    pub async fn open(data_dir: &Path) -> Result<Self, String> {
        let store = SqliteStore::open(data_dir)
            .await
            .map_err(|error| format!("the data folder {}: {error}", data_dir.display()))?;
        let calls = SqliteCalls::open(data_dir).await.map_err(|error| error.to_string())?;
        let key_file = data_dir.join(KEY_FILE);
        // With a history, a new key would open nothing that was sealed: a lost one must be brought back.
        let is_new = store.organizations().await.map_err(|error| error.to_string())?.is_empty();
        let opened =
            if is_new { KeyFileSealer::open_or_create(&key_file) } else { KeyFileSealer::open(&key_file) };
        let sealer = opened.map_err(|error| error.to_string())?;
        let peppers = Arc::new(OnePepper::new(sealer.derive("api-key-pepper")));
        Ok(Self { store, calls, sealer: Arc::new(sealer), peppers })
    }

    pub fn ports(&self) -> Ports {
        Ports {
            log: self.store.clone(),
            artefacts: self.store.clone(),
            past: self.store.clone(),
            credentials: self.store.clone(),
            answers: self.store.clone(),
            deliveries: self.store.clone(),
            directory: self.store.clone(),
            misses: self.store.clone(),
            calls: self.calls.clone(),
            sealer: self.sealer.clone(),
            signer: Arc::new(DerivedSigner::new(&self.sealer.derive("checkpoints"))),
            discoveries: Arc::new(InProcess::default()),
            assistant: None,
        }
    }

    pub fn keys(&self) -> ServiceKeys {
        ServiceKeys {
            peppers: self.peppers.clone(),
            cursor_key: self.sealer.derive("cursors"),
            webhook_key: self.sealer.derive("webhooks"),
            hash_key: self.sealer.derive("keyed-hashes"),
            past_key: self.sealer.derive("past-states"),
        }
    }

    /// Puts the services together and leaves everything as it is: for looking at a folder that a server may serve.
    pub fn read_only(&self, config: Config) -> Arc<Services> {
        Arc::new(Services::new(config, self.ports(), self.keys()))
    }

    /// # Errors
    /// When what an earlier process left behind cannot be settled.
    pub async fn services(&self, config: Config) -> Result<Arc<Services>, String> {
        let ports = Ports { assistant: assistants::of_a_server(&config).await?, ..self.ports() };
        let services = Arc::new(Services::new(config, ports, self.keys()));
        let settled = settle_abandoned(&services).await;
        if let Some(problem) = settled.failed.into_iter().next() {
            return Err(problem.detail);
        }
        if settled.for_a_person > 0 {
            tracing::warn!(settled.for_a_person, "writes were cut off whose database cannot be asked");
        }
        settled.doubts.into_iter().for_each(|doubt| services.find_out_later(doubt));
        if let Some((organization, error)) = services.shred_leftovers().await.into_iter().next() {
            return Err(format!("ended credentials of {organization}: {error}"));
        }
        services.deliver_all().await.map_err(|error| error.to_string())?;
        let records = Arc::downgrade(&services.records);
        tokio::spawn(keep_up(records, CALLS_KEPT_EVERY, services.stopping.clone()));
        let stores = (Arc::downgrade(&self.store), Arc::downgrade(&self.calls));
        tokio::spawn(sweep(Arc::downgrade(&services), stores));
        Ok(services)
    }
}

impl Services {
    /// A question about the past then finds a state that is near, also after a release that folds anew.
    async fn keep_up_pasts(&self) {
        let organizations = match self.log.organizations().await {
            Ok(organizations) => organizations,
            Err(error) => return tracing::warn!(%error, "states of the past are not kept for now"),
        };
        for organization in organizations {
            if let Err(error) = self.past.keep_up(&organization).await {
                tracing::warn!(%organization, %error, "states of the past are not kept for now");
            }
        }
    }
}

async fn sweep(services: Weak<Services>, (store, calls): (Weak<SqliteStore>, Weak<SqliteCalls>)) {
    let mut interval = tokio::time::interval(SWEEP);
    loop {
        interval.tick().await;
        let (Some(services), Some(store), Some(calls)) =
            (services.upgrade(), store.upgrade(), calls.upgrade())
        else {
            return;
        };
        let kept = jiff::SignedDuration::try_from(domain::limits::IDEMPOTENCY_KEPT).expect("7 days fit");
        let now = crate::clock::now();
        if let Err(error) = services.answers.expire(now).await {
            tracing::warn!(%error, "expired answers stay for now");
        }
        if let Err(error) = store.expire_commands(now - kept).await {
            tracing::warn!(%error, "expired command ids stay for now");
        }
        if let Err(error) = calls.expire(now - services.records.kept).await {
            tracing::warn!(%error, "expired records of calls stay for now");
        }
        services.rates.forget_quiet();
        services.keep_up_pasts().await;
    }
}
