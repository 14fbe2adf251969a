//! One question and its answer over HTTP.

use super::AssistantError;
use crate::databases::dial::Dialer;
use crate::databases::error::Fault;
use crate::databases::guard::Guard;
use crate::outgoing::Target;
use bytes::Bytes;
use domain::limits::ASSISTANT_ANSWER_BYTES;
use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;
use std::time::Instant;

/// An address that the operator set. It may be in his own network, and only there without TLS.
pub(super) struct Service {
    dialer: Dialer,
    target: Target,
}

impl Service {
    /// # Errors
    /// One sentence about the address.
    pub fn at(url: &str) -> Result<Self, String> {
        let dialer = Dialer::new(Guard::of_the_operator());
        Ok(Self { dialer, target: Target::parse(url)? })
    }

    /// What a signature covers; only Bedrock wants one.
    #[cfg(feature = "aws")]
    pub fn uri(&self) -> &http::Uri {
        self.target.uri()
    }

    pub async fn post(
        &self,
        mut headers: HeaderMap,
        body: Bytes,
        deadline: Instant,
    ) -> Result<Value, AssistantError> {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static("Bindery"));
        let answer = self.target.post(&self.dialer, headers, body, deadline, ASSISTANT_ANSWER_BYTES).await;
        let answer = answer.map_err(|error| match error.fault {
            Fault::ConnectTimeout => AssistantError::Late,
            fault => {
                tracing::warn!(?fault, "an assistant could not be reached");
                AssistantError::Unreachable
            }
        })?;
        if !answer.status.is_success() {
            return Err(AssistantError::Status(answer.status.as_u16()));
        }
        let body = answer.body.ok_or(AssistantError::TooLong)?;
        serde_json::from_slice(&body).map_err(|_| AssistantError::Malformed)
    }
}
