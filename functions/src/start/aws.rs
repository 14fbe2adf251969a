//! On AWS: DynamoDB and S3, KMS, Secrets Manager, in one function's process.

use super::assistants;
use crate::clock;
use crate::config::Config;
use crate::endpoint::{Function, Grant};
use crate::integrations::discoveries::shared::Shared;
use crate::services::{Ports, ServiceKeys, Services};
use domain::limits::HEAD_TRUSTED;
use events::OrganizationId;
use futures_util::future::join_all;
use infra::assistants::Assistant;
use infra::aws::SdkConfig;
use infra::bus::{Bus, EventBridge};
use infra::databases::pool::PoolKey;
use infra::sealing::kms::{KmsKeys, KmsSealer};
use infra::service_keys::{self, ServiceKeysError};
use infra::signing::kms::KmsSigner;
use infra::storage::dynamodb::DynamoStore;
use infra::storage::dynamodb::tables::Names;
use infra::storage::{DiscoveryStore, EventLog};
use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

/// Kept of a function's time when it streams, so that a stream ends in order and its client resumes.
const STREAM_SPARE: Duration = Duration::from_secs(60);
/// How long the first request may be kept waiting for what makes it faster. The platform gives a start 10 s.
const WARMING: Duration = Duration::from_secs(5);
/// How soon keys that could not be read are tried again: not before a client that does what Retry-After says is back.
const KEYS_REREAD: SignedDuration = SignedDuration::from_secs(1);

/// Checked configuration of a deployment. [`Config::public_url`] is empty when each request is to tell it.
#[derive(Clone)]
pub struct Deployment {
    pub config: Config,
    pub names: Names,
    pub keys: KmsKeys,
    /// Id, ARN or alias of the KMS key that signs checkpoints.
    pub checkpoints_key: String,
    /// Name or ARN of the bus that events are put on.
    pub event_bus: String,
    /// What the names of its secrets begin with.
    pub secrets: String,
    /// ARN of the secret that holds the key of the assistant's service.
    pub assistant_secret: Option<String>,
    pub head_trusted: Duration,
    pub warm: Vec<OrganizationId>,
}

impl Deployment {
    /// # Errors
    /// Every variable that is wrong or missing, one sentence each.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let tells_url = lookup("BINDERY_PUBLIC_URL").is_none();
        // Only so that it passes for an address.
        let (config, mut wrong) = match Config::from_lookup(&lookup, "https://") {
            Ok(config) => (Some(config), Vec::new()),
            Err(wrong) => (None, wrong),
        };
        let mut required = |name: &str| match lookup(name) {
            Some(text) if !text.trim().is_empty() => text,
            Some(_) | None => {
                wrong.push(format!("{name}: must be set; the template does"));
                String::new()
            }
        };
        let names = Names { prefix: required("BINDERY_TABLES"), bucket: required("BINDERY_BUCKET") };
        let keys = KmsKeys {
            credentials: required("BINDERY_CREDENTIALS_KEY"),
            answers: required("BINDERY_ANSWERS_KEY"),
        };
        let checkpoints_key = required("BINDERY_CHECKPOINTS_KEY");
        let event_bus = required("BINDERY_EVENT_BUS");
        let secrets = required("BINDERY_SECRETS");
        let head_trusted = match lookup("BINDERY_HEAD_TRUSTED_MS").map(|text| text.trim().parse()) {
            None => HEAD_TRUSTED,
            Some(Ok(trusted)) if Duration::from_millis(trusted) <= HEAD_TRUSTED => {
                Duration::from_millis(trusted)
            }
            Some(_) => {
                wrong.push(format!(
                    "BINDERY_HEAD_TRUSTED_MS: must be a whole number up to {}",
                    HEAD_TRUSTED.as_millis()
                ));
                HEAD_TRUSTED
            }
        };
        let assistant_secret = lookup("BINDERY_ASSISTANT_KEY_SECRET").filter(|text| !text.trim().is_empty());
        let warm = lookup("BINDERY_WARM_ORGANIZATIONS").unwrap_or_default();
        let warm = warm.split(',').map(str::trim).filter(|name| !name.is_empty());
        let warm = warm.map(OrganizationId::from).collect();
        match config {
            Some(mut config) if wrong.is_empty() => {
                if tells_url {
                    config.public_url.clear();
                }
                Ok(Self {
                    config,
                    names,
                    keys,
                    checkpoints_key,
                    event_bus,
                    secrets,
                    assistant_secret,
                    head_trusted,
                    warm,
                })
            }
            Some(_) | None => Err(wrong),
        }
    }

    /// # Errors
    /// As [`Deployment::from_lookup`].
    pub fn from_environment() -> Result<Self, Vec<String>> {
        Self::from_lookup(|name| std::env::var(name).ok().filter(|text| !text.is_empty()))
    }
}

