//! Warm connections to customers' databases, one bounded pool for each connection and credential version.

use super::driver::{Connection, Credentials, Drivers, Session};
use super::{DatabaseError, Rows, Written};
use domain::arguments::Bound;
use events::skill::Statement;
use events::{IntegrationKind, OrganizationId};
use std::sync::Arc;
use std::time::Instant;

/// Names one set of credentials; rotation makes another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolKey {
    pub organization: OrganizationId,
    pub kind: IntegrationKind,
    pub credential_version: u32,
}

/// All pools of the process.
pub struct Pools {
    drivers: Drivers,
}

/// What a pool needs when it has to open a connection and its credentials are not in memory.
pub type CredentialSource = Arc<
    dyn Fn() -> futures_util::future::BoxFuture<'static, Result<Credentials, DatabaseError>> + Send + Sync,
>;

impl Pools {
    pub fn new(drivers: Drivers) -> Self {
        Self { drivers }
    }

    pub fn drivers(&self) -> &Drivers {
        &self.drivers
    }

    pub async fn read(
        &self,
        _key: &PoolKey,
        _source: &CredentialSource,
        _statement: &Statement,
        _binds: &[Bound],
        _deadline: Instant,
    ) -> Result<Rows, DatabaseError> {
        let _ = Session::ReadOnly;
        let _: Option<Box<dyn Connection>> = None;
        todo!("the postgres helper writes this")
    }

    pub async fn write(
        &self,
        _key: &PoolKey,
        _source: &CredentialSource,
        _statement: &Statement,
        _binds: &[Bound],
        _deadline: Instant,
    ) -> Result<Written, DatabaseError> {
        todo!("the postgres helper writes this")
    }

    /// Closes every pool of this connection whose credential version is below `from_version`.
    pub fn evict(&self, _organization: &OrganizationId, _kind: IntegrationKind, _below_version: u32) {
        todo!("the postgres helper writes this")
    }
}
