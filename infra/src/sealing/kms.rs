//! Data keys from KMS. A record of credentials has a data key of its own; the kept answers of one organization share
//! one for minutes, because a round trip to KMS in every live write would cost time and money.

mod data_keys;
mod errors;

use super::cipher::{self, decrypt, encrypt};
use super::{Purpose, SealContext, SealError, Sealed, Sealer};
use crate::derive::Bytes32;
use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use data_keys::DataKeys;
use domain::limits::{AWS_OPERATION_TIMEOUT, STATEMENT_TIMEOUT};
use events::OrganizationId;
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Bytes that KMS takes as a wrapped key.
const WRAPPED_MAX: usize = 6144;
/// A key that is kept for sealing is renewed this long before its time is over, so that a write that was let through
/// can keep its answer: longer than any statement may run.
const SPARE: Duration = Duration::from_secs(30);

/// While KMS is down, a write is let through with no less than this left of its key's time: its slot is taken, its
/// statement runs, and then its answer is sealed.
const SPARE_WITHOUT_KMS: Duration = STATEMENT_TIMEOUT.saturating_add(AWS_OPERATION_TIMEOUT.saturating_mul(2));

/// Ids, ARNs or aliases of the KMS keys.
///
/// There are two, so that a role may make data keys for credentials without being able to unwrap one, while whoever
/// keeps answers may open answers.
#[derive(Clone, Debug)]
pub struct KmsKeys {
    pub credentials: String,
    pub answers: String,
}

/// Seals and opens. Unwrapped data keys stay in memory for [`domain::limits::DATA_KEY_KEPT`].
pub struct KmsSealer {
    client: Client,
    keys: KmsKeys,
    /// By what they are bound to and their wrapped form.
    opened: DataKeys<(KeyContext, Vec<u8>), Bytes32>,
    sealing: DataKeys<KeyContext, DataKey>,
}

/// What a data key is bound to: as the encryption context, without which KMS does not unwrap it.
#[derive(Clone, PartialEq, Eq, Hash)]
enum KeyContext {
    Credentials {
        organization: OrganizationId,
        connection: String,
        version: u32,
    },
    /// One for all answers of an organization. That an answer belongs to its slot is said by the associated data of
    /// its body.
    Answers {
        organization: OrganizationId,
    },
}

struct DataKey {
    plain: Bytes32,
    wrapped: Vec<u8>,
}

/// A wrapped key that was made anew without its plaintext leaving KMS.
pub struct Rewrapped {
    pub wrapped_key: Vec<u8>,
    /// As [`KmsSealer::wraps_under`] says it.
    pub under: String,
}

pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

impl KmsSealer {
    pub fn new(config: &SdkConfig, keys: KmsKeys) -> Self {
        Self::with_clock(config, keys, Arc::new(Timestamp::now))
    }

    /// The clock decides when kept data keys are wiped.
    pub fn with_clock(config: &SdkConfig, keys: KmsKeys, clock: Clock) -> Self {
        Self {
            client: Client::new(config),
            keys,
            opened: DataKeys::new(clock.clone()),
            sealing: DataKeys::new(clock),
        }
    }

    /// The key, and where KMS says so its material, that credentials are wrapped under now.
    pub async fn wraps_under(&self) -> Result<String, SealError> {
        // Asked for with a data key that nobody sees: only so KMS names the material.
        let answer = self
            .client
            .generate_data_key_without_plaintext()
            .key_id(&self.keys.credentials)
            .key_spec(DataKeySpec::Aes256)
            .send()
            .await
            .map_err(|error| errors::making(&error))?;
        stamp(answer.key_id, answer.key_material_id)
    }

    /// Wraps the data key of a record of credentials anew under the key as it is now.
    ///
    /// # Errors
    /// As [`Sealer::open`].
    pub async fn rewrap(&self, context: &SealContext, wrapped_key: &[u8]) -> Result<Rewrapped, SealError> {
        let bound = KeyContext::of(context).to_map();
        let answer = self
            .client
            .re_encrypt()
            .ciphertext_blob(Blob::new(wrapped_key))
            .set_source_encryption_context(Some(bound.clone()))
            .set_destination_encryption_context(Some(bound))
            .destination_key_id(&self.keys.credentials)
            .send()
            .await
            .map_err(|error| errors::opening(&error))?;
        let wrapped_key = answer.ciphertext_blob.ok_or(SealError::Unavailable)?.into_inner();
        Ok(Rewrapped { wrapped_key, under: stamp(answer.key_id, answer.destination_key_material_id)? })
    }

    async fn generate(&self, bound: &KeyContext) -> Result<DataKey, SealError> {
        let key = match bound.purpose() {
            Purpose::Credentials => &self.keys.credentials,
            Purpose::IdempotentAnswer => &self.keys.answers,
        };
        let answer = self
            .client
            .generate_data_key()
            .key_id(key)
            .key_spec(DataKeySpec::Aes256)
            .set_encryption_context(Some(bound.to_map()))
            .send()
            .await
            .map_err(|error| errors::making(&error))?;
        let plain = answer.plaintext.map(|plain| Zeroizing::new(plain.into_inner()));
        match (plain.and_then(|plain| cipher::data_key(&plain)), answer.ciphertext_blob) {
            (Some(plain), Some(wrapped)) => Ok(DataKey { plain, wrapped: wrapped.into_inner() }),
            (_, _) => Err(SealError::Unavailable),
        }
    }

