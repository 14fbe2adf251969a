//! From a host name to a session: dial, greeting, TLS, login, settings. Each phase has its own clock.

use super::errors;
use super::execute::Origin;
use super::failure::Failure;
use super::link::Link;
use super::login::{Login, login};
use super::packets::{Greeting, ssl_request};
use super::wire::{self, Transport, Wire};
use super::{Engine, Mysql};
use crate::databases::DatabaseError;
use crate::databases::dial::Dialer;
use crate::databases::driver::{Credentials, OpenError, Phase, ServerInfo, Session};
use crate::databases::error::Fault;
use crate::databases::socket::{Budget, Metered};
use crate::databases::tls;
use domain::limits;
use mysql_common::constants::CapabilityFlags;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Our own timer is the limit; the server's is the backstop for when we are gone. It counts whole seconds.
const LOCK_SECONDS: u64 = limits::LOCK_TIMEOUT.as_secs();
/// A client that does not read holds a server's thread and its locks this long.
const WRITE_SECONDS: u64 = limits::STATEMENT_TIMEOUT.as_secs();
/// A connection that we lost sight of is closed by the server after this.
const WAIT_SECONDS: u64 = limits::POOL_IDLE.as_secs() * 2;

pub(super) async fn open(
    dialer: &Arc<Dialer>,
    credentials: &Credentials,
    session: Session,
) -> Result<Mysql, OpenError> {
    let mut link = establish(dialer, credentials).await?;
    let (identity, engine) = settle(&mut link, session).await.map_err(authentication)?;
    let origin = Arc::new(Origin {
        dialer: dialer.clone(),
        credentials: credentials.clone(),
        connection: identity.connection,
        machine: identity.machine,
        killed: AtomicBool::new(false),
    });
    let server = ServerInfo { engine: engine.name().to_owned(), version: identity.version, pooled: false };
    Ok(Mysql::new(link, origin, engine, server, session))
}

/// A connection that is logged in and has no settings yet.
pub(super) async fn establish(dialer: &Dialer, credentials: &Credentials) -> Result<Link, OpenError> {
    let host = credentials.host.as_str();
    let stream = dialer.dial(host, credentials.port, phase_end()).await.map_err(reachability)?;
    let budget = Budget::new(limits::SOCKET_BUDGET_BYTES);
    let mut stream = Metered::new(stream, budget.clone());
    let greeting = greet(&mut stream).await.map_err(reachability)?;
    let ca_pem = credentials.ca_pem.as_deref();
    let stream =
        tls::handshake(stream, host, credentials.sslmode, ca_pem, phase_end()).await.map_err(reachability)?;
    log_in(Box::new(stream), budget, &greeting, credentials).await.map_err(authentication)
}

/// Everything before TLS: one packet each way.
pub(super) async fn greet<S: Transport>(stream: &mut S) -> Result<Greeting, DatabaseError> {
    let deadline = phase_end();
    let payload = wire::read_greeting(stream, deadline).await.map_err(errors::opening)?;
    let greeting = Greeting::parse(payload).map_err(errors::opening)?;
    if !greeting.capabilities.contains(CapabilityFlags::CLIENT_SSL) {
        return Err(DatabaseError::new(
            Fault::TlsRequired,
            "The server does not offer TLS. Give it a certificate (ssl_cert and ssl_key, or MySQL's own \
             auto-generated ones) and restart it; there is no way to connect without.",
        ));
    }
    wire::expect_silence(stream).await.map_err(errors::opening)?;
    wire::write_clear(stream, 1, &ssl_request(), deadline).await.map_err(errors::opening)?;
    Ok(greeting)
}

pub(super) async fn log_in(
    stream: Box<dyn Transport>,
    budget: Budget,
    greeting: &Greeting,
    credentials: &Credentials,
) -> Result<Link, DatabaseError> {
    let mut wire = Wire::new(stream, budget, 2, phase_end());
    match login(&mut wire, greeting, credentials).await.map_err(errors::opening)? {
        Login::Done => Ok(Link::new(wire)),
        Login::PluginRefused => Err(DatabaseError::new(
            Fault::AuthFailed,
            "The account's login method is not one that this service takes part in. Use caching_sha2_password, \
             mysql_native_password or ed25519 for it.",
        )),
    }
}

