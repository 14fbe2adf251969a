//! The key of an assistant's service.

use super::AssistantError;
use crate::secret::Secret;

/// Where it comes from.
pub enum Key {
    /// A service in the operator's own network may ask for none.
    None,
    Given(Secret),
    #[cfg(feature = "aws")]
    Kept(kept::Kept),
}

impl Key {
    pub(super) async fn read(&self) -> Result<Option<Secret>, AssistantError> {
        match self {
            Key::None => Ok(None),
            Key::Given(key) => Ok(Some(key.clone())),
            #[cfg(feature = "aws")]
            Key::Kept(kept) => kept.read().await.map(Some),
        }
    }
}

#[cfg(feature = "aws")]
pub mod kept {
    use crate::assistants::AssistantError;
    use crate::secret::Secret;
    use aws_config::SdkConfig;
    use aws_sdk_secretsmanager::Client;
    use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
    use domain::limits::SECRETS_REREAD;
    use std::time::Instant;
    use tokio::sync::Mutex;

    /// The text of a secret in Secrets Manager, read when it is first needed, and again now and then: who changes it
    /// restarts nothing.
    pub struct Kept {
        client: Client,
        /// Its ARN.
        secret: String,
        known: Mutex<Option<(Secret, Instant)>>,
    }

    impl Kept {
        pub fn new(config: &SdkConfig, secret: String) -> Self {
            Self { client: Client::new(config), secret, known: Mutex::default() }
        }

        pub(super) async fn read(&self) -> Result<Secret, AssistantError> {
            let mut known = self.known.lock().await;
            if let Some((key, read_at)) = known.as_ref()
                && read_at.elapsed() < SECRETS_REREAD
            {
                return Ok(key.clone());
            }
            let answer = self.client.get_secret_value().secret_id(&self.secret).send().await;
            let answer = answer.map_err(|error| {
                tracing::warn!(code = error.code(), "the key of the assistant cannot be read");
                AssistantError::NoKey
            })?;
            let text = answer.secret_string.filter(|text| !text.trim().is_empty());
            let key = Secret::new(text.ok_or(AssistantError::NoKey)?.trim().to_owned());
            *known = Some((key.clone(), Instant::now()));
            Ok(key)
        }
    }
}
