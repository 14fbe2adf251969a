//! A connection that is out of the pool, or a place for one.

use super::breaker::Breaker;
use super::lanes::{Opened, Share};
use super::slots::{Pool, Warm};
use crate::databases::DatabaseError;
use crate::databases::driver::{Connection, Session};
use crate::databases::error::Fault;
use std::sync::Arc;
use std::time::Instant;

/// A place in the pool, and the connection in it.
pub(super) struct Checkout {
    pub(super) pool: Arc<Pool>,
    pub(super) session: Session,
    pub(super) connection: Option<Warm>,
    /// The connection had waited in the pool, and may have died there without a sign.
    pub(super) warm: bool,
    /// Once it is shared, nobody joins all the same.
    pub(super) closed: bool,
    pub(super) since: Instant,
    /// Until it is handed on to a lane.
    pub(super) holds_place: bool,
}

impl Checkout {
    pub(super) fn is_empty(&self) -> bool {
        self.connection.is_none()
    }

    pub(super) fn breaker(&self) -> &Breaker {
        self.pool.breaker()
    }

    /// The connection of a checkout for writes.
    pub(super) fn writer(&mut self) -> &mut dyn Connection {
        match &mut self.connection {
            Some(Warm::Writes(connection)) => connection.as_mut(),
            // `Pools::checkout` fills an empty place before it hands it on.
            Some(Warm::Reads(_)) | None => unreachable!("a checkout is used before it was filled"),
        }
    }

    /// Lets others read from the connection too, if it is for that.
    pub(super) fn share(mut self) -> Share {
        let Some(Warm::Reads(reader)) = self.connection.take() else {
            unreachable!("a checkout is shared before it was filled")
        };
        self.holds_place = false;
        let opened = Opened { now: Instant::now(), warm: self.warm, closed: self.closed };
        let mut state = self.pool.state();
        let share = state.lanes.open(&self.pool, reader, opened);
        let somebody_joins = state.somebody_waits();
        drop(state);
        if somebody_joins {
            self.pool.serve();
        }
        share
    }

    /// Whether a warm connection turned out to be dead: then nothing happened, and once more on a new one is safe.
    pub(super) fn may_run_again<T>(&self, result: &Result<T, DatabaseError>) -> bool {
        self.warm && matches!(result, Err(error) if error.fault == Fault::ConnectionLost)
    }

    /// Makes sure that another connection does not exceed the pool's size: its own old one goes, and, when the rest
    /// is taken by idle ones of the other session, the one that waited longest.
    pub(super) async fn make_room(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.close().await;
        }
        if let Some(oldest) = self.pool.surplus() {
            oldest.close().await;
        }
    }

    pub(super) fn fill(&mut self, connection: Box<dyn Connection>) {
        self.connection = Some(match self.session {
            Session::ReadOnly => Warm::Reads(connection.into_reader()),
            Session::ReadWrite => Warm::Writes(connection),
        });
        self.warm = false;
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        if self.holds_place {
            self.pool.was_held(self.since.elapsed());
            self.pool.give_back(self.connection.take());
        }
    }
}
