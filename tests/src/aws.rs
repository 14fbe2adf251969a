//! A cloud on loopback: the real functions behind what stands in for AWS. Each has tables, keys, secrets and a bucket
//! of its own, on emulators that all of a test run share.

pub mod deployment;
pub mod events;
pub mod faults;
pub mod fleet;
pub mod gateway;
pub mod meter;
pub mod plumbing;
pub mod resources;
pub mod runtime_api;
pub mod streams;
pub mod template;
pub mod wire;

use crate::built;
use crate::http::Http;
use ::events::OrganizationId;
use faults::Faults;
use fleet::Fleet;
use functions::reactions::{Reaction, doubts, mint_first, sweep};
use infra::emulators;
use infra::storage::dynamodb::DynamoStore;
use plumbing::Plumbing;
use resources::Resources;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// How long views may be behind the log when doorbells ring.
const PROJECTED_WITHIN: Duration = Duration::from_secs(20);

/// What builds the functions' program.
const BUILD: &str = "run: make build-tested (make test does)";

/// One deployment.
pub struct Cloud {
    /// Of the gateway.
    pub url: String,
    /// Of the function that streams events.
    pub stream_url: String,
    pub fleet: Arc<Fleet>,
    pub resources: Resources,
    /// How functions reach DynamoDB.
    pub dynamodb: Faults,
    /// How functions reach EventBridge.
    pub events: Faults,
    /// How functions reach KMS.
    pub kms: Faults,
    /// How functions reach Secrets Manager.
    pub secrets: Faults,
}

impl Cloud {
    /// Of the program that was built beside this one. Nothing is woken by a stream until [`Cloud::wire`].
    pub async fn deploy() -> Self {
        Self::deploy_with(&[]).await
    }

    /// With these variables for every function, beside what the template sets.
    pub async fn deploy_with(variables: &[(&str, &str)]) -> Self {
        let program = tokio::task::spawn_blocking(|| built::program("lambda", BUILD));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::deploy_on(&program.await.expect("the functions were built"), listener, variables, false).await
    }

    /// Of another program, with the gateway at an address that is already taken for it. `aloud` prints what functions
    /// write to standard error.
    pub async fn deploy_on(
        program: &Path,
        listener: TcpListener,
        variables: &[(&str, &str)],
        aloud: bool,
    ) -> Self {
        let resources = Resources::create().await;
        let dynamodb = Faults::before(&emulators::dynamodb().url).await;
        let events = Faults::before(&emulators::moto().url).await;
        let kms = Faults::before(&emulators::moto().url).await;
        let secrets = Faults::before(&emulators::moto().url).await;
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let reached = deployment::Reached {
            url: url.clone(),
            dynamodb: dynamodb.url.clone(),
            events: events.url.clone(),
            kms: kms.url.clone(),
            secrets: secrets.url.clone(),
            s3: emulators::moto().url.clone(),
        };
        let functions = deployment::all(&resources, &reached, variables);
        let fleet = Arc::new(Fleet::new(PathBuf::from(program), functions, aloud));
        tokio::spawn(gateway::serve(fleet.clone(), listener));
        let mut urls = template::FUNCTIONS.iter().filter(|it| it.has_url);
        let (Some(streams), None) = (urls.next(), urls.next()) else { panic!("one function has an address") };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let stream_url = format!("http://{}", listener.local_addr().expect("it is bound"));
        tokio::spawn(gateway::serve_function(fleet.clone(), &streams.name, listener));
        Self { url, stream_url, fleet, resources, dynamodb, events, kms, secrets }
    }

    /// From now on streams wake functions.
    pub async fn wire(&self) -> Plumbing {
        Plumbing::start(self.fleet.clone(), &self.resources).await
    }

    /// A client with a new key of all scopes, minted as an operator does it.
    pub async fn http_as(&self, organization: &str) -> Http {
        Http::new(&self.url, &self.mint(organization).await)
    }

    /// The text of a new key.
    pub async fn mint(&self, organization: &str) -> String {
        let event = json!({ "organization": organization, "name": "test", "scopes": ["all"] });
        let minted = self.fleet.ask(mint_first::REACTION.name, &event).await;
        let minted = minted.unwrap_or_else(|error| panic!("{error:?}: {:?}", self.fleet.lines()));
        minted["key"].as_str().unwrap_or_else(|| panic!("no key: {minted}")).to_owned()
    }

    /// What the schedule does every few minutes.
    pub async fn sweep(&self) -> Value {
        self.on_schedule(&sweep::REACTION).await
    }

    /// What it does every minute.
    pub async fn settle_doubts(&self) -> Value {
        self.on_schedule(&doubts::REACTION).await
    }

    async fn on_schedule(&self, reaction: &Reaction) -> Value {
        let event = json!({
            "version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {},
        });
        let answer = self.fleet.ask(reaction.name, &event).await;
        answer.unwrap_or_else(|error| panic!("{}: {error:?}", reaction.name))
    }

    /// Waits until the views are what a fold of the whole log gives: doorbells ring beside the answers.
    ///
    /// # Panics
    /// When they are not in time.
    pub async fn projected(&self, organization: &OrganizationId) {
        let (store, started) = (self.store().await, Instant::now());
        loop {
            let compared = store.compare_projections(organization).await.expect("the log can be folded");
            if compared.equal {
                return;
            }
            assert!(started.elapsed() < PROJECTED_WITHIN, "{compared:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The deployment's log and views, past all proxies and functions.
    pub async fn store(&self) -> Arc<DynamoStore> {
        let config = emulators::sdk_config(&emulators::dynamodb().url).await;
        DynamoStore::open(&config, self.resources.names.clone())
    }
}
