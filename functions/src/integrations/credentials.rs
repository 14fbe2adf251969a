//! Credentials as a client sends them, as they are sealed, and as a driver gets them.

use crate::problem::{Code, Problem};
use crate::services::Services;
use domain::{FieldError, Organization};
use events::integration::{Endpoint, SslMode};
use events::{IntegrationKind, OrganizationId, Seq};
use infra::databases::error::Fault;
use infra::databases::pool::CredentialSource;
use infra::databases::{Credentials, DatabaseError, tls};
use infra::sealing::SealContext;
use infra::secret::Secret;
use infra::storage::StoreError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Where the database is and who logs in. There is no Debug here, and no Serialize.
#[derive(Deserialize, JsonSchema, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Credentials")]
pub struct CredentialsBody {
    pub host: String,
    pub port: PortBody,
    pub database: String,
    pub user: String,
    pub password: String,
    /// `require`, `verify-ca` or `verify-full`.
    #[schemars(with = "SslMode")]
    pub sslmode: String,
    /// Certificates of the CA that signs the server's certificate, as PEM text.
    #[serde(default)]
    pub ca_pem: Option<String>,
}

/// A number, or the same as text.
#[derive(Deserialize, JsonSchema, Zeroize)]
#[serde(untagged)]
pub enum PortBody {
    Number(u16),
    Text(String),
}

impl CredentialsBody {
    /// # Errors
    /// 400 with everything that is wrong; `sslmode_not_allowed` when it is the mode alone.
    pub fn check(&self) -> Result<Credentials, Problem> {
        let mut errors = Vec::new();
        let mut wrong = |field: &str, code: &'static str, message: &str| {
            errors.push(FieldError::new(format!("credentials.{field}"), code, message));
        };
        let texts = [("host", &self.host, 253), ("database", &self.database, 128), ("user", &self.user, 128)];
        for (field, text, longest) in texts {
            if text.is_empty() {
                wrong(field, "required", "must not be empty");
            } else if text.len() > longest || text.chars().any(char::is_control) {
                let message = format!("must have at most {longest} bytes and no control characters");
                wrong(field, "invalid", &message);
            }
        }
        if self.password.contains('\0') {
            wrong("password", "invalid", "must not hold a NUL character");
        }
        let port = match &self.port {
            PortBody::Number(port) => Some(*port),
            PortBody::Text(text) => text.parse().ok(),
        }
        .filter(|port| *port > 0);
        if port.is_none() {
            wrong("port", "out_of_range", "must be a number from 1 to 65535");
        }
        let sslmode = SslMode::parse(&self.sslmode);
        if sslmode.is_none() {
            wrong(
                "sslmode",
                "sslmode_not_allowed",
                "must be require, verify-ca or verify-full; connections are always encrypted",
            );
        }
        if let Some(pem) = &self.ca_pem
            && let Err(reason) = tls::parse_ca(pem)
        {
            wrong("ca_pem", "invalid", &reason);
        }
        match (port, sslmode) {
            (Some(port), Some(sslmode)) if errors.is_empty() => Ok(Credentials {
                host: self.host.clone(),
                port,
                database: self.database.clone(),
                user: self.user.clone(),
                password: Secret::new(self.password.clone()),
                sslmode,
                ca_pem: self.ca_pem.clone(),
            }),
            _ => Err(Problem::fields(Code::ValidationError, errors)),
        }
    }
}

/// What the log may know of a connection.
pub fn endpoint_of(credentials: &Credentials) -> Endpoint {
    Endpoint {
        host: credentials.host.clone(),
        port: credentials.port,
        database: credentials.database.clone(),
        user: credentials.user.clone(),
        sslmode: credentials.sslmode,
        ca_sha256: credentials.ca_pem.as_ref().map(|pem| hex::encode(Sha256::digest(pem))),
    }
}

/// The sealed form holds host and user too: nobody who can change the log can send the password elsewhere.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Plain {
    host: String,
    port: u16,
    database: String,
    user: String,
    password: String,
    sslmode: String,
    ca_pem: Option<String>,
}

fn to_plain(credentials: &Credentials) -> Zeroizing<Vec<u8>> {
    let plain = Plain {
        host: credentials.host.clone(),
        port: credentials.port,
        database: credentials.database.clone(),
        user: credentials.user.clone(),
        password: credentials.password.expose().to_owned(),
        sslmode: credentials.sslmode.as_str().to_owned(),
        ca_pem: credentials.ca_pem.clone(),
    };
    Zeroizing::new(serde_json::to_vec(&plain).expect("credentials are JSON"))
}

