//! A server of its own for a test: all endpoints in this process, on a data folder that goes with it.

use crate::engines::Engine;
use crate::http::Http;
use domain::key;
use events::key::KeyMinted;
use events::{Actor, ActorKind, OrganizationId};
use functions::config::Config;
use functions::decide::{Command, decide};
use functions::endpoint::Scope;
use functions::endpoints;
use functions::router::{Router, router};
use functions::services::Services;
use functions::start::embedded::Embedded;
use functions::{key_text, random, server};
use infra::databases::Credentials;
use infra::storage::directory::Directory;
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub struct Site {
    /// Has a key with all scopes, of the organization `default`.
    pub http: Http,
    pub services: Arc<Services>,
    pub embedded: Embedded,
    pub folder: Arc<TempDir>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

/// Makes the router of a site.
pub type Route = fn(&Embedded, &Arc<Services>) -> Router;

fn all_in_one(_: &Embedded, services: &Arc<Services>) -> Router {
    router(services.clone(), endpoints::ALL)
}

impl Site {
    /// Loopback is opened, because the test engines are there.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With these environment variables instead of those of the process.
    pub async fn start_with(variables: &[(&str, &str)]) -> Self {
        Self::start_routed(variables, all_in_one).await
    }

    /// With a router that is made otherwise than that of the local server.
    pub async fn start_routed(variables: &[(&str, &str)], route: Route) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        let mut site = Self::serve(folder, variables, "", route).await;
        site.http = site.http_as("default", &all_scopes()).await;
        site
    }

    /// Ends the server and starts one on the same data folder, at another port. Keys stay what they are.
    pub async fn restarted(mut self, variables: &[(&str, &str)]) -> Self {
        self.stop.take().map(|stop| stop.send(()));
        self.serving.take().expect("it serves").await.expect("it ends without a panic");
        Self::serve(self.folder.clone(), variables, &self.http.key, all_in_one).await
    }

    async fn serve(folder: Arc<TempDir>, variables: &[(&str, &str)], key: &str, route: Route) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let lookup = |name: &str| {
            let given =
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string());
            let usual = match name {
                "BINDERY_ALLOW_PRIVATE_HOSTS" => Some("127.0.0.0/8,::1/128"),
                // Whoever asks every endpoint waits for the end of a stream too.
                "BINDERY_STREAM_ENDS_AFTER_MS" => Some("300"),
                _ => None,
            };
            given.or_else(|| usual.map(str::to_owned))
        };
        let config = Config::from_lookup(lookup, &url).expect("a valid configuration");
        let embedded = Embedded::open(folder.path()).await.expect("a data folder");
        let services = embedded.services(config).await.expect("nothing to settle");
        // As the program has it, where calls have threads of their own.
        services.beside_calls.set(Handle::current()).expect("it is set once");
        let (stop, stopped) = oneshot::channel::<()>();
        let (app, served) = (route(&embedded, &services), services.clone());
        let serving = tokio::spawn(async move {
            let done = async move {
                // Dropping the sender stops it too.
                let _ = stopped.await;
            };
            server::serve_by(server::answering(app), served, listener, done).await;
        });
        let (http, stop, serving) = (Http::new(&url, key), Some(stop), Some(serving));
        Self { http, services, embedded, folder, stop, serving }
    }

    /// The lines of all records of calls in their file, where they are compressed.
    pub async fn kept_calls(&self) -> Vec<u8> {
        self.services.records.flush().await;
        let file = SqliteConnectOptions::new().filename(self.folder.path().join("calls.db")).read_only(true);
        let mut connection = SqliteConnection::connect_with(&file).await.expect("it opens");
        let blocks: Vec<Vec<u8>> = sqlx::query_scalar("SELECT records FROM blocks")
            .fetch_all(&mut connection)
            .await
            .expect("they are read");
        blocks.iter().flat_map(|block| zstd::stream::decode_all(block.as_slice()).expect("a frame")).collect()
    }

    /// A client with a new key.
    pub async fn http_as(&self, organization: &str, scopes: &[&str]) -> Http {
        self.http_until(organization, scopes, None).await
    }

    /// A client with a new key that expires, or expired.
    pub async fn http_until(
        &self,
        organization: &str,
        scopes: &[&str],
        expires_at: Option<Timestamp>,
    ) -> Http {
        let (key_id, text, secret) = key_text::mint();
        let minted = KeyMinted {
            key_id,
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            secret_hash: key_text::secret_hash(&self.embedded.peppers.known().current, secret.expose()),
            expires_at,
        };
        let command = Command {
            organization: &OrganizationId::from(organization),
            id: random::command_id(),
            actor: Actor { kind: ActorKind::Operator, id: "test".to_owned() },
            request_id: random::request_id(),
            cause: None,
        };
        let store = self.embedded.store.as_ref();
        store.rename(command.organization, &minted.key_id, Some("test")).await.expect("a name can be given");
        decide(store, None, command, |state| {
            let minted = minted.clone();
            async move { Ok(key::mint(&state, minted, functions::clock::now())?) }
        })
        .await
        .expect("a key can be minted");
        self.http.with_key(text.expose())
    }

    /// Connects and discovers a database as a user who may do everything in it.
    pub async fn connect(&self, http: &Http, engine: &Engine, database: &str) {
        self.connect_as(http, engine, &engine.owner(database)).await;
    }

    /// The same with these credentials.
    pub async fn connect_as(&self, http: &Http, engine: &Engine, owner: &Credentials) {
        connect(http, engine, owner).await;
    }

    /// A new agent's id.
    pub async fn agent(&self, http: &Http) -> String {
        agent(http).await
    }

    /// Binds, enables and returns the skill.
    pub async fn bind(&self, http: &Http, agent: &str, engine: &Engine, binding: Value) -> Value {
        bind(http, agent, engine, binding).await
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.take().map(|stop| stop.send(()));
    }
}

/// Connects and discovers, at whatever server the client asks.
pub async fn connect(http: &Http, engine: &Engine, owner: &Credentials) {
    let credentials = json!({ "credentials": {
        "host": owner.host, "port": owner.port, "database": owner.database, "user": owner.user,
        "password": owner.password.expose(), "sslmode": "verify-full", "ca_pem": owner.ca_pem,
    }});
    http.post(&format!("/integrations/{}/connect", engine.kind), credentials).await.data();
    http.post(&format!("/integrations/{}/discover", engine.kind), json!({})).await.data();
}

pub async fn agent(http: &Http) -> String {
    let created = http.post("/agents", json!({ "name": "Front desk" })).await;
    created.data()["id"].as_str().expect("an id").to_owned()
}

pub async fn bind(http: &Http, agent: &str, engine: &Engine, binding: Value) -> Value {
    let path = format!("/agents/{agent}/integrations/{}/bindings", engine.kind);
    let skill = http.post(&path, binding).await.data().clone();
    let path = format!("/agents/{agent}/skills/{}", skill["id"].as_str().expect("an id"));
    let review =
        json!({ "isEnabled": true, "requiresConfirmation": false, "requiresVerifiedIdentity": false });
    http.patch(&path, review).await.data().clone()
}

pub fn all_scopes() -> Vec<&'static str> {
    Scope::ALL.iter().map(|scope| scope.as_str()).collect()
}
