//! The event log and what is kept beside it. The ports; `sqlite` is the embedded backend, `dynamodb` the one on AWS.

pub mod calls;
pub mod chain;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
#[cfg(test)]
mod cqrs;
pub mod deliveries;
pub mod directory;
mod documents;
#[cfg(feature = "aws")]
pub mod dynamodb;
#[cfg(test)]
mod histories;
mod judging;
pub mod misses;
pub mod past;
mod replay;
pub mod snapshots;
#[cfg(any(test, feature = "embedded"))]
pub mod sqlite;

pub use documents::Compared;

use crate::sealing::Sealed;
use async_trait::async_trait;
use domain::Organization;
use domain::limits::HEAD_POLL;
use events::{
    Actor, CommandId, Event, EventId, IntegrationKind, OrganizationId, Recorded, RequestId, Seq, Subject,
};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Everything one command does: all of it or none.
#[derive(Clone, Debug)]
pub struct Commit {
    pub organization: OrganizationId,
    /// The same id never appends twice; kept at least 7 days.
    pub command_id: CommandId,
    pub actor: Actor,
    pub request_id: RequestId,
    /// The earlier event that the command answers to, when no request asked for it.
    pub cause: Option<EventId>,
    /// The clock of the caller; the log makes it strictly increasing.
    pub now: Timestamp,
    /// What the decision was made on.
    pub expects: Expects,
    pub events: Vec<(Subject, Event)>,
}

/// The state a decision relies on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expects {
    /// The last `seq` of each stream that was read, 0 for one that must not exist yet. The head may move on.
    Streams(Vec<(Subject, Seq)>),
    /// Nothing at all may have happened since (publish and what else spans aggregates).
    Head(Seq),
}

#[derive(Clone, Debug)]
pub struct Committed {
    /// What stands in the log now: of this commit, or of the earlier one with the same command id.
    pub events: Vec<Recorded>,
    /// The command had been committed before; nothing was appended.
    pub replayed: bool,
    /// State that includes these events.
    pub state: Arc<Organization>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    #[error("{subject} moved to {actual}")]
    StreamMoved { subject: Subject, actual: Seq },
    #[error("the head moved to {actual}")]
    HeadMoved { actual: Seq },
    /// On DynamoDB also a commit that mints more than 96 keys: each is an item of the transaction.
    #[error("a commit holds 1 to 100 events and at most 256 KB; this one has {events} and {bytes} bytes")]
    BadSize { events: usize, bytes: usize },
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Disk full, locked, unreachable: what was asked did not happen, or cannot be known; try again.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Bytes that this release cannot read, at this position of the log. Never skipped.
    #[error("the log cannot be read at {seq}: {reason}")]
    Corrupt { seq: Seq, reason: String },
}

/// One event as its bytes stand in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub seq: Seq,
    pub prev_hash: [u8; 32],
    pub hash: [u8; 32],
    /// JSON.
    pub bytes: String,
}

/// What `verify` found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub events: u64,
    pub head: Seq,
    pub head_hash: [u8; 32],
    pub first_bad: Option<Seq>,
}

#[async_trait]
pub trait EventLog: Send + Sync {
    async fn append(&self, commit: Commit) -> Result<Committed, AppendError>;

    /// What this command committed, if it did: an answer that was lost is found again here, before anything is
    /// decided a second time.
    async fn committed(
        &self,
        organization: &OrganizationId,
        command_id: &CommandId,
    ) -> Result<Option<Committed>, StoreError>;

