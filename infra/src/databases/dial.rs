//! The only place that opens a socket to an address that a customer named.

use super::DatabaseError;
use super::guard::Guard;
use std::time::Instant;
use tokio::net::TcpStream;

/// Resolves with our own resolver, judges every answer, dials the judged address.
pub struct Dialer {
    pub guard: Guard,
}

impl Dialer {
    pub fn new(guard: Guard) -> Self {
        Self { guard }
    }

    /// One resolution, one judged address, one socket whose peer address was checked.
    pub async fn dial(
        &self,
        _host: &str,
        _port: u16,
        _deadline: Instant,
    ) -> Result<TcpStream, DatabaseError> {
        todo!("the databases helper writes this")
    }
}