/// What one function of a deployment works with.
pub struct Aws {
    /// With the grants of the function.
    pub services: Arc<Services>,
    pub store: Arc<DynamoStore>,
    pub sealer: Arc<KmsSealer>,
    pub discoveries: Arc<dyn DiscoveryStore>,
    pub bus: Arc<dyn Bus>,
}

/// What one function of a deployment will work with, from the moment its keys could be read. Everything else is there:
/// whether a store answers is for each request to find out.
pub struct Opening {
    deployment: Deployment,
    name: &'static str,
    function: Function,
    sdk: SdkConfig,
    store: Arc<DynamoStore>,
    sealer: Arc<KmsSealer>,
    assistant: Option<Arc<dyn Assistant>>,
    opened: OnceCell<Arc<Aws>>,
    /// The last attempt that failed. Wall time: a monotonic clock may stand still while a function is frozen.
    failed: Mutex<Option<(Timestamp, ServiceKeysError)>>,
}

impl Opening {
    /// Does as much as can be done before the first request: the platform gives a start more of a processor than a
    /// small function has, and nobody waits for it where concurrency is provisioned. Keys that cannot be read right
    /// now are not missed before a request needs them.
    ///
    /// # Errors
    /// One sentence that says what to do: secrets that are missing or useless do not mend themselves.
    pub async fn start(
        mut deployment: Deployment,
        name: &'static str,
        function: Function,
    ) -> Result<Self, String> {
        let config = &mut deployment.config;
        config.stream_ends_after =
            config.stream_ends_after.min(function.timeout.saturating_sub(STREAM_SPARE));
        let sdk = infra::aws::load().await;
        let store = DynamoStore::open_trusting(&sdk, deployment.names.clone(), deployment.head_trusted);
        let sealer = Arc::new(KmsSealer::new(&sdk, deployment.keys.clone()));
        let assistant = if function.grants.contains(&Grant::AskAssistant) {
            assistants::of_a_function(&deployment.config, &sdk, deployment.assistant_secret.as_deref())?
        } else {
            None
        };
        let opening = Self {
            assistant,
            deployment,
            name,
            function,
            sdk,
            store,
            sealer,
            opened: OnceCell::new(),
            failed: Mutex::default(),
        };
        // Both at once: each opens a connection, whose handshake no request has to wait for then.
        let nobody = OrganizationId::from("default");
        let (opened, _reached) = tokio::join!(opening.aws(), opening.store.head(&nobody));
        match opened {
            Ok(aws) => opening.warm(&aws.services).await,
            Err(error @ ServiceKeysError::Unavailable { .. }) => {
                tracing::error!(%error, "started without the service's keys; requests are refused until they can be read");
            }
            Err(error @ (ServiceKeysError::Missing(_) | ServiceKeysError::TooShort(_))) => {
                return Err(error.to_string());
            }
        }
        Ok(opening)
    }

    /// Reads the keys when that was not done yet, one attempt at a time and each within the limits of
    /// [`infra::aws`]. An attempt that failed within [`KEYS_REREAD`] speaks for the next one too, so that nobody waits
    /// for both the start's and his own.
    ///
    /// # Errors
    /// Why they cannot be read.
    pub async fn aws(&self) -> Result<Arc<Aws>, ServiceKeysError> {
        self.opened.get_or_try_init(|| self.open()).await.cloned()
    }

    async fn open(&self) -> Result<Arc<Aws>, ServiceKeysError> {
        if let Some((at, error)) = self.failed.lock().expect("not poisoned").clone()
            && (SignedDuration::ZERO..KEYS_REREAD).contains(&clock::now().duration_since(at))
        {
            return Err(error);
        }
        let (peppers, signing) = match service_keys::load(&self.sdk, &self.deployment.secrets).await {
            Ok(loaded) => loaded,
            Err(error) => {
                *self.failed.lock().expect("not poisoned") = Some((clock::now(), error.clone()));
                return Err(error);
            }
        };
        let keys = ServiceKeys {
            peppers: Arc::new(peppers),
            cursor_key: signing.cursor_key,
            webhook_key: signing.webhook_key,
            hash_key: signing.hash_key,
            past_key: signing.past_key,
        };
        let (store, sealer) = (self.store.clone(), self.sealer.clone());
        let discoveries: Arc<dyn DiscoveryStore> = store.clone();
        let ports = Ports {
            log: store.clone(),
            artefacts: store.clone(),
            past: store.clone(),
            credentials: store.clone(),
            answers: store.clone(),
            deliveries: store.clone(),
            directory: store.clone(),
            misses: store.clone(),
            calls: store.clone(),
            sealer: sealer.clone(),
            signer: Arc::new(KmsSigner::new(&self.sdk, self.deployment.checkpoints_key.clone())),
            discoveries: Arc::new(Shared { store: discoveries.clone() }),
            assistant: self.assistant.clone(),
        };
        let config = self.deployment.config.clone();
        let granted = Services::granted(config, &ports, keys, self.name, self.function.grants);
        let services = Arc::new(Services { behind_gateway: true, ..granted });
        let bus = Arc::new(EventBridge::new(&self.sdk, self.deployment.event_bus.clone()));
        Ok(Arc::new(Aws { services, store, sealer, discoveries, bus }))
    }

