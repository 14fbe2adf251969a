//! What a statement runs under: settings of its session, or of its transaction where sessions are shared.
//!
//! A pooler (PgBouncer in transaction mode, and those like it) hands each transaction to whichever of its connections
//! to the server is free. What is set for a session or prepared by name stays with that connection: lost to us, and
//! found by whoever gets it next. So through a pooler nothing is set or prepared outside of a transaction, and every
//! transaction brings its settings along.

use super::Postgres;
use super::arguments::identifier;
use super::execute::{Failure, execute};
use domain::limits;
use futures_util::future::{join, join4, try_join_all};
use std::fmt::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_postgres::{Client, Error};

/// If this process dies inside a transaction, the server ends it and frees its locks.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(10);

pub(super) const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY";
pub(super) const BEGIN_WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// Types of columns that the client does not know by itself, of those kinds that are not cast to text. One with
/// labels comes first: looking it up prepares all that looking up the others needs.
const TYPES: &str = "SELECT pg_catalog.format_type(t.oid, NULL) FROM pg_catalog.pg_attribute a \
     JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
     JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
     WHERE t.oid >= 16384 AND t.typtype IN ('b', 'd', 'e') AND a.attnum > 0 AND NOT a.attisdropped \
     AND c.relkind IN ('r', 'p', 'v', 'm', 'f') \
     AND pg_catalog.has_schema_privilege(t.typnamespace, 'USAGE') \
     AND pg_catalog.has_type_privilege(t.oid, 'USAGE') \
     GROUP BY t.oid ORDER BY t.typtype = 'e' DESC, t.oid";
/// Names that this transaction gave, as the client spells them. A pooler that keeps track of statements (PgBouncer with
/// `max_prepared_statements`, from 1.24 on unless it is told otherwise) has put its own in their place: it counts on
/// finding those, and takes the client's names back by itself.
const NAMED: &str = "SELECT name FROM pg_catalog.pg_prepared_statements \
     WHERE prepare_time >= pg_catalog.now() AND name ~ '^s[0-9]+$'";
/// Another process may have left a statement under the name that ours takes next; the one after it is ours alone.
const NAMES_TRIED: usize = 3;

/// Sets the session up if it is ours alone, and says whether it is. `backend` is who answered the login: a pooler
/// answers it itself, and another process runs the statements.
///
/// Both kinds of session start read-only: a write says `BEGIN … READ WRITE`, so that nothing can be written outside of
/// its transaction, whatever becomes of the statements before it.
pub(super) async fn set_up(client: &Client, backend: Option<i32>) -> Result<bool, Error> {
    let for_all = [
        ("default_transaction_read_only", "on".to_owned()),
        ("default_transaction_isolation", "read committed".to_owned()),
    ];
    let settings = calls(for_all.into_iter().chain(settings()), "false");
    let only_here = format!("{settings} WHERE pg_catalog.pg_backend_pid() = {}", backend.unwrap_or_default());
    Ok(!client.query_typed(&only_here, &[]).await?.is_empty())
}

/// The search path stays the role's own. Frozen statements name the schema of every table and type, but the operators
/// of an extension's type (`citext`) are found by the path, and so is what the customer's triggers and views name.
fn settings() -> impl Iterator<Item = (&'static str, String)> {
    [
        ("statement_timeout", limits::STATEMENT_TIMEOUT.as_millis().to_string()),
        ("lock_timeout", limits::LOCK_TIMEOUT.as_millis().to_string()),
        ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION.as_millis().to_string()),
        ("TimeZone", "UTC".to_owned()),
        ("client_encoding", "UTF8".to_owned()),
        ("DateStyle", "ISO, YMD".to_owned()),
        ("IntervalStyle", "iso_8601".to_owned()),
        ("bytea_output", "hex".to_owned()),
        ("extra_float_digits", "1".to_owned()),
        ("standard_conforming_strings", "on".to_owned()),
        ("row_security", "on".to_owned()),
    ]
    .into_iter()
}

fn calls(settings: impl Iterator<Item = (&'static str, String)>, is_local: &str) -> String {
    let mut query = "SELECT".to_owned();
    for (at, (name, value)) in settings.enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let _ = write!(query, "{comma} pg_catalog.set_config('{name}', '{value}', {is_local})");
    }
    query
}

/// Begins a transaction and waits until it is one.
pub(super) async fn begin(client: &Client, pooled: bool, begin: &'static str) -> Result<(), Error> {
    if !pooled {
        return execute(client, begin).await;
    }
    let settings = calls(settings(), "true");
    let (begun, set) = join(execute(client, begin), client.query_typed(&settings, &[])).await;
    begun.and(set.map(drop))
}

/// Runs a read under the settings and READ ONLY: through a pooler in a transaction of its own, in one round trip. All
/// that `read` sends it sends when it is first polled; what it sent later would be outside.
pub(super) async fn read_only<T>(
    client: &Client,
    pooled: bool,
    read: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    if !pooled {
        return read.await;
    }
    let settings = calls(settings(), "true");
    let set = client.query_typed(&settings, &[]);
    // Boxed, so that a read of a session of our own is not moved with room for it.
    let all = Box::pin(join4(execute(client, BEGIN_READ), set, read, execute(client, "COMMIT")));
    let (begun, set, done, ended) = all.await;
    begun?;
    set?;
    let done = done?;
    ended?;
    Ok(done)
}

/// Has the client look up the types of the schema's columns once, in one transaction. It would do so when a type first
/// comes, by statements that it prepares by name and expects to find again.
pub(super) async fn learn_types(client: &Client) -> Result<(), Error> {
    let mut tried = 1;
    loop {
        let learned = look_types_up(client).await;
        let ended = execute(client, "ROLLBACK").await;
        match learned {
            Err(error) if tried < NAMES_TRIED && error.code().is_some_and(|code| code.code() == "42P05") => {
                tried += 1;
            }
            learned => return learned.and(ended),
        }
    }
}

async fn look_types_up(client: &Client) -> Result<(), Error> {
    begin(client, true, BEGIN_READ).await?;
    let types = client.query_typed(TYPES, &[]).await?;
    let types: Vec<String> = types.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let look_up = async |name: &String| client.query_typed(&format!("SELECT NULL::{name}"), &[]).await;
    let Some((first, others)) = types.split_first() else { return Ok(()) };
    look_up(first).await?;
    try_join_all(others.iter().map(look_up)).await?;
    // Names outlive the transaction, and would be in the way of the next client that gets this connection.
    for row in client.query_typed(NAMED, &[]).await? {
        let name: &str = row.try_get(0)?;
        execute(client, &format!("DEALLOCATE {}", identifier(name))).await?;
    }
    Ok(())
}

impl Postgres {
    /// A type is newer than the connection, so that the client wants a statement that it left elsewhere: nothing was
    /// changed, and a new connection knows the type.
    pub(super) fn outgrown(&self, failure: &Failure) -> bool {
        let Failure::Engine(error) = failure else { return false };
        let outgrown =
            self.pooled && error.code().is_some_and(|code| matches!(code.code(), "26000" | "42P05"));
        self.outgrown.fetch_or(outgrown, Ordering::Relaxed);
        outgrown
    }
}
