//! Any service that speaks OpenAI's chat completions with structured output.

use super::key::Key;
use super::service::Service;
use super::{Assistant, AssistantError, Brief};
use crate::outgoing::Target;
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Instant;

pub struct OpenAi {
    service: Service,
    model: String,
    key: Key,
}

impl OpenAi {
    /// `url` is what the paths of the API stand below, such as `https://api.openai.com/v1`.
    ///
    /// # Errors
    /// One sentence about the address.
    pub fn new(url: &str, model: String, key: Key) -> Result<Self, String> {
        Self::check_url(url)?;
        let service = Service::at(&format!("{}/chat/completions", url.trim_end_matches('/')))?;
        Ok(Self { service, model, key })
    }

    /// # Errors
    /// One sentence about the address.
    pub fn check_url(url: &str) -> Result<(), String> {
        if url.contains('?') {
            return Err("must not have a query".to_owned());
        }
        Target::parse(url).map(|_| ())
    }

    fn request(&self, brief: &Brief) -> Value {
        let message = |role: &str, content: &str| json!({ "role": role, "content": content });
        let mut messages = vec![message("system", brief.instructions), message("user", &brief.question)];
        for refused in &brief.refused {
            messages.push(message("assistant", &refused.answer.to_string()));
            messages.push(message("user", &refused.complaint));
        }
        // Neither a temperature nor a number of tokens: models differ in which they take, and the answer is bounded by
        // its bytes.
        json!({
            "model": self.model,
            "messages": messages,
            "response_format": {
                "type": "json_schema",
                "json_schema": { "name": "binding", "strict": true, "schema": brief.schema },
            },
        })
    }
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

#[async_trait]
impl Assistant for OpenAi {
    fn provider(&self) -> &'static str {
        "openai"
    }

    fn model(&self) -> &str {
        &self.model
    }

    async fn propose(&self, brief: &Brief, deadline: Instant) -> Result<Value, AssistantError> {
        let mut headers = HeaderMap::new();
        if let Some(key) = self.key.read().await? {
            let bearer = HeaderValue::from_str(&format!("Bearer {}", key.expose()));
            let mut bearer = bearer.map_err(|_| AssistantError::NoKey)?;
            bearer.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, bearer);
        }
        let body = Bytes::from(self.request(brief).to_string());
        answer(self.service.post(headers, body, deadline).await?)
    }
}

fn answer(completion: Value) -> Result<Value, AssistantError> {
    let completion: Completion = serde_json::from_value(completion).map_err(|_| AssistantError::Malformed)?;
    let choice = completion.choices.into_iter().next().ok_or(AssistantError::Malformed)?;
    match choice.finish_reason.as_deref() {
        Some("length") => return Err(AssistantError::CutOff),
        Some("content_filter") => return Err(AssistantError::Declined),
        _ if choice.message.refusal.is_some() => return Err(AssistantError::Declined),
        _ => {}
    }
    let content = choice.message.content.ok_or(AssistantError::Malformed)?;
    serde_json::from_str(&content).map_err(|_| AssistantError::Malformed)
}

#[cfg(test)]
#[path = "openai_tests.rs"]
mod tests;
