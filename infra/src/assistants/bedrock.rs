//! Amazon Bedrock: Converse, with one strict tool that the model has to use.
//!
//! The SDK's client for Bedrock would be one more generated crate in every function's program, for one request that is
//! JSON both ways. So the request is ours, and signed by what signs all requests of the SDK.

use super::service::Service;
use super::{Assistant, AssistantError, Brief};
use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_kms::config::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use domain::limits::ASSISTANT_ANSWER_TOKENS;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::{Instant, SystemTime};

/// Its name in the answer and in what is sent.
const TOOL: &str = "propose_binding";

pub struct Bedrock {
    service: Service,
    model: String,
    region: String,
    credentials: SharedCredentialsProvider,
}

impl Bedrock {
    /// `model` is a model's id, or the id or ARN of an inference profile. `url` is for endpoints of the operator's own
    /// network; without one it is the region's.
    ///
    /// # Errors
    /// One sentence that says what is missing.
    pub fn new(config: &SdkConfig, model: String, url: Option<&str>) -> Result<Self, String> {
        let region = config.region().ok_or("needs a region: set AWS_REGION")?.to_string();
        let credentials = config.credentials_provider().ok_or("needs credentials of AWS")?;
        let regional = format!("https://bedrock-runtime.{region}.amazonaws.com");
        let url = url.unwrap_or(&regional).trim_end_matches('/');
        let service = Service::at(&format!("{url}/model/{}/converse", encoded(&model)))?;
        Ok(Self { service, model, region, credentials })
    }

    fn request(&self, brief: &Brief) -> Value {
        let text = |text: &str| json!([{ "text": text }]);
        let mut messages = vec![json!({ "role": "user", "content": text(&brief.question) })];
        for (at, refused) in brief.refused.iter().enumerate() {
            let id = format!("binding_{}", at + 1);
            let used = json!({ "toolUseId": id, "name": TOOL, "input": refused.answer });
            let result = json!({ "toolUseId": id, "status": "error", "content": text(&refused.complaint) });
            messages.push(json!({ "role": "assistant", "content": [{ "toolUse": used }] }));
            messages.push(json!({ "role": "user", "content": [{ "toolResult": result }] }));
        }
        let tool = json!({
            "name": TOOL,
            "description": "Proposes one binding for the goal.",
            "inputSchema": { "json": brief.schema },
            "strict": true,
        });
        json!({
            "system": text(brief.instructions),
            "messages": messages,
            "toolConfig": { "tools": [{ "toolSpec": tool }], "toolChoice": { "tool": { "name": TOOL } } },
            "inferenceConfig": { "maxTokens": ASSISTANT_ANSWER_TOKENS },
        })
    }

    /// The headers that make it a request of this process's role.
    async fn signed(&self, body: &[u8], at: SystemTime) -> Result<HeaderMap, AssistantError> {
        let credentials = self.credentials.provide_credentials().await.map_err(|_| {
            tracing::warn!("there are no credentials of AWS to ask Bedrock with");
            AssistantError::NoKey
        })?;
        let identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("bedrock")
            .time(at)
            .settings(SigningSettings::default())
            .build()
            .expect("everything is set");
        let uri = self.service.uri().to_string();
        let json = [("content-type", "application/json")];
        let signable = SignableRequest::new("POST", uri, json.into_iter(), SignableBody::Bytes(body));
        let signed = signable.and_then(|signable| sign(signable, &parameters.into()));
        let (instructions, _) = signed.map_err(|_| AssistantError::Unreachable)?.into_parts();
        let mut headers = HeaderMap::new();
        for header in instructions.into_parts().0 {
            let mut value = HeaderValue::from_str(header.value()).map_err(|_| AssistantError::NoKey)?;
            value.set_sensitive(header.sensitive());
            headers.insert(HeaderName::from_static(header.name()), value);
        }
        Ok(headers)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Conversed {
    output: Output,
    stop_reason: String,
}

#[derive(Deserialize)]
struct Output {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: Vec<Block>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block {
    #[serde(default)]
    tool_use: Option<ToolUse>,
}

#[derive(Deserialize)]
struct ToolUse {
    name: String,
    input: Value,
}

#[async_trait]
impl Assistant for Bedrock {
    fn provider(&self) -> &'static str {
        "bedrock"
    }

    fn model(&self) -> &str {
        &self.model
    }

    async fn propose(&self, brief: &Brief, deadline: Instant) -> Result<Value, AssistantError> {
        let body = Bytes::from(self.request(brief).to_string());
        let headers = self.signed(&body, SystemTime::now()).await?;
        answer(self.service.post(headers, body, deadline).await?)
    }
}

fn answer(conversed: Value) -> Result<Value, AssistantError> {
    let conversed: Conversed = serde_json::from_value(conversed).map_err(|_| AssistantError::Malformed)?;
    match conversed.stop_reason.as_str() {
        "max_tokens" | "model_context_window_exceeded" => return Err(AssistantError::CutOff),
        "guardrail_intervened" | "content_filtered" => return Err(AssistantError::Declined),
        _ => {}
    }
    let mut used = conversed.output.message.content.into_iter().filter_map(|block| block.tool_use);
    used.find(|used| used.name == TOOL).map(|used| used.input).ok_or(AssistantError::Malformed)
}

/// One part of a path: an ARN has slashes and colons.
fn encoded(part: &str) -> String {
    part.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    })
}

#[cfg(test)]
#[path = "bedrock_tests.rs"]
mod tests;
