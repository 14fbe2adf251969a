//! The assistant that a process was configured with.

use crate::config::{Config, Provider};
use infra::assistants::Assistant;
#[cfg(feature = "aws")]
use infra::assistants::bedrock::Bedrock;
use infra::assistants::key::Key;
#[cfg(feature = "aws")]
use infra::assistants::key::kept::Kept;
use infra::assistants::openai::OpenAi;
#[cfg(feature = "aws")]
use infra::aws::SdkConfig;
use std::sync::Arc;

type Made = Result<Option<Arc<dyn Assistant>>, String>;

/// Of a server on one machine, whose environment holds the key.
///
/// # Errors
/// One sentence that says what to do.
#[cfg(any(test, feature = "embedded"))]
pub async fn of_a_server(config: &Config) -> Made {
    match &config.assistant.provider {
        Provider::Embedded => Ok(None),
        Provider::OpenAi { url, model } => {
            openai(url, model, config.assistant_key.clone().map_or(Key::None, Key::Given))
        }
        #[cfg(feature = "aws")]
        Provider::Bedrock { url, model } => bedrock(&infra::aws::load().await, url.as_deref(), model),
        #[cfg(not(feature = "aws"))]
        Provider::Bedrock { .. } => {
            Err("BINDERY_ASSISTANT: this program was built without AWS, so it cannot ask bedrock".to_owned())
        }
    }
}

/// Of a function on AWS. `secret` is the ARN of the one that holds the key.
///
/// # Errors
/// One sentence that says what to do.
#[cfg(feature = "aws")]
pub fn of_a_function(config: &Config, sdk: &SdkConfig, secret: Option<&str>) -> Made {
    match &config.assistant.provider {
        Provider::Embedded => Ok(None),
        Provider::OpenAi { url, model } => {
            let kept = |secret: &str| Key::Kept(Kept::new(sdk, secret.to_owned()));
            openai(url, model, secret.map_or(Key::None, kept))
        }
        Provider::Bedrock { url, model } => bedrock(sdk, url.as_deref(), model),
    }
}

fn openai(url: &str, model: &str, key: Key) -> Made {
    let assistant = OpenAi::new(url, model.to_owned(), key);
    let assistant = assistant.map_err(|reason| format!("BINDERY_ASSISTANT_URL: {reason}"))?;
    Ok(Some(Arc::new(assistant)))
}

#[cfg(feature = "aws")]
fn bedrock(sdk: &SdkConfig, url: Option<&str>, model: &str) -> Made {
    let assistant = Bedrock::new(sdk, model.to_owned(), url);
    let assistant = assistant.map_err(|reason| format!("BINDERY_ASSISTANT: bedrock {reason}"))?;
    Ok(Some(Arc::new(assistant)))
}