/// Who answers. Asked inside TLS, since the greeting came in clear.
pub(super) struct Identity {
    version: String,
    connection: u64,
    /// Host name and server id: the KILL of a stuck statement must not hit another machine behind the same address.
    machine: String,
}

pub(super) const MACHINE: &str = "SELECT CONCAT(@@hostname, ' ', @@server_id)";

pub(super) async fn settle(link: &mut Link, session: Session) -> Result<(Identity, Engine), DatabaseError> {
    link.limit(phase_end(), limits::SOCKET_BUDGET_BYTES);
    let rows = link
        .query("SELECT VERSION(), CONNECTION_ID(), CONCAT(@@hostname, ' ', @@server_id)", &[])
        .await
        .map_err(errors::opening)?;
    let row = rows.first().ok_or_else(|| errors::violation("no answer to a question about itself"))?;
    let (engine, version) = Engine::of(row.text(0));
    if !engine.is_supported(&version) {
        return Err(DatabaseError::new(
            Fault::ServerError,
            "The server is too old. Bindery works with MySQL 8.0 or later and MariaDB 10.6 or later; upgrade it.",
        ));
    }
    let identity = Identity {
        version,
        connection: row.number(1).ok_or_else(|| errors::violation("a connection without a number"))?,
        machine: row.text(2).to_owned(),
    };
    link.run(&settings(engine, session)).await.map_err(errors::opening)?;
    Ok((identity, engine))
}

/// All settings in one statement. Whatever the server's defaults are, sessions are alike: what a customer's
/// configuration could turn around (silent truncation, NULL that finds the last insert, commits that chain) is set.
/// A writing session has autocommit off: every write ends in our COMMIT or ROLLBACK, and MySQL cannot prepare BEGIN.
fn settings(engine: Engine, session: Session) -> String {
    let read_only = session == Session::ReadOnly;
    let mut settings: Vec<(&str, String)> = vec![
        ("time_zone", "'+00:00'".into()),
        (
            "sql_mode",
            "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE'"
                .into(),
        ),
        ("character_set_client", "utf8mb4".into()),
        ("character_set_results", "utf8mb4".into()),
        ("collation_connection", "utf8mb4_general_ci".into()),
        ("sql_auto_is_null", "0".into()),
        ("completion_type", "0".into()),
        ("foreign_key_checks", "1".into()),
        ("unique_checks", "1".into()),
        ("sql_select_limit", "18446744073709551615".into()),
        ("lock_wait_timeout", LOCK_SECONDS.to_string()),
        ("innodb_lock_wait_timeout", LOCK_SECONDS.to_string()),
        ("net_write_timeout", WRITE_SECONDS.to_string()),
        ("wait_timeout", WAIT_SECONDS.to_string()),
        ("autocommit", if read_only { "1" } else { "0" }.into()),
        (engine.read_only_variable(), if read_only { "1" } else { "0" }.into()),
    ];
    settings.push(engine.time_limit(limits::STATEMENT_TIMEOUT));
    let settings: Vec<_> = settings.iter().map(|(name, value)| format!("SESSION {name} = {value}")).collect();
    format!("SET {}", settings.join(", "))
}

pub(super) fn phase_end() -> Instant {
    Instant::now() + limits::CONNECT_PHASE_TIMEOUT
}

fn reachability(error: DatabaseError) -> OpenError {
    OpenError { phase: Phase::ReachabilityTls, error }
}

fn authentication(error: DatabaseError) -> OpenError {
    OpenError { phase: Phase::Authentication, error }
}

impl From<OpenError> for Failure {
    /// For the connection of a KILL, where only success matters.
    fn from(_: OpenError) -> Self {
        Failure::Lost
    }
}