    async fn warm(&self, services: &Arc<Services>) {
        let organizations = self.deployment.warm.iter();
        let warming = join_all(organizations.map(|it| services.warm(it, self.function.grants)));
        if tokio::time::timeout(WARMING, warming).await.is_err() {
            tracing::warn!("not everything that was to be warm is; requests make up for it");
        }
    }
}

impl Services {
    /// Loads an organization's state, and for a function that may opens credentials and leaves a connection in the
    /// pool of each database. What fails is met again by a request, which tells it to its caller.
    async fn warm(self: &Arc<Self>, organization: &OrganizationId, grants: &[Grant]) {
        let state = match self.log.state(organization).await {
            Ok(state) => state,
            Err(error) => {
                tracing::warn!(%organization, %error, "the state could not be loaded ahead");
                return;
            }
        };
        if !(grants.contains(&Grant::Dial) && grants.contains(&Grant::OpenCredentials)) {
            return;
        }
        let connected = state.integrations.iter().filter_map(|(kind, integration)| {
            let version = integration.connection.as_ref()?.credential_version;
            Some(PoolKey { organization: organization.clone(), kind: *kind, credential_version: version })
        });
        join_all(connected.map(|pool| async move {
            let source = self.credential_source(&pool.organization, pool.kind, pool.credential_version);
            if let Err(error) = self.pools.warm(&pool, &source, Instant::now() + WARMING).await {
                let (kind, fault) = (pool.kind, error.fault);
                tracing::warn!(%organization, %kind, ?fault, "no connection could be opened ahead");
            }
        }))
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DEPLOYMENT_VARIABLES;

    fn complete(name: &str) -> Option<String> {
        let value = match name {
            "BINDERY_TABLES" => "bindery-dev",
            "BINDERY_BUCKET" => "bindery-dev-artefacts",
            "BINDERY_CREDENTIALS_KEY" => "alias/bindery-dev-credentials",
            "BINDERY_ANSWERS_KEY" => "alias/bindery-dev-answers",
            "BINDERY_CHECKPOINTS_KEY" => "alias/bindery-dev-checkpoints",
            "BINDERY_EVENT_BUS" => "bindery-dev",
            "BINDERY_SECRETS" => "bindery-dev",
            "BINDERY_ASSISTANT_KEY_SECRET" => "arn:aws:secretsmanager:eu-central-1:1:secret:assistant",
            "BINDERY_HEAD_TRUSTED_MS" => "2000",
            "BINDERY_WARM_ORGANIZATIONS" => "default, clinic,",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn a_deployment_that_lacks_everything_is_told_everything_at_once() {
        let lookup = |name: &str| match name {
            "BINDERY_RATE_PER_KEY" => Some("0".to_owned()),
            "BINDERY_HEAD_TRUSTED_MS" => Some("60001".to_owned()),
            _ => None,
        };
        let wrong = Deployment::from_lookup(lookup).err().expect("much is wrong");
        assert_eq!(wrong.len(), 9, "{wrong:?}");
        let required = DEPLOYMENT_VARIABLES.iter().filter(|variable| variable.default.is_empty());
        for variable in required {
            assert!(wrong.iter().any(|it| it.starts_with(variable.name)), "{}: {wrong:?}", variable.name);
        }
    }

    #[test]
    fn every_declared_variable_is_read() {
        let deployment = Deployment::from_lookup(complete).expect("it is complete");
        assert_eq!(deployment.names.prefix, "bindery-dev");
        assert_eq!(deployment.names.bucket, "bindery-dev-artefacts");
        assert_eq!(deployment.keys.credentials, "alias/bindery-dev-credentials");
        assert_eq!(deployment.keys.answers, "alias/bindery-dev-answers");
        assert_eq!(deployment.checkpoints_key, "alias/bindery-dev-checkpoints");
        assert_eq!(deployment.event_bus, "bindery-dev");
        assert_eq!(deployment.secrets, "bindery-dev");
        assert!(deployment.assistant_secret.is_some_and(|arn| arn.ends_with("secret:assistant")));
        assert_eq!(deployment.head_trusted, Duration::from_secs(2));
        assert_eq!(deployment.warm, [OrganizationId::from("default"), OrganizationId::from("clinic")]);
        assert!(DEPLOYMENT_VARIABLES.iter().all(|variable| complete(variable.name).is_some()));
    }

    #[test]
    fn a_public_address_that_is_not_configured_is_left_to_the_requests() {
        assert_eq!(Deployment::from_lookup(complete).expect("it is complete").config.public_url, "");
        let lookup = |name: &str| match name {
            "BINDERY_PUBLIC_URL" => Some("https://bindery.example/".to_owned()),
            name => complete(name),
        };
        let deployment = Deployment::from_lookup(lookup).expect("it is complete");
        assert_eq!(deployment.config.public_url, "https://bindery.example");
    }
}
