//! The same request twice has one effect and one answer.

use crate::clock;
use crate::endpoint::{Endpoint, Reply};
use crate::problem::{Code, Problem};
use crate::services::Services;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use events::{CommandId, OrganizationId};
use futures_util::FutureExt;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use infra::sealing::{Purpose, SealContext, Sealed};
use infra::storage::{AnswerSlot, AnswerState, Begun};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::future::Future;
use std::panic::AssertUnwindSafe;

pub static KEY: HeaderName = HeaderName::from_static("idempotency-key");
static REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Slots of changes of configuration, which the log itself remembers.
const CHANGE_PREFIX: &str = "http:";

/// A reply as it is kept.
#[derive(Clone, Serialize, Deserialize)]
pub struct Kept {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// The request's idempotency key.
pub fn key_of(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(&KEY) else { return Ok(None) };
    value
        .to_str()
        .ok()
        .filter(|text| (1..=255).contains(&text.len()))
        .map(Some)
        .ok_or_else(|| Problem::field("Idempotency-Key", "must be 1 to 255 visible ASCII characters"))
}

impl Services {
    /// HMAC-SHA-256 in hex over parts that cannot run into each other.
    pub fn keyed_hash(&self, parts: &[&[u8]]) -> String {
        hex::encode(self.keyed_digest(parts))
    }

    /// As much of it as names something.
    pub fn short_keyed_hash(&self, parts: &[&[u8]]) -> u128 {
        let digest = self.keyed_digest(parts);
        let half = digest.first_chunk().expect("it has 32 bytes");
        u128::from_be_bytes(*half)
    }

    pub fn keyed_digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.hash_key).expect("HMAC takes keys of any length");
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    pub fn slot(
        &self,
        organization: &OrganizationId,
        endpoint: &Endpoint,
        path: &str,
        key: &str,
        body: &[u8],
    ) -> AnswerSlot {
        let identity = [endpoint.name.as_bytes(), path.as_bytes(), key.as_bytes()];
        AnswerSlot {
            organization: organization.clone(),
            key: format!("{CHANGE_PREFIX}{}", self.keyed_hash(&identity)),
            body_hash: self.keyed_hash(&[body]),
        }
    }

    /// Runs a change at most once for its slot and answers every repetition alike.
    pub async fn once(
        &self,
        slot: AnswerSlot,
        run: impl Future<Output = Result<Reply, Problem>>,
    ) -> Result<Reply, Problem> {
        match self.answers.begin(std::slice::from_ref(&slot), clock::now()).await? {
            Begun::Fresh => {}
            Begun::OtherBody => {
                let detail = "this Idempotency-Key came with another body before; use a new key";
                return Err(Problem::new(Code::IdempotencyKeyReused, detail));
            }
            Begun::Running => {
                let detail = "a request with this Idempotency-Key is still running";
                return Err(Problem::new(Code::IdempotencyInProgress, detail)
                    .with_header(header::RETRY_AFTER, HeaderValue::from(1)));
            }
            Begun::Finished { sealed, .. } => return open(self, &slot, &sealed).await,
        }
        let outcome = match AssertUnwindSafe(run).catch_unwind().await {
            Ok(outcome) => outcome,
            Err(panic) => {
                self.answers.release(&[slot]).await?;
                std::panic::resume_unwind(panic);
            }
        };
        match &outcome {
            Ok(reply) => {
                let kept = match seal(self, &slot, reply).await {
                    Ok(sealed) => {
                        let answer = [(slot.clone(), sealed)];
                        let kept = self.answers.finish(&answer, AnswerState::Done, None).await;
                        kept.map_err(|error| error.to_string())
                    }
                    Err(problem) => Err(problem.detail),
                };
                if let Err(error) = kept {
                    // The change is committed under its command id: a repetition finds it in the log.
                    tracing::error!(%error, "the answer of an idempotent request could not be kept");
                    let _ = self.answers.release(&[slot]).await;
                }
            }
            // A refused request changed nothing: mended circumstances may let the same request through.
            Err(_) => self.answers.release(&[slot]).await?,
        }
        outcome
    }
}

/// # Errors
/// 503 when answers cannot be sealed now.
pub async fn prepare(services: &Services, slot: &AnswerSlot) -> Result<(), Problem> {
    Ok(services.sealer.prepare(&seal_context(slot)).await?)
}

/// The answer as it is kept.
pub async fn seal(services: &Services, slot: &AnswerSlot, reply: &Reply) -> Result<Sealed, Problem> {
    seal_kept(services, slot, &Kept::of(reply)).await
}

/// The same of a reply that was kept before.
pub async fn seal_kept(services: &Services, slot: &AnswerSlot, kept: &Kept) -> Result<Sealed, Problem> {
    let plain = serde_json::to_vec(kept).expect("kept answers are JSON");
    Ok(services.sealer.seal(&seal_context(slot), &plain).await?)
}

/// A kept answer, marked as a repetition.
pub async fn open(services: &Services, slot: &AnswerSlot, sealed: &Sealed) -> Result<Reply, Problem> {
    let plain = services.sealer.open(&seal_context(slot), sealed).await?;
    let kept: Kept = serde_json::from_slice(&plain).map_err(|_| Problem::internal())?;
    kept.into_reply().ok_or_else(Problem::internal)
}

/// The command id that makes the log recognize a repetition even when the answer was never kept.
pub fn command_id(slot: &AnswerSlot) -> CommandId {
    CommandId::from(format!("{}:{}", slot.key, &slot.body_hash[..16]))
}

fn seal_context(slot: &AnswerSlot) -> SealContext {
    SealContext {
        purpose: Purpose::IdempotentAnswer,
        organization: slot.organization.clone(),
        connection: slot.key.clone(),
        version: 1,
    }
}

impl Kept {
    pub fn of(reply: &Reply) -> Self {
        let headers = reply.headers.iter();
        Self {
            status: reply.status.as_u16(),
            headers: headers
                .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
                .collect(),
            body: BASE64_STANDARD.encode(reply.kept.as_ref().unwrap_or(&reply.body)),
        }
    }

    fn into_reply(self) -> Option<Reply> {
        let mut headers = vec![(REPLAYED.clone(), HeaderValue::from_static("true"))];
        for (name, value) in self.headers {
            headers.push((name.parse().ok()?, value.parse().ok()?));
        }
        Some(Reply {
            status: StatusCode::from_u16(self.status).ok()?,
            body: Bytes::from(BASE64_STANDARD.decode(self.body).ok()?),
            kept: None,
            headers,
            frames: None,
            measured: None,
        })
    }
}
