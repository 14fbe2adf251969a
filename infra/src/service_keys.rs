//! The service's own keys in Secrets Manager: `<prefix>/api-key-pepper`, which may be rotated, and
//! `<prefix>/signing-keys`, which may not: answers that are kept are found by a hash under it.

use crate::derive::{Bytes32, derive};
use crate::peppers::{PepperSource, Peppers};
use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use domain::limits::SECRETS_REREAD;
use std::sync::{Arc, RwLock};
use std::time::Instant;
use zeroize::Zeroizing;

/// Characters of a secret as `GenerateSecretString` makes it: 32 of letters and digits are 190 bits.
const SECRET_CHARS: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceKeysError {
    #[error(
        "the secret {0} does not exist; create it with a random text of {SECRET_CHARS} characters or more (the \
         template does)"
    )]
    Missing(String),
    #[error("the secret {0} is too short: it must be a random text of {SECRET_CHARS} characters or more")]
    TooShort(String),
    #[error("the secret {name} cannot be read right now: {code}")]
    Unavailable { name: String, code: String },
}

/// For keyed hashes that the service makes and checks itself.
#[derive(Clone)]
pub struct SigningKeys {
    pub cursor_key: Bytes32,
    /// For the secrets that sign webhooks.
    pub webhook_key: Bytes32,
    /// For keyed hashes of request bodies, idempotency keys and arguments.
    pub hash_key: Bytes32,
    /// For the seals of states of the past.
    pub past_key: Bytes32,
}

/// Reads both secrets, all versions at once.
///
/// # Errors
/// Named with what to do: without them nobody can be served.
pub async fn load(
    config: &SdkConfig,
    prefix: &str,
) -> Result<(SecretPeppers, SigningKeys), ServiceKeysError> {
    let client = Client::new(config);
    let pepper_name = format!("{prefix}/api-key-pepper");
    let signing_name = format!("{prefix}/signing-keys");
    let read_at = Instant::now();
    let (peppers, signing) =
        tokio::join!(peppers(&client, &pepper_name), secret(&client, &signing_name, Stage::Current));
    let signing = signing?.ok_or(ServiceKeysError::Missing(signing_name))?;
    let signing = SigningKeys {
        cursor_key: derive(signing.as_bytes(), "cursors"),
        webhook_key: derive(signing.as_bytes(), "webhooks"),
        hash_key: derive(signing.as_bytes(), "keyed-hashes"),
        past_key: derive(signing.as_bytes(), "past-states"),
    };
    let peppers = SecretPeppers {
        client,
        name: pepper_name,
        known: RwLock::new(Arc::new(peppers?)),
        read_at: tokio::sync::Mutex::new(read_at),
    };
    Ok((peppers, signing))
}

/// The pepper and the one before it, as a process last read them.
pub struct SecretPeppers {
    client: Client,
    name: String,
    known: RwLock<Arc<Peppers>>,
    /// When it was last tried; held while it is tried, so that whoever comes meanwhile gets what is being read.
    read_at: tokio::sync::Mutex<Instant>,
}

impl SecretPeppers {
    /// [`PepperSource::latest`] at an instant.
    async fn latest_at(&self, now: Instant) -> Arc<Peppers> {
        let mut read_at = self.read_at.lock().await;
        if now.saturating_duration_since(*read_at) >= SECRETS_REREAD {
            *read_at = now;
            match peppers(&self.client, &self.name).await {
                Ok(read) if read != *self.known() => {
                    *self.known.write().expect("not poisoned") = Arc::new(read);
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "the pepper of API keys stays as it was read before"),
            }
        }
        self.known()
    }
}

#[async_trait]
impl PepperSource for SecretPeppers {
    fn known(&self) -> Arc<Peppers> {
        self.known.read().expect("not poisoned").clone()
    }

    async fn latest(&self) -> Arc<Peppers> {
        self.latest_at(Instant::now()).await
    }
}

#[derive(Clone, Copy)]
enum Stage {
    Current,
    /// Only there once it was rotated.
    Previous,
}

impl Stage {
    fn as_str(self) -> &'static str {
        match self {
            Stage::Current => "AWSCURRENT",
            Stage::Previous => "AWSPREVIOUS",
        }
    }
}

async fn peppers(client: &Client, name: &str) -> Result<Peppers, ServiceKeysError> {
    // One after the other, in this order: a rotation in between then shows the same pepper twice, and never one without
    // the one that most keys were minted with.
    let current = secret(client, name, Stage::Current).await?;
    let current = current.ok_or_else(|| ServiceKeysError::Missing(name.to_owned()))?;
    let previous = match secret(client, name, Stage::Previous).await {
        // It was refused while it was the current one, so no key was minted with it.
        Err(ServiceKeysError::TooShort(_)) => None,
        read => read?,
    };
    let pepper = |secret: &Zeroizing<String>| derive(secret.as_bytes(), "api-key-pepper");
    Ok(Peppers { current: pepper(&current), previous: previous.as_ref().map(pepper) })
}

/// None when there is no such secret or stage.
async fn secret(
    client: &Client,
    name: &str,
    stage: Stage,
) -> Result<Option<Zeroizing<String>>, ServiceKeysError> {
    let answer = client.get_secret_value().secret_id(name).version_stage(stage.as_str()).send().await;
    let text = match answer {
        Ok(answer) => Zeroizing::new(answer.secret_string.unwrap_or_default()),
        Err(error)
            if error.as_service_error().is_some_and(GetSecretValueError::is_resource_not_found_exception) =>
        {
            return Ok(None);
        }
        Err(error) => {
            let code = error.code().unwrap_or("no answer").to_owned();
            return Err(ServiceKeysError::Unavailable { name: name.to_owned(), code });
        }
    };
    if text.chars().count() < SECRET_CHARS {
        return Err(ServiceKeysError::TooShort(name.to_owned()));
    }
    Ok(Some(text))
}

#[cfg(test)]
#[path = "service_keys_tests.rs"]
mod tests;
