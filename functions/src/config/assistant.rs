//! Who proposes bindings for goals.

use domain::limits::ASSISTANT_DEADLINE;
use infra::assistants::openai::OpenAi;
use std::time::Duration;

/// Where most services of this kind are.
const OPENAI: &str = "https://api.openai.com/v1";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssistantConfig {
    pub provider: Provider,
    /// All that one goal may take of the assistant's time.
    pub timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Nobody but the drafter, which is always there.
    Embedded,
    OpenAi {
        url: String,
        model: String,
    },
    Bedrock {
        /// The region's own without one.
        url: Option<String>,
        model: String,
    },
}

impl AssistantConfig {
    pub(super) fn from_lookup(lookup: impl Fn(&str) -> Option<String>, wrong: &mut Vec<String>) -> Self {
        let text =
            |name: &str| lookup(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let url = text("BINDERY_ASSISTANT_URL");
        let mut model = || {
            text("BINDERY_ASSISTANT_MODEL").unwrap_or_else(|| {
                wrong.push("BINDERY_ASSISTANT_MODEL: must name the model that is asked".to_owned());
                String::new()
            })
        };
        let provider = match text("BINDERY_ASSISTANT").as_deref() {
            None | Some("embedded") => Provider::Embedded,
            Some("openai") => {
                Provider::OpenAi { url: url.unwrap_or_else(|| OPENAI.to_owned()), model: model() }
            }
            Some("bedrock") => Provider::Bedrock { url, model: model() },
            Some(other) => {
                wrong.push(format!("BINDERY_ASSISTANT: {other:?} must be embedded, openai or bedrock"));
                Provider::Embedded
            }
        };
        let url = match &provider {
            Provider::Embedded => None,
            Provider::OpenAi { url, .. } => Some(url),
            Provider::Bedrock { url, .. } => url.as_ref(),
        };
        if let Some(Err(reason)) = url.map(|url| OpenAi::check_url(url)) {
            wrong.push(format!("BINDERY_ASSISTANT_URL: {reason}"));
        }
        let most = ASSISTANT_DEADLINE.as_millis();
        let timeout = match text("BINDERY_ASSISTANT_TIMEOUT_MS").map(|text| text.parse::<u32>()) {
            None => ASSISTANT_DEADLINE,
            Some(Ok(ms)) if ms > 0 && u128::from(ms) <= most => Duration::from_millis(u64::from(ms)),
            Some(_) => {
                wrong.push(format!("BINDERY_ASSISTANT_TIMEOUT_MS: must be a whole number from 1 to {most}"));
                ASSISTANT_DEADLINE
            }
        };
        Self { provider, timeout }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<AssistantConfig, Vec<String>> {
        let mut wrong = Vec::new();
        let lookup = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let config = AssistantConfig::from_lookup(lookup, &mut wrong);
        if wrong.is_empty() { Ok(config) } else { Err(wrong) }
    }

    #[test]
    fn without_a_word_no_service_is_asked() {
        let config = read(&[]).expect("nothing has to be set");
        assert_eq!(config.provider, Provider::Embedded);
        assert_eq!(config.timeout, ASSISTANT_DEADLINE);
    }

    #[test]
    fn a_service_has_a_model_and_where_nothing_else_is_said_its_usual_address() {
        let model = ("BINDERY_ASSISTANT_MODEL", "a-model");
        let openai = read(&[("BINDERY_ASSISTANT", "openai"), model]).expect("it is complete");
        let expected = Provider::OpenAi { url: OPENAI.to_owned(), model: "a-model".to_owned() };
        assert_eq!(openai.provider, expected);
        let bedrock = read(&[("BINDERY_ASSISTANT", "bedrock"), model]).expect("it is complete");
        assert_eq!(bedrock.provider, Provider::Bedrock { url: None, model: "a-model".to_owned() });
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let wrong = read(&[
            ("BINDERY_ASSISTANT", "openai"),
            ("BINDERY_ASSISTANT_URL", "ftp://models.internal/v1"),
            ("BINDERY_ASSISTANT_TIMEOUT_MS", "20001"),
        ]);
        assert_eq!(wrong.expect_err("three things are wrong").len(), 3);
        assert_eq!(read(&[("BINDERY_ASSISTANT", "gpt")]).expect_err("it is unknown").len(), 1);
    }
}
