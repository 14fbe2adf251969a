//! From credentials to a session in a known state, and back out of a query that takes too long.

mod canceller;
mod login;

#[cfg(test)]
mod tests;

use super::errors;
use super::session;
use super::{Postgres, execute::Prepared, wire::Wire};
use crate::databases::DatabaseError;
use crate::databases::dial::Dialer;
use crate::databases::driver::{Connection, Credentials, OpenError, Phase, ServerInfo, Session};
use crate::databases::error::Fault;
use crate::databases::flights::Flights;
use crate::databases::socket::{Budget, Metered};
use crate::databases::tls::{self, TlsStream};
pub(super) use canceller::{CANCELLED_AGAIN, Canceller};
use domain::limits;
use events::integration::SslMode;
pub(super) use login::UnsafeAuthentication;
use login::{AlreadySecured, Login};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout_at;
use tokio_postgres::config::{SslMode as WireSslMode, SslNegotiation};
use tokio_postgres::{Client, Config};

/// Length 8, then the number that stands for "TLS, please".
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// `GENERATED`, privileges of columns and `pg_current_xact_id` as this driver uses them.
const OLDEST_MAJOR: u32 = 13;

/// Where a socket leads and how it is secured: all of the credentials but who logs in.
#[derive(Clone)]
pub(super) struct Target {
    host: String,
    port: u16,
    sslmode: SslMode,
    ca_pem: Option<String>,
}

/// Opens a connection and sets its session up.
///
/// # Errors
/// With the phase that failed; each phase has [`limits::CONNECT_PHASE_TIMEOUT`].
pub async fn open(
    dialer: &Arc<Dialer>,
    credentials: &Credentials,
    // Both kinds are set up alike; the pool keeps them apart all the same, as other engines need it.
    _session: Session,
) -> Result<Box<dyn Connection>, OpenError> {
    let target = Arc::new(Target {
        host: credentials.host.clone(),
        port: credentials.port,
        sslmode: credentials.sslmode,
        ca_pem: credentials.ca_pem.clone(),
    });
    let deadline = Instant::now() + limits::CONNECT_PHASE_TIMEOUT;
    let (stream, budget) = secured(dialer, &target, deadline)
        .await
        .map_err(|error| OpenError { phase: Phase::ReachabilityTls, error })?;

    let deadline = Instant::now() + limits::CONNECT_PHASE_TIMEOUT;
    let opened = async {
        let canceller = |client: &Client| Canceller::new(dialer.clone(), target, client.cancel_token());
        let login = Login::new(stream);
        let backend = login.backend();
        let mut connection = log_in(login, budget.clone(), credentials, canceller).await?;
        let settled = settle(&mut connection, backend.get().copied()).await;
        settled.map_err(|error| errors::classify(&error, &budget))?;
        Ok(connection)
    };
    let opened = match timeout_at(deadline.into(), opened).await {
        Ok(opened) => opened,
        Err(_elapsed) => Err(DatabaseError::new(
            Fault::ConnectTimeout,
            "The server did not finish the login in time. It may be overloaded; look at its log.",
        )),
    };
    match opened {
        Ok(connection) => Ok(Box::new(connection)),
        Err(error) => Err(OpenError { phase: Phase::Authentication, error }),
    }
}

type Secured = TlsStream<Metered<TcpStream>>;
/// The same, as the client of the protocol sees it.
pub(super) type Socket = Login<Metered<TcpStream>>;

/// A dialled socket with TLS on it.
async fn secured(
    dialer: &Dialer,
    target: &Target,
    deadline: Instant,
) -> Result<(Secured, Budget), DatabaseError> {
    let socket = dialer.dial(&target.host, target.port, deadline).await?;
    let budget = Budget::new(limits::SOCKET_BUDGET_BYTES);
    let mut socket = Metered::new(socket, budget.clone());
    request_tls(&mut socket, deadline).await?;
    let ca_pem = target.ca_pem.as_deref();
    let stream = tls::handshake(socket, &target.host, target.sslmode, ca_pem, deadline).await?;
    Ok((stream, budget))
}

