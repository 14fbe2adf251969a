//! The only place that opens a socket to an address that a customer named.

#[cfg(test)]
mod tests;

use super::DatabaseError;
use super::error::Fault;
use super::guard::{Guard, Host};
use super::resolver::Resolver;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::timeout_at;

/// A peer that vanished without a word is noticed after 30 s + 3 × 10 s.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;

/// Addresses of one name that are tried; more than this no honest database has.
const ADDRESSES_MAX: usize = 16;

/// Resolves with our own resolver, judges every answer, dials the judged address.
pub struct Dialer {
    pub guard: Guard,
    resolver: Resolver,
    /// Who must not dial at all.
    forbidden: Option<&'static str>,
}

impl Dialer {
    /// Asks the nameservers of the machine.
    pub fn new(guard: Guard) -> Self {
        Self { guard, resolver: Resolver::system(), forbidden: None }
    }

    /// Asks these nameservers only.
    pub fn with_nameservers(guard: Guard, nameservers: &[SocketAddr]) -> Self {
        Self { guard, resolver: Resolver::with_nameservers(nameservers), forbidden: None }
    }

    /// For a function that was not granted to dial.
    pub fn forbidden(function: &'static str) -> Self {
        Self { forbidden: Some(function), ..Self::new(Guard::default()) }
    }

    /// One resolution, one judged address, one socket whose peer address was checked.
    ///
    /// # Errors
    /// `DnsFailed`, `HostNotAllowed` (no packet was sent to the host), `ConnectRefused`, `ConnectTimeout`.
    ///
    /// # Panics
    /// When whoever dials must not: a defect that its first test finds.
    pub async fn dial(&self, host: &str, port: u16, deadline: Instant) -> Result<TcpStream, DatabaseError> {
        if let Some(function) = self.forbidden {
            panic!("{function} dials, and does not declare it");
        }
        let addresses = self.judged(host, deadline).await?;
        let mut last = timed_out();
        for (tried, address) in addresses.iter().enumerate() {
            // Each address gets its share of what is left, so that a silent first one does not eat it all.
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(addresses.len() - tried).unwrap_or(1);
            match timeout_at((Instant::now() + share).into(), connect(SocketAddr::new(*address, port))).await
            {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = refused(&error),
                Err(_elapsed) => last = timed_out(),
            }
        }
        Err(last)
    }

    /// Every address of the host, when each of them may be dialled.
    async fn judged(&self, host: &str, deadline: Instant) -> Result<Vec<IpAddr>, DatabaseError> {
        let host = Host::parse(host).map_err(|advice| DatabaseError::new(Fault::HostNotAllowed, advice))?;
        if host.is_localhost() {
            // A machine may be opened in one family only.
            let both = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
            let opened: Vec<_> = both.into_iter().filter(|ip| self.guard.judge(*ip).is_ok()).collect();
            return if opened.is_empty() { Err(not_allowed("the server's own machine")) } else { Ok(opened) };
        }
        let addresses = match host {
            Host::Address(address) => vec![address],
            Host::Name(name) => self.resolver.lookup(&name, deadline).await?,
        };
        // One denied answer condemns the name: who mixes public and private ones is up to something.
        for address in &addresses {
            self.guard.judge(*address).map_err(not_allowed)?;
        }
        Ok(addresses.into_iter().take(ADDRESSES_MAX).collect())
    }
}

#[allow(clippy::disallowed_methods, reason = "the one dial: the address was judged")]
async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // What we are connected to must be what was judged, whatever lies in between.
    if stream.peer_addr()? != address {
        return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "connected to another address"));
    }
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    Ok(stream)
}

fn not_allowed(reason: &'static str) -> DatabaseError {
    let advice = format!(
        "The host leads to {reason}, which is not allowed. Use an address of the public internet, or have the \
         operator of this server open the range in BINDERY_ALLOW_PRIVATE_HOSTS."
    );
    DatabaseError::new(Fault::HostNotAllowed, advice)
}

fn timed_out() -> DatabaseError {
    DatabaseError::new(
        Fault::ConnectTimeout,
        "The server did not answer in time. Check host and port, and that its firewall lets this service in.",
    )
}

fn refused(error: &io::Error) -> DatabaseError {
    match error.kind() {
        io::ErrorKind::TimedOut => timed_out(),
        io::ErrorKind::ConnectionRefused => DatabaseError::new(
            Fault::ConnectRefused,
            "Nothing accepts connections at this host and port. Check both, and that the server listens to the outside.",
        ),
        _ => DatabaseError::new(
            Fault::ConnectRefused,
            "The host cannot be reached from here. Check the address and the network in between.",
        ),
    }
}
