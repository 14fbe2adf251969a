//! The backend on AWS: the log and what stands beside it in DynamoDB, large artefacts in S3.

mod answers;
mod append;
mod artefacts;
mod batch;
#[cfg(test)]
mod beside_tests;
mod calls;
#[cfg(any(test, feature = "conformance"))]
mod create;
mod credentials;
mod deliveries;
mod directory;
pub mod discoveries;
mod errors;
mod items;
mod leases;
mod memory;
mod misses;
pub mod past;
mod projector;
mod reader;
pub mod reencrypt;
mod replace;
mod state;
pub mod tables;
mod transact;
mod views;

#[cfg(any(test, feature = "conformance"))]
pub use create::create_tables;
pub use projector::{Projected, Swept};

use super::misses::MissMemory;
use super::replay::{self, Rows};
use super::{AppendError, Commit, Committed, EventLog, StoreError, Stored, Verified};
use async_trait::async_trait;
use aws_config::SdkConfig;
use domain::Organization;
use domain::limits::{
    AWS_BACKOFF, AWS_OPERATION_TIMEOUT, DISCOVERY_LEASE, DISCOVERY_QUEUED, HEAD_FRESH, HEAD_TRUSTED,
};
use events::{CommandId, KeyId, OrganizationId, Recorded, Seq};
use memory::Memory;
use reader::Reader;
use std::sync::Arc;
use std::time::Duration;
use tables::Names;

/// One deployment's tables and bucket, as one process sees them.
pub struct DynamoStore {
    client: aws_sdk_dynamodb::Client,
    s3: aws_sdk_s3::Client,
    names: Names,
    /// Tells this process's running answers from those that another one left behind.
    process: String,
    /// An answer that is running for longer than this was left behind.
    lease: Duration,
    attempts: answers::Attempts,
    patience: Patience,
    memory: Memory,
    misses: MissMemory,
}

/// How long is waited, and what is still believed meanwhile. Tests shorten it.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// Without any answer of the store an append gives up after this.
    operation: Duration,
    /// The first wait before a transaction is tried again is drawn below this, the next below its double.
    backoff: Duration,
    /// The state in memory is served without asking when its head was confirmed no longer ago than this.
    fresh: Duration,
    /// The same while the log cannot be reached.
    trusted: Duration,
    /// A discovery without a sign of life for this long was given up.
    discovery: Duration,
    /// The same for one that no worker has begun yet.
    queue: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            operation: AWS_OPERATION_TIMEOUT,
            backoff: AWS_BACKOFF,
            fresh: HEAD_FRESH,
            trusted: HEAD_TRUSTED,
            discovery: DISCOVERY_LEASE,
            queue: DISCOVERY_QUEUED,
        }
    }
}

/// Whoever holds a slot is a function behind the gateway, which ends it within 28 s. Twice that, for clocks that
/// differ: what was not ended by then, nobody will end.
const LEASE: Duration = Duration::from_secs(60);

impl DynamoStore {
    /// Sends nothing: a function that starts cold pays for no round trip that its request does not need.
    pub fn open(aws: &SdkConfig, names: Names) -> Arc<Self> {
        Self::open_trusting(aws, names, HEAD_TRUSTED)
    }

    /// The same, serving what is in memory for another time while the log cannot be reached.
    pub fn open_trusting(aws: &SdkConfig, names: Names, trusted: Duration) -> Arc<Self> {
        Arc::new(Self::with(aws, names, Patience { trusted, ..Patience::default() }))
    }

    fn with(aws: &SdkConfig, names: Names, patience: Patience) -> Self {
        // Emulators find a bucket by the path only; S3 takes both.
        let s3 = aws_sdk_s3::config::Builder::from(aws).force_path_style(true).build();
        Self {
            client: aws_sdk_dynamodb::Client::new(aws),
            s3: aws_sdk_s3::Client::from_conf(s3),
            names,
            process: uuid::Uuid::new_v4().simple().to_string(),
            lease: LEASE,
            attempts: answers::Attempts::default(),
            patience,
            memory: Memory::default(),
            misses: MissMemory::default(),
        }
    }
}

impl DynamoStore {
    fn reader(&self) -> Reader {
        Reader::new(&self.client, &self.names)
    }
}

/// How long to wait after so many failures: at random, below a bound that doubles.
fn backoff(first: Duration, failed: u32) -> Duration {
    let mut bytes = [0; 4];
    // Without randomness everybody waits as long as they may.
    let drawn = getrandom::fill(&mut bytes).map_or(u32::MAX, |()| u32::from_le_bytes(bytes));
    (first * 2_u32.pow(failed.min(6))).mul_f64(f64::from(drawn) / f64::from(u32::MAX))
}

#[async_trait]
impl EventLog for DynamoStore {
    async fn append(&self, commit: Commit) -> Result<Committed, AppendError> {
        self.append_commit(commit).await
    }

    async fn committed(
        &self,
        organization: &OrganizationId,
        command_id: &CommandId,
    ) -> Result<Option<Committed>, StoreError> {
        match self.reader().command(organization, command_id).await? {
            Some(command) => self.remembered(organization, command).await.map(Some),
            None => Ok(None),
        }
    }

    async fn read(
        &self,
        organization: &OrganizationId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Recorded>, StoreError> {
        replay::events(&mut self.reader(), organization, after, limit).await
    }

    async fn stored(
        &self,
        organization: &OrganizationId,
        after: Seq,
        commits: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        replay::stored(&mut self.reader(), organization, after, commits).await
    }

    async fn head(&self, organization: &OrganizationId) -> Result<Seq, StoreError> {
        Ok(self.reader().head(organization).await?.seq)
    }

    async fn state(&self, organization: &OrganizationId) -> Result<Arc<Organization>, StoreError> {
        self.confirmed(organization).await.map(|tip| tip.state)
    }

    async fn state_or_trusted(&self, organization: &OrganizationId) -> Result<Arc<Organization>, StoreError> {
        self.state_or_memory(organization).await
    }

    fn warm_state(&self, organization: &OrganizationId) -> Option<Arc<Organization>> {
        self.memory.get_within(organization, self.patience.fresh).map(|tip| tip.state)
    }

    async fn verify(&self, organization: &OrganizationId) -> Result<Verified, StoreError> {
        replay::verify(&mut self.reader(), organization).await
    }

    async fn organizations(&self) -> Result<Vec<OrganizationId>, StoreError> {
        self.reader().organizations().await
    }

    async fn organization_of_key(&self, key: &KeyId) -> Result<Option<OrganizationId>, StoreError> {
        self.reader().organization_of_key(key).await
    }
}

#[cfg(test)]
mod tests;
