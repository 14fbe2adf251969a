//! Services that do no more than their function was granted.
//!
//! On AWS the role refuses what was not granted, deep inside of a request and only there. Here the port refuses
//! first, on every host, so that an endpoint which declares too little fails the first test that drives it.

mod beside;

use crate::endpoint::Grant;
use crate::integrations::discoveries::Discoveries;
use crate::problem::Problem;
use crate::services::{Ports, Services};
use async_trait::async_trait;
use events::{CommandId, IntegrationKind, KeyId, OrganizationId, Recorded, Seq};
use infra::assistants::{Assistant, AssistantError, Brief};
use infra::sealing::{Purpose, SealContext, SealError, Sealed, Sealer};
use infra::signing::{CannotSign, Signer};
use infra::storage::{
    Abandoned, AnswerSlot, AnswerState, AnswerStore, AppendError, Artefacts, Begun, Commit, Committed,
    CredentialStore, DiscoveryJob, EventLog, PastStates, Settlement, StoreError, Stored, Verified, Voided,
};
use jiff::Timestamp;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// A port and what may be done through it.
struct Granted<P: ?Sized> {
    port: Arc<P>,
    function: &'static str,
    grants: &'static [Grant],
}

impl<P: ?Sized> Granted<P> {
    /// The port, to one who was granted this.
    ///
    /// # Panics
    /// When the function does not declare it: a defect that its first test finds. The request is lost, and answers
    /// with an internal error.
    fn to(&self, grant: Grant) -> &P {
        let (function, grants) = (self.function, self.grants);
        assert!(grants.contains(&grant), "{function} needs {grant:?} and declares {grants:?}");
        &self.port
    }
}

impl Ports {
    /// The same ports as `function` may use them.
    pub fn granted(&self, function: &'static str, grants: &'static [Grant]) -> Ports {
        Ports {
            log: Arc::new(Granted { port: self.log.clone(), function, grants }),
            artefacts: Arc::new(Granted { port: self.artefacts.clone(), function, grants }),
            past: Arc::new(Granted { port: self.past.clone(), function, grants }),
            credentials: Arc::new(Granted { port: self.credentials.clone(), function, grants }),
            answers: Arc::new(Granted { port: self.answers.clone(), function, grants }),
            deliveries: Arc::new(Granted { port: self.deliveries.clone(), function, grants }),
            directory: Arc::new(Granted { port: self.directory.clone(), function, grants }),
            misses: Arc::new(Granted { port: self.misses.clone(), function, grants }),
            calls: Arc::new(Granted { port: self.calls.clone(), function, grants }),
            sealer: Arc::new(Granted { port: self.sealer.clone(), function, grants }),
            signer: Arc::new(Granted { port: self.signer.clone(), function, grants }),
            discoveries: Arc::new(Granted { port: self.discoveries.clone(), function, grants }),
            assistant: self
                .assistant
                .clone()
                .map(|port| Arc::new(Granted { port, function, grants }) as Arc<dyn Assistant>),
        }
    }
}

/// Everybody reads the log: that is how a request is authenticated.
#[async_trait]
impl EventLog for Granted<dyn EventLog> {
    async fn append(&self, commit: Commit) -> Result<Committed, AppendError> {
        self.to(Grant::Append).append(commit).await
    }

    async fn committed(
        &self,
        organization: &OrganizationId,
        command_id: &CommandId,
    ) -> Result<Option<Committed>, StoreError> {
        self.port.committed(organization, command_id).await
    }

    async fn read(
        &self,
        organization: &OrganizationId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Recorded>, StoreError> {
        self.port.read(organization, after, limit).await
    }

    async fn stored(
        &self,
        organization: &OrganizationId,
        after: Seq,
        commits: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.port.stored(organization, after, commits).await
    }

    async fn head(&self, organization: &OrganizationId) -> Result<Seq, StoreError> {
        self.port.head(organization).await
    }

    async fn state(&self, organization: &OrganizationId) -> Result<Arc<domain::Organization>, StoreError> {
        self.port.state(organization).await
    }

    async fn state_or_trusted(
        &self,
        organization: &OrganizationId,
    ) -> Result<Arc<domain::Organization>, StoreError> {
        self.port.state_or_trusted(organization).await
    }

    fn warm_state(&self, organization: &OrganizationId) -> Option<Arc<domain::Organization>> {
        self.port.warm_state(organization)
    }

    async fn verify(&self, organization: &OrganizationId) -> Result<Verified, StoreError> {
        self.port.verify(organization).await
    }

    async fn beyond(
        &self,
        organization: &OrganizationId,
        seq: Seq,
        within: Duration,
    ) -> Result<Seq, StoreError> {
        self.port.beyond(organization, seq, within).await
    }

    async fn organizations(&self) -> Result<Vec<OrganizationId>, StoreError> {
        self.to(Grant::SeeAllOrganizations).organizations().await
    }

    async fn organization_of_key(&self, key: &KeyId) -> Result<Option<OrganizationId>, StoreError> {
        self.port.organization_of_key(key).await
    }
}

#[async_trait]
impl Artefacts for Granted<dyn Artefacts> {
    async fn put(&self, organization: &OrganizationId, bytes: &[u8]) -> Result<String, StoreError> {
        self.to(Grant::WriteArtefacts).put(organization, bytes).await
    }