fn from_plain(bytes: &[u8]) -> Option<Credentials> {
    let plain: Plain = serde_json::from_slice(bytes).ok()?;
    Some(Credentials {
        host: plain.host.clone(),
        port: plain.port,
        database: plain.database.clone(),
        user: plain.user.clone(),
        password: Secret::new(plain.password.clone()),
        sslmode: SslMode::parse(&plain.sslmode)?,
        ca_pem: plain.ca_pem.clone(),
    })
}

impl Services {
    /// Seals under the first version from `from` on that nobody else took, and says which.
    pub async fn seal_credentials(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        from: u32,
        credentials: &Credentials,
    ) -> Result<u32, Problem> {
        let plain = to_plain(credentials);
        let mut version = from;
        loop {
            let sealed =
                self.sealer.seal(&SealContext::credentials(organization, kind, version), &plain).await?;
            if self.credentials.put(organization, kind, version, &sealed).await? {
                return Ok(version);
            }
            version += 1;
        }
    }

    /// Destroys credentials up to a version. What fails now is done at the next start or change: the log already
    /// says that they are gone, and an error would say that the change did not happen.
    pub async fn shred_through(&self, organization: &OrganizationId, kind: IntegrationKind, through: u32) {
        self.sealer.forget(&SealContext::credentials(organization, kind, through));
        if let Err(error) = self.credentials.shred(organization, kind, through).await {
            tracing::error!(%organization, %kind, %error, "old credentials could not be destroyed yet");
        }
    }

    /// Closes connections and wipes data keys whose credentials this state has ended: whoever rotated them or
    /// disconnected may have been another process. Costs one look at the head where nothing changed.
    pub fn let_go_of_ended(&self, state: &Organization) {
        let is_known = |head: Option<&Seq>| head.is_some_and(|head| *head >= state.head);
        if is_known(self.let_go.read().expect("not poisoned").get(&state.id)) {
            return;
        }
        for (kind, integration) in &state.integrations {
            let ended = integration.ended_credentials();
            self.pools.evict(&state.id, *kind, ended + 1);
            self.sealer.forget(&SealContext::credentials(&state.id, *kind, ended));
        }
        let mut let_go = self.let_go.write().expect("not poisoned");
        if !is_known(let_go.get(&state.id)) {
            let_go.insert(state.id.clone(), state.head);
        }
    }

    /// Destroys what an earlier process was cut off from destroying. Gives back the organizations for which that
    /// failed; none keeps another from it. When they cannot be listed, `all` stands for them.
    pub async fn shred_leftovers(&self) -> Vec<(OrganizationId, StoreError)> {
        let mut failed = Vec::new();
        let organizations = self.log.organizations().await.unwrap_or_else(|error| {
            failed.push((OrganizationId::from("all"), error));
            Vec::new()
        });
        for organization in organizations {
            match self.log.state(&organization).await {
                Ok(state) => {
                    for (kind, integration) in &state.integrations {
                        self.shred_through(&organization, *kind, integration.ended_credentials()).await;
                    }
                }
                Err(error) => failed.push((organization, error)),
            }
        }
        failed
    }

    /// Opens sealed credentials when a pool needs a new connection, and not before.
    pub fn credential_source(
        self: &Arc<Self>,
        organization: &OrganizationId,
        kind: IntegrationKind,
        version: u32,
    ) -> CredentialSource {
        let (services, organization) = (self.clone(), organization.clone());
        Arc::new(move || {
            let (services, organization) = (services.clone(), organization.clone());
            Box::pin(async move {
                let unavailable = |why: &str| {
                    DatabaseError::new(Fault::CredentialsUnavailable, format!("the sealed credentials {why}"))
                };
                let sealed = services
                    .credentials
                    .get(&organization, kind, version)
                    .await
                    .map_err(|_| unavailable("cannot be read right now"))?
                    .ok_or_else(|| unavailable("were destroyed; connect the database again"))?;
                let plain = services
                    .sealer
                    .open(&SealContext::credentials(&organization, kind, version), &sealed)
                    .await
                    .map_err(|_| unavailable("cannot be opened right now"))?;
                from_plain(&plain).ok_or_else(|| unavailable("are not of a known shape"))
            })
        })
    }
}
