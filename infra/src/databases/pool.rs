//! Warm connections to customers' databases, one bounded pool for each connection and credential version.

mod breaker;
mod checkout;
mod elsewhere;
mod lanes;
mod reads;
mod seen;
mod slots;

#[cfg(test)]
mod tests;

pub use seen::Usage;

use super::driver::{BeforeCommit, Credentials, Drivers, Ending, Session, Trace};
use super::error::Fault;
use super::{DatabaseError, Rows, Written, afterwards};
use crate::telemetry::{Measured, tell};
use checkout::Checkout;
use domain::arguments::Bound;
use domain::limits;
use elsewhere::Question;
use events::skill::Statement;
use events::{IntegrationKind, OrganizationId};
use lanes::Share;
use slots::{Pool, Turn, Want};
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::time::timeout_at;

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
    pools: RwLock<HashMap<PoolKey, Arc<Pool>>>,
}

/// What a pool needs when it has to open a connection and its credentials are not in memory.
pub type CredentialSource = Arc<
    dyn Fn() -> futures_util::future::BoxFuture<'static, Result<Credentials, DatabaseError>> + Send + Sync,
>;

impl Pools {
    pub fn new(drivers: Drivers) -> Self {
        Self { drivers, pools: RwLock::default() }
    }

    pub fn drivers(&self) -> &Drivers {
        &self.drivers
    }

    /// Runs a frozen read on a connection that others read from, on a warm one, or on a new one.
    ///
    /// # Errors
    /// `TooManyConnections` with `retry_after` when all connections stay busy for [`limits::POOL_WAIT`], and at once when
    /// so many wait that they will; the faults of opening; those of [`super::Reader::read`].
    pub async fn read(
        &self,
        key: &PoolKey,
        source: &CredentialSource,
        statement: &Arc<Statement>,
        binds: &[Bound],
        deadline: Instant,
    ) -> Result<Rows, DatabaseError> {
        let pool = self.pool(key);
        let time = deadline.saturating_duration_since(Instant::now());
        let plan = pool.state().lanes.plan(&statement.hash, time);
        let question = Arc::new(Question {
            kind: key.kind,
            statement: statement.clone(),
            binds: binds.to_vec(),
            deadline,
            answered: AtomicBool::new(false),
        });
        reads::read(&self.way(pool, key, source), plan, question).await
    }

    /// Runs a frozen write; it commits only when it matched exactly one row and `before` agrees.
    ///
    /// # Errors
    /// As [`Pools::read`] and [`Connection::write`]. Only `InDoubt` leaves open whether anything happened.
    pub async fn write(
        &self,
        key: &PoolKey,
        source: &CredentialSource,
        statement: &Statement,
        binds: &[Bound],
        deadline: Instant,
        before: Option<&dyn BeforeCommit>,
    ) -> Result<Written, DatabaseError> {
        let way = self.way(self.pool(key), key, source);
        let mut checkout = way.checkout(Session::ReadWrite, in_line(deadline), deadline).await?;
        let run = async |checkout: &mut Checkout| {
            let running = checkout.writer().write(statement, binds, deadline, before);
            seen::statement(key.kind, statement.action, running).await
        };
        let first = run(&mut checkout).await;
        // A lost connection that is not in doubt was lost before COMMIT: nothing happened.
        if !checkout.may_run_again(&first) {
            return first;
        }
        Box::pin(way.reopen(&mut checkout, deadline)).await?;
        run(&mut checkout).await
    }

    /// Asks on a connection of its own what became of a transaction whose end nobody saw: one that waits in the pool may
    /// have been opened to another server, before a failover.
    ///
    /// # Errors
    /// Those of opening, and of running a statement. They say nothing of the transaction.
    pub async fn ending(
        &self,
        kind: IntegrationKind,
        source: &CredentialSource,
        trace: &Trace,
        age: Duration,
        deadline: Instant,
    ) -> Result<Ending, DatabaseError> {
        let asked = Box::pin(async {
            let credentials = source().await?;
            let opened = self.drivers.open(kind, &credentials, Session::ReadOnly).await;
            let mut connection = opened.map_err(|failed| failed.error)?;
            let ending = connection.ending(trace, age, deadline).await;
            afterwards::spawn(connection.close());
            ending
        });
        timeout_at(deadline.into(), asked).await.unwrap_or_else(|_| Err(late()))
    }