    /// Events after `after`, at most `limit`, in order.
    async fn read(
        &self,
        organization: &OrganizationId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Recorded>, StoreError>;

    /// The same as bytes, of at most `commits` commits: what an export holds, so that others can verify it.
    async fn stored(
        &self,
        organization: &OrganizationId,
        after: Seq,
        commits: usize,
    ) -> Result<Vec<Stored>, StoreError>;

    async fn head(&self, organization: &OrganizationId) -> Result<Seq, StoreError>;

    /// The state at the head. SQLite's is in memory: this process's own commits at once, another's within a second.
    /// DynamoDB's is confirmed by one read on every call.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the head cannot be confirmed: nothing is decided on memory.
    async fn state(&self, organization: &OrganizationId) -> Result<Arc<Organization>, StoreError>;

    /// The same, but while the log is silent, memory stands for it up to [`domain::limits::HEAD_TRUSTED`]. For the
    /// live call alone: a caller is on the phone.
    async fn state_or_trusted(&self, organization: &OrganizationId) -> Result<Arc<Organization>, StoreError> {
        self.state(organization).await
    }

    /// The state if it is in memory and was confirmed lately: what the live call uses, without waiting.
    fn warm_state(&self, organization: &OrganizationId) -> Option<Arc<Organization>>;

    /// Recomputes the chain from the bytes as stored.
    async fn verify(&self, organization: &OrganizationId) -> Result<Verified, StoreError>;

    /// Where the log ends, as soon as that is beyond `seq`, or else when `within` is over.
    async fn beyond(
        &self,
        organization: &OrganizationId,
        seq: Seq,
        within: Duration,
    ) -> Result<Seq, StoreError> {
        let deadline = Instant::now() + within;
        loop {
            let head = self.head(organization).await?;
            let left = deadline.saturating_duration_since(Instant::now());
            if head > seq || left.is_zero() {
                return Ok(head);
            }
            tokio::time::sleep(left.min(HEAD_POLL)).await;
        }
    }

    async fn organizations(&self) -> Result<Vec<OrganizationId>, StoreError>;

    /// The organization that minted this key, for authentication before any organization is known.
    async fn organization_of_key(&self, key: &events::KeyId) -> Result<Option<OrganizationId>, StoreError>;
}

/// Content-addressed bytes beside the log, per organization.
#[async_trait]
pub trait Artefacts: Send + Sync {
    /// Returns the address: SHA-256 in hex of the bytes. Putting the same bytes again changes nothing.
    async fn put(&self, organization: &OrganizationId, bytes: &[u8]) -> Result<String, StoreError>;
    async fn get(&self, organization: &OrganizationId, address: &str) -> Result<Option<Vec<u8>>, StoreError>;
}

/// Folded states of the past: a cache beside the log, which may be emptied at any time. Whoever keeps one seals it.
#[async_trait]
pub trait PastStates: Send + Sync {
    /// The last position at or before `through` of which this release keeps a state.
    async fn nearest_state(
        &self,
        organization: &OrganizationId,
        through: Seq,
    ) -> Result<Option<Seq>, StoreError>;
    async fn kept_state(&self, organization: &OrganizationId, at: Seq)
    -> Result<Option<Vec<u8>>, StoreError>;
    /// In place of what is kept there; what another release kept may go.
    async fn keep_state(
        &self,
        organization: &OrganizationId,
        at: Seq,
        bytes: &[u8],
    ) -> Result<(), StoreError>;
}

/// Sealed credentials, in a table of their own.
#[async_trait]
pub trait CredentialStore: Send + Sync {
    /// False when this version has a record already: it is never overwritten.
    async fn put(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        version: u32,
        sealed: &Sealed,
    ) -> Result<bool, StoreError>;
    async fn get(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        version: u32,
    ) -> Result<Option<Sealed>, StoreError>;
    /// Destroys the wrapped data keys and bodies of every version up to and including `through`, and answers which
    /// there were; the bytes are overwritten in the file. Newer ones stay: somebody else may be connecting.
    async fn shred(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        through: u32,
    ) -> Result<Vec<u32>, StoreError>;
}

/// Answers to requests that may be repeated, and the record of a write before it is sent.
///
/// One request may be recognized in several ways, so it has several slots; they are taken, kept and given back
/// together.
#[async_trait]
pub trait AnswerStore: Send + Sync {
    /// What is known of the first of these slots that somebody has; `Fresh` when nobody has any. Takes nothing.
    async fn peek(&self, slots: &[AnswerSlot], now: Timestamp) -> Result<Begun, StoreError>;
    /// Takes all slots, durably, or none of them and says who has the first that is taken.
    async fn begin(&self, slots: &[AnswerSlot], now: Timestamp) -> Result<Begun, StoreError>;
    /// Keeps the sealed answer of each slot, and forgets what `voided` names, in one step.
    async fn finish(
        &self,
        answers: &[(AnswerSlot, Sealed)],
        state: AnswerState,
        voided: Option<&Voided>,
    ) -> Result<(), StoreError>;
    /// Keeps, with slots that run, by what their write can be asked about. After this it may be committed, and not
    /// before: slots that are found running without evidence are those of a write that never was.
    ///
    /// # Errors
    /// When the slots are not this attempt's any more, too: then it must not be committed.
    async fn mark(&self, slots: &[AnswerSlot], evidence: &Sealed) -> Result<(), StoreError>;
    /// Ends what was marked, if it is still under this evidence that the slots are taken; else answers false and
    /// changes nothing. So whoever finds out late ends no later attempt.
    async fn settle(
        &self,
        slots: &[AnswerSlot],
        evidence: &Sealed,
        settlement: Settlement<'_>,
    ) -> Result<bool, StoreError>;
    /// Gives the slots back: nothing happened, a repetition may run.
    async fn release(&self, slots: &[AnswerSlot]) -> Result<(), StoreError>;
    /// Slots left running by a process that died, and slots in doubt that are worth asking about.
    async fn abandoned(&self) -> Result<Vec<Abandoned>, StoreError>;
    /// Forgets answers whose time was over before this instant. What runs or is in doubt stays.
    async fn expire(&self, before: Timestamp) -> Result<u64, StoreError>;
}

/// A discovery that outlives the request that asked for it.
#[derive(Clone, Debug, PartialEq)]
pub struct DiscoveryJob {
    pub id: String,
    pub organization: OrganizationId,
    pub kind: IntegrationKind,
    /// Of the connection it reads.
    pub credential_version: u32,
    /// What its commit is remembered under, and in whose name it is made.
    pub command_id: CommandId,
    pub actor: Actor,
    pub request_id: RequestId,
    pub requested_at: Timestamp,
    pub progress: DiscoveryProgress,
}

#[derive(Clone, Debug, PartialEq)]
pub enum DiscoveryProgress {
    /// Tables read so far.
    Running { tables: u64 },
    /// The whole answer as JSON, a success or a problem.
    Ended { answer: serde_json::Value },
}

/// Discoveries, known to every process.
#[async_trait]
pub trait DiscoveryStore: Send + Sync {
    /// Keeps a job that runs, unless one runs already for the same organization, kind and credential version and has
    /// given a sign of life: then answers with that one. At most one runs at a time.
    async fn join_or_start(&self, job: DiscoveryJob) -> Result<DiscoveryJob, StoreError>;
    async fn get(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        id: &str,
    ) -> Result<Option<DiscoveryJob>, StoreError>;
    /// For the worker: the job as long as it may be run, however long ago its last sign of life was. None when it was
    /// given up or is unknown.
    async fn to_run(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        id: &str,
    ) -> Result<Option<DiscoveryJob>, StoreError>;
    /// A sign of life; the first one says that a worker has begun. False when the job has ended already, or was given up.
    async fn advance(&self, job: &DiscoveryJob, tables: u64) -> Result<bool, StoreError>;
    /// Ends it, once.
    async fn end(&self, job: &DiscoveryJob, answer: serde_json::Value) -> Result<(), StoreError>;
}

/// Finished slots that a later write makes void: those whose key starts with `prefix`, but for `except`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voided {
    pub organization: OrganizationId,
    pub prefix: String,
    pub except: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AnswerSlot {
    pub organization: OrganizationId,
    /// Keyed hash of (endpoint, idempotency key), or of a call's identity.
    pub key: String,
    /// Keyed hash of the request body: another body under the same key is refused.
    pub body_hash: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerState {
    Done,
    /// What is kept is no answer, but the evidence of [`AnswerStore::mark`].
    InDoubt,
}

/// What a marked write came to.
#[derive(Clone, Copy)]
pub enum Settlement<'a> {
    /// It happened; this is its answer in each slot, and what it makes void.
    Done(&'a [(AnswerSlot, Sealed)], Option<&'a Voided>),
    /// It did not.
    Nothing,
    /// Nobody knows yet.
    InDoubt,
    /// Nobody will know but a person.
    ForAPerson,
}

/// A slot of a write that nobody is at any more.
#[derive(Clone, PartialEq, Eq)]
pub struct Abandoned {
    pub slot: AnswerSlot,
    /// None: it was never about to be committed.
    pub evidence: Option<Sealed>,
}

impl std::fmt::Debug for Abandoned {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_marked = self.evidence.is_some();
        formatter.debug_struct("Abandoned").field("slot", &self.slot).field("is_marked", &is_marked).finish()
    }
}

#[derive(Clone, PartialEq)]
pub enum Begun {
    /// Nobody had it.
    Fresh,
    /// Same key, other body.
    OtherBody,
    Running,
    Finished {
        state: AnswerState,
        sealed: Sealed,
    },
}