    async fn get(&self, organization: &OrganizationId, address: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.to(Grant::ReadArtefacts).get(organization, address).await
    }
}

#[async_trait]
impl PastStates for Granted<dyn PastStates> {
    async fn nearest_state(
        &self,
        organization: &OrganizationId,
        through: Seq,
    ) -> Result<Option<Seq>, StoreError> {
        self.to(Grant::KeepPast).nearest_state(organization, through).await
    }

    async fn kept_state(
        &self,
        organization: &OrganizationId,
        at: Seq,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.to(Grant::KeepPast).kept_state(organization, at).await
    }

    async fn keep_state(
        &self,
        organization: &OrganizationId,
        at: Seq,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        self.to(Grant::KeepPast).keep_state(organization, at, bytes).await
    }
}

#[async_trait]
impl CredentialStore for Granted<dyn CredentialStore> {
    async fn put(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        version: u32,
        sealed: &Sealed,
    ) -> Result<bool, StoreError> {
        self.to(Grant::SealCredentials).put(organization, kind, version, sealed).await
    }

    async fn get(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        version: u32,
    ) -> Result<Option<Sealed>, StoreError> {
        self.to(Grant::OpenCredentials).get(organization, kind, version).await
    }

    async fn shred(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        through: u32,
    ) -> Result<Vec<u32>, StoreError> {
        self.to(Grant::ShredCredentials).shred(organization, kind, through).await
    }
}

#[async_trait]
impl AnswerStore for Granted<dyn AnswerStore> {
    async fn peek(&self, slots: &[AnswerSlot], now: Timestamp) -> Result<Begun, StoreError> {
        self.to(Grant::KeepAnswers).peek(slots, now).await
    }

    async fn begin(&self, slots: &[AnswerSlot], now: Timestamp) -> Result<Begun, StoreError> {
        self.to(Grant::KeepAnswers).begin(slots, now).await
    }

    async fn finish(
        &self,
        answers: &[(AnswerSlot, Sealed)],
        state: AnswerState,
        voided: Option<&Voided>,
    ) -> Result<(), StoreError> {
        self.to(Grant::KeepAnswers).finish(answers, state, voided).await
    }

    async fn release(&self, slots: &[AnswerSlot]) -> Result<(), StoreError> {
        self.to(Grant::KeepAnswers).release(slots).await
    }

    async fn mark(&self, slots: &[AnswerSlot], evidence: &Sealed) -> Result<(), StoreError> {
        self.to(Grant::KeepAnswers).mark(slots, evidence).await
    }

    async fn settle(
        &self,
        slots: &[AnswerSlot],
        evidence: &Sealed,
        settlement: Settlement<'_>,
    ) -> Result<bool, StoreError> {
        self.to(Grant::KeepAnswers).settle(slots, evidence, settlement).await
    }

    async fn abandoned(&self) -> Result<Vec<Abandoned>, StoreError> {
        self.to(Grant::SeeAllOrganizations);
        self.to(Grant::KeepAnswers).abandoned().await
    }

    async fn expire(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.to(Grant::SeeAllOrganizations);
        self.to(Grant::KeepAnswers).expire(before).await
    }
}

fn sealing(context: &SealContext) -> Grant {
    match context.purpose {
        Purpose::Credentials => Grant::SealCredentials,
        Purpose::IdempotentAnswer => Grant::KeepAnswers,
    }
}

/// Each purpose has a key of its own: who keeps answers may open answers, and no credentials with that.
#[async_trait]
impl Sealer for Granted<dyn Sealer> {
    async fn seal(&self, context: &SealContext, plain: &[u8]) -> Result<Sealed, SealError> {
        self.to(sealing(context)).seal(context, plain).await
    }

    async fn open(&self, context: &SealContext, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let grant = match context.purpose {
            Purpose::Credentials => Grant::OpenCredentials,
            Purpose::IdempotentAnswer => Grant::KeepAnswers,
        };
        self.to(grant).open(context, sealed).await
    }

    async fn prepare(&self, context: &SealContext) -> Result<(), SealError> {
        self.to(sealing(context)).prepare(context).await
    }

    fn forget(&self, context: &SealContext) {
        self.port.forget(context);
    }
}

#[async_trait]
impl Signer for Granted<dyn Signer> {
    async fn sign(&self, message: &[u8]) -> Result<[u8; 64], CannotSign> {
        self.to(Grant::SignCheckpoints).sign(message).await
    }

    async fn public_key(&self) -> Result<[u8; 32], CannotSign> {
        self.to(Grant::SignCheckpoints).public_key().await
    }
}

#[async_trait]
impl Discoveries for Granted<dyn Discoveries> {
    async fn start_or_join(
        &self,
        services: &Arc<Services>,
        job: DiscoveryJob,
    ) -> Result<DiscoveryJob, Problem> {
        self.to(Grant::Discoveries).start_or_join(services, job).await
    }

    async fn wait(&self, job: DiscoveryJob, patience: Duration) -> Result<DiscoveryJob, Problem> {
        self.to(Grant::Discoveries).wait(job, patience).await
    }

    async fn look(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        id: &str,
    ) -> Result<Option<DiscoveryJob>, Problem> {
        self.to(Grant::Discoveries).look(organization, kind, id).await
    }
}

#[async_trait]
impl Assistant for Granted<dyn Assistant> {
    fn provider(&self) -> &'static str {
        self.port.provider()
    }

    fn model(&self) -> &str {
        self.port.model()
    }

    async fn propose(&self, brief: &Brief, deadline: Instant) -> Result<Value, AssistantError> {
        self.to(Grant::AskAssistant).propose(brief, deadline).await
    }
}

#[cfg(test)]
mod tests;
