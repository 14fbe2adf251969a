//! A signed statement of where the log ended: who keeps one can show later that nothing before it was changed.

use crate::endpoint::Context;
use crate::problem::Problem;
use crate::services::Services;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use events::{OrganizationId, Seq};
use infra::signing::{self, CannotSign};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub const ALGORITHM: &str = "Ed25519";

/// Signed is `bindery.checkpoint.v1`, the organization, `seq`, `hash` and `recordedAt` as they stand here, each with a
/// newline behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checkpoint {
    pub organization: OrganizationId,
    /// The last event.
    pub seq: Seq,
    /// Its hash in hex, which covers all before it.
    pub hash: String,
    #[schemars(with = "String")]
    pub recorded_at: Timestamp,
    /// `Ed25519`
    pub algorithm: String,
    /// 32 bytes as base64.
    pub public_key: String,
    /// 64 bytes as base64.
    pub signature: String,
}

impl Checkpoint {
    fn message(&self) -> String {
        let Self { organization, seq, hash, recorded_at, .. } = self;
        format!("bindery.checkpoint.v1\n{organization}\n{seq}\n{hash}\n{recorded_at}\n")
    }

    /// Whether the signature is that of the public key in it. Whose key that is, its keeper must know.
    pub fn is_signed(&self) -> bool {
        let decoded = |text: &str| BASE64_STANDARD.decode(text).unwrap_or_default();
        let (key, signature) = (decoded(&self.public_key), decoded(&self.signature));
        self.algorithm == ALGORITHM && signing::is_signed(&key, self.message().as_bytes(), &signature)
    }
}

impl Services {
    /// # Errors
    /// 404 before the first event, 503 when log or key service cannot be used.
    pub async fn checkpoint(&self, organization: &OrganizationId) -> Result<Checkpoint, Problem> {
        let head = self.log.head(organization).await?;
        let Some(before) = head.0.checked_sub(1) else {
            return Err(domain::Refusal::NotFound { what: "event" }.into());
        };
        let events = self.log.read(organization, Seq(before), 1).await?;
        let last = events.first().ok_or_else(Problem::internal)?;
        let unavailable = |error: CannotSign| Problem::unavailable(error.to_string());
        let public_key = self.signer.public_key().await.map_err(unavailable)?;
        let mut checkpoint = Checkpoint {
            organization: organization.clone(),
            seq: last.seq,
            hash: hex::encode(last.hash),
            recorded_at: last.recorded_at,
            algorithm: ALGORITHM.to_owned(),
            public_key: BASE64_STANDARD.encode(public_key),
            signature: String::new(),
        };
        let signature = self.signer.sign(checkpoint.message().as_bytes()).await.map_err(unavailable)?;
        checkpoint.signature = BASE64_STANDARD.encode(signature);
        Ok(checkpoint)
    }
}

/// What a log says to a checkpoint that somebody kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extended {
    /// The event of the checkpoint stands where it stood, and the chain up to it holds.
    Yes,
    /// The signature is not that of the key in it, or the key is not this service's.
    NotSigned,
    /// It is another organization's.
    Foreign,
    /// The log ends before it, or has another event there: history was rewritten.
    Rewritten,
}

impl Services {
    /// Whether the log still holds what the checkpoint says. To be asked after the chain was verified.
    pub async fn extends(
        &self,
        organization: &OrganizationId,
        kept: &Checkpoint,
    ) -> Result<Extended, Problem> {
        let unavailable = |error: CannotSign| Problem::unavailable(error.to_string());
        let own = BASE64_STANDARD.encode(self.signer.public_key().await.map_err(unavailable)?);
        if !kept.is_signed() || kept.public_key != own {
            return Ok(Extended::NotSigned);
        }
        if kept.organization != *organization {
            return Ok(Extended::Foreign);
        }
        let before = Seq(kept.seq.0.saturating_sub(1));
        let events = self.log.read(organization, before, 1).await?;
        let same =
            events.first().is_some_and(|event| event.seq == kept.seq && hex::encode(event.hash) == kept.hash);
        Ok(if same { Extended::Yes } else { Extended::Rewritten })
    }
}

impl Context {
    pub async fn checkpoint(&self) -> Result<Checkpoint, Problem> {
        self.services.checkpoint(&self.caller.organization).await
    }
}