/// Asks for TLS. Nothing that the server says before it is shown to anyone.
async fn request_tls<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut S,
    deadline: Instant,
) -> Result<(), DatabaseError> {
    // One byte is the answer; a second one was stuffed in before TLS.
    let mut answer = [0; 2];
    let asked = async {
        socket.write_all(&SSL_REQUEST).await?;
        socket.read(&mut answer).await
    };
    let length = match timeout_at(deadline.into(), asked).await {
        Ok(Ok(length)) => length,
        Ok(Err(_)) => 0,
        Err(_elapsed) => {
            return Err(DatabaseError::new(
                Fault::ConnectTimeout,
                "The host accepts connections but does not answer as PostgreSQL does. Check the port.",
            ));
        }
    };
    match &answer[..length] {
        [b'S'] => Ok(()),
        [b'N', ..] => Err(DatabaseError::new(
            Fault::TlsRequired,
            "The server does not offer TLS. Set ssl = on with a certificate in its configuration.",
        )),
        [] => Err(DatabaseError::new(
            Fault::ConnectionLost,
            "The server closed the connection before TLS began. Check that the port is PostgreSQL's.",
        )),
        [b'E', ..] => Err(DatabaseError::new(
            Fault::ServerError,
            "The server refused the connection before TLS began. It may be starting up or full; look at its log.",
        )),
        _ => Err(DatabaseError::new(
            Fault::ProtocolViolation,
            "The host does not answer as PostgreSQL does. Check host and port.",
        )),
    }
}

async fn log_in(
    login: Socket,
    budget: Budget,
    credentials: &Credentials,
    canceller: impl FnOnce(&Client) -> Canceller,
) -> Result<Postgres, DatabaseError> {
    let mut config = Config::new();
    // Every field is set, so that none is taken from the environment. TLS is there already: "direct" makes the
    // client ask our connector for it at once.
    config
        .user(&credentials.user)
        .dbname(&credentials.database)
        .password(credentials.password.expose())
        .application_name("bindery")
        .ssl_mode(WireSslMode::Require)
        .ssl_negotiation(SslNegotiation::Direct);
    let (client, connection) = config
        .connect_raw(login, AlreadySecured)
        .await
        .map_err(|error| errors::classify_login(&error, &budget))?;
    let server = match connection.parameter("server_version").and_then(server_version) {
        Some(server) => server,
        None => {
            return Err(DatabaseError::new(
                Fault::ServerError,
                "The server is older than PostgreSQL 13, or does not say its version. Upgrade it.",
            ));
        }
    };
    let canceller = Arc::new(canceller(&client));
    let cancelled = canceller.clone();
    Ok(Postgres {
        client,
        wire: Wire::start(connection),
        budget,
        prepared: Mutex::new(Prepared::default()),
        flights: Flights::new(move || cancelled.fire()),
        canceller,
        server,
        traces: true,
        // Until the session turned out to be our own.
        pooled: true,
        outgrown: AtomicBool::new(false),
    })
}

async fn settle(postgres: &mut Postgres, backend: Option<i32>) -> Result<(), tokio_postgres::Error> {
    postgres.pooled = !session::set_up(&postgres.client, backend).await?;
    postgres.server.pooled = postgres.pooled;
    if postgres.pooled { session::learn_types(&postgres.client).await } else { Ok(()) }
}

/// None below the oldest version that is supported.
fn server_version(text: &str) -> Option<ServerInfo> {
    let version: String = text.chars().take_while(|c| c.is_ascii_digit() || *c == '.').take(20).collect();
    let major: u32 = version.split('.').next()?.parse().ok()?;
    (major >= OLDEST_MAJOR).then_some(ServerInfo { engine: "PostgreSQL".into(), version, pooled: false })
}