    async fn unwrap(&self, bound: &KeyContext, wrapped: &[u8]) -> Result<Bytes32, SealError> {
        // No key is named: a record stays readable while it waits to be wrapped under a new one. Which keys may be
        // used at all is for the role to say.
        let answer = self
            .client
            .decrypt()
            .ciphertext_blob(Blob::new(wrapped))
            .set_encryption_context(Some(bound.to_map()))
            .send()
            .await
            .map_err(|error| errors::opening(&error))?;
        let plain = answer.plaintext.map(|plain| Zeroizing::new(plain.into_inner()));
        plain.and_then(|plain| cipher::data_key(&plain)).ok_or(SealError::DoesNotOpen)
    }

    /// A new key that the answers of one organization are sealed under, and open with, for a while.
    async fn renew(&self, bound: &KeyContext) -> Result<Arc<DataKey>, SealError> {
        let made = self.generate(bound).await?;
        self.opened.put((bound.clone(), made.wrapped.clone()), made.plain.clone());
        Ok(self.sealing.put(bound.clone(), made))
    }
}

#[async_trait]
impl Sealer for KmsSealer {
    async fn seal(&self, context: &SealContext, plain: &[u8]) -> Result<Sealed, SealError> {
        let bound = KeyContext::of(context);
        let key = match context.purpose {
            Purpose::Credentials => Arc::new(self.generate(&bound).await?),
            Purpose::IdempotentAnswer => match self.sealing.get(&bound) {
                Some(kept) => kept,
                None => self.renew(&bound).await?,
            },
        };
        let body = encrypt(&key.plain, &context.canonical(), plain)?;
        Ok(Sealed { wrapped_key: key.wrapped.clone(), body })
    }

    async fn open(&self, context: &SealContext, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealError> {
        if !(1..=WRAPPED_MAX).contains(&sealed.wrapped_key.len()) {
            return Err(SealError::DoesNotOpen);
        }
        let bound = KeyContext::of(context);
        let name = (bound, sealed.wrapped_key.clone());
        let key = match self.opened.get(&name) {
            Some(kept) => kept,
            None => {
                let key = self.unwrap(&name.0, &name.1).await?;
                self.opened.put(name, key)
            }
        };
        decrypt(&key, &context.canonical(), &sealed.body)
    }

    async fn prepare(&self, context: &SealContext) -> Result<(), SealError> {
        let bound = KeyContext::of(context);
        match context.purpose {
            Purpose::Credentials => Ok(()),
            Purpose::IdempotentAnswer if self.sealing.lasts(&bound, SPARE) => Ok(()),
            Purpose::IdempotentAnswer => match self.renew(&bound).await {
                Ok(_) => Ok(()),
                Err(_) if self.sealing.lasts(&bound, SPARE_WITHOUT_KMS) => Ok(()),
                Err(error) => Err(error),
            },
        }
    }

    fn forget(&self, context: &SealContext) {
        let forgotten = KeyContext::of(context);
        self.opened.forget(|(of, _)| forgotten.covers(of));
        self.sealing.forget(|of| forgotten.covers(of));
    }
}

impl KeyContext {
    fn of(context: &SealContext) -> Self {
        let (organization, connection) = (context.organization.clone(), context.connection.clone());
        match context.purpose {
            Purpose::Credentials => Self::Credentials { organization, connection, version: context.version },
            Purpose::IdempotentAnswer => Self::Answers { organization },
        }
    }

    fn purpose(&self) -> Purpose {
        match self {
            Self::Credentials { .. } => Purpose::Credentials,
            Self::Answers { .. } => Purpose::IdempotentAnswer,
        }
    }

    fn to_map(&self) -> HashMap<String, String> {
        let mut map = HashMap::from([("purpose".to_owned(), self.purpose().as_str().to_owned())]);
        let mut put = |name: &str, value: &str| map.insert(name.to_owned(), value.to_owned());
        match self {
            Self::Credentials { organization, connection, version } => {
                put("organization", organization.as_str());
                put("connection", connection);
                put("version", &version.to_string());
            }
            Self::Answers { organization } => {
                put("organization", organization.as_str());
            }
        }
        map
    }

    /// The same, or an earlier version of the same connection.
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Credentials { organization, connection, version },
                Self::Credentials { organization: of, connection: to, version: earlier },
            ) => organization == of && connection == to && earlier <= version,
            (Self::Answers { organization }, Self::Answers { organization: of }) => organization == of,
            (Self::Credentials { .. }, Self::Answers { .. })
            | (Self::Answers { .. }, Self::Credentials { .. }) => false,
        }
    }
}

fn stamp(key: Option<String>, material: Option<String>) -> Result<String, SealError> {
    let key = key.ok_or(SealError::Unavailable)?;
    Ok(match material {
        Some(material) => format!("{key}#{material}"),
        None => key,
    })
}

#[cfg(test)]
mod tests;