    /// Opens a connection for reads, if none is warm, and leaves it in the pool.
    ///
    /// # Errors
    /// Those of opening.
    pub async fn warm(
        &self,
        key: &PoolKey,
        source: &CredentialSource,
        deadline: Instant,
    ) -> Result<(), DatabaseError> {
        let way = self.way(self.pool(key), key, source);
        way.checkout(Session::ReadOnly, in_line(deadline), deadline).await.map(drop)
    }

    /// Closes every pool of this connection whose credential version is below `below_version`. Statements that run
    /// come to their end; their connections are closed then.
    pub fn evict(&self, organization: &OrganizationId, kind: IntegrationKind, below_version: u32) {
        let is_old = |key: &PoolKey| {
            key.organization == *organization && key.kind == kind && key.credential_version < below_version
        };
        let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|key, pool| {
            let old = is_old(key);
            if old {
                pool.close();
            }
            !old
        });
    }

    /// How all pools of this kind are used at this moment.
    pub fn usage(&self, kind: IntegrationKind) -> Usage {
        let pools = self.pools.read().unwrap_or_else(PoisonError::into_inner);
        let of_kind = pools.iter().filter(|(key, _)| key.kind == kind);
        of_kind.map(|(_, pool)| pool.usage()).fold(Usage::default(), Usage::and)
    }

    fn pool(&self, key: &PoolKey) -> Arc<Pool> {
        if let Some(pool) = self.pools.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return pool.clone();
        }
        self.pools.write().unwrap_or_else(PoisonError::into_inner).entry(key.clone()).or_default().clone()
    }

    fn way<'a>(&'a self, pool: Arc<Pool>, key: &PoolKey, source: &'a CredentialSource) -> Way<'a> {
        Way { pool, kind: key.kind, drivers: &self.drivers, source }
    }
}

/// To one database: its pool, and what opens a connection for it.
struct Way<'a> {
    pool: Arc<Pool>,
    kind: IntegrationKind,
    drivers: &'a Drivers,
    source: &'a CredentialSource,
}

impl Way<'_> {
    /// Waits in line for one of the pool's connections; opens one when none is warm.
    async fn checkout(
        &self,
        session: Session,
        patience: Instant,
        deadline: Instant,
    ) -> Result<Checkout, DatabaseError> {
        let waiting = Pool::checkout(&self.pool, session, patience);
        let mut checkout = seen::checkout(self.kind, waiting).await?;
        if checkout.is_empty() {
            Box::pin(self.reopen(&mut checkout, deadline)).await?;
        }
        Ok(checkout)
    }

    /// The same, where others may read from the connection too.
    async fn share(&self, want: Want, patience: Instant, deadline: Instant) -> Result<Share, DatabaseError> {
        let waiting = Pool::turn(&self.pool, want, patience);
        match seen::checkout(self.kind, waiting).await? {
            Turn::Share(share) => Ok(share),
            Turn::Alone(mut checkout) => {
                if checkout.is_empty() {
                    Box::pin(self.reopen(&mut checkout, deadline)).await?;
                }
                Ok(checkout.share())
            }
        }
    }

    async fn reopen(&self, checkout: &mut Checkout, deadline: Instant) -> Result<(), DatabaseError> {
        reopen(self.drivers, self.kind, self.source, checkout, deadline).await
    }
}

/// Puts a new connection into the place that the checkout holds. To be boxed, because it is rare and holds a whole
/// handshake: in line, every call would be moved with room for two.
async fn reopen(
    drivers: &Drivers,
    kind: IntegrationKind,
    source: &CredentialSource,
    checkout: &mut Checkout,
    deadline: Instant,
) -> Result<(), DatabaseError> {
    checkout.breaker().admit(Instant::now())?;
    checkout.make_room().await;
    let opened = async {
        let credentials = source().await?;
        let opened = drivers.open(kind, &credentials, checkout.session).await;
        opened.map_err(|failed| failed.error)
    };
    let opened = seen::opening(kind, async {
        timeout_at(deadline.into(), opened).await.unwrap_or_else(|_elapsed| Err(late()))
    });
    let opened = opened.await;
    if checkout.breaker().observe(&opened, Instant::now()) {
        tell(Measured::BreakerOpened { kind });
    }
    checkout.fill(opened?);
    Ok(())
}

/// Until when a call waits for its turn.
fn in_line(deadline: Instant) -> Instant {
    deadline.min(Instant::now() + limits::POOL_WAIT)
}

fn late() -> DatabaseError {
    DatabaseError::new(
        Fault::ConnectTimeout,
        "The database could not be reached within the time of the call. Check host, port and firewall.",
    )
}
