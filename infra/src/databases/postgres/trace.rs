//! What a transaction can be asked about by, once the answer to its COMMIT is lost.

use super::Postgres;
use super::execute::{Failure, Ready};
use super::session;
use crate::databases::DatabaseError;
use crate::databases::driver::{Ending, Trace};
use domain::limits;
use futures_util::TryStreamExt;
use postgres_types::Type;
use std::pin::pin;
use std::time::Instant;
use tokio_postgres::Client;

/// The name it is kept prepared under; no statement's hash looks like this.
pub(super) const NAME: &str = "trace";
/// Gives the transaction its number. A write-ahead log's file is named after the timeline and its place.
pub(super) const TRACE: &str = "SELECT pg_catalog.pg_current_xact_id()::pg_catalog.text, \
     system_identifier::pg_catalog.text, \
     pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8) \
     FROM pg_catalog.pg_control_system()";

/// A standby is behind; another cluster or timeline has other transactions under the same numbers. CASE keeps the
/// functions that a standby refuses, and the number that may be one of the future, from being looked at there.
const ENDING: &str = "SELECT CASE \
     WHEN pg_catalog.pg_is_in_recovery() THEN 'in progress' \
     WHEN system_identifier::pg_catalog.text <> $1 THEN 'elsewhere' \
     WHEN pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8) <> $2 THEN 'elsewhere' \
     ELSE pg_catalog.pg_xact_status($3::pg_catalog.text::pg_catalog.xid8) END \
     FROM pg_catalog.pg_control_system()";

/// What [`TRACE`] answered.
pub(super) async fn read(client: &Client, traced: &Ready<'_>) -> Result<Option<Trace>, Failure> {
    let mut rows = pin!(traced.run(client, &[]).await?);
    let mut trace = None;
    while let Some(row) = rows.try_next().await? {
        let column = |at| row.try_get::<_, String>(at);
        let (transaction, cluster, timeline) = (column(0)?, column(1)?, column(2)?);
        trace = Some(Trace::Postgres { cluster, timeline, transaction });
    }
    Ok(trace)
}

/// Whether the server is one that speaks PostgreSQL's protocol and does not have its functions, or does not let this
/// user call them.
pub(super) fn is_unknown_here(failure: &Failure) -> bool {
    match failure {
        Failure::Engine(error) => {
            error.code().is_some_and(|code| ["0A", "42", "55"].contains(&&code.code()[..2]))
        }
        Failure::Unreadable(_) => false,
    }
}

/// The server reports a transaction as in progress until nothing can change its end any more, so what it reports
/// otherwise is final.
pub(super) async fn ending(
    postgres: &mut Postgres,
    trace: &Trace,
    deadline: Instant,
) -> Result<Ending, DatabaseError> {
    let Trace::Postgres { cluster, timeline, transaction } = trace else { return Ok(Ending::Unknowable) };
    let asked = async |postgres: &mut Postgres| {
        let parameters = [cluster, timeline, transaction];
        let typed: Vec<_> = parameters
            .iter()
            .map(|text| (*text as &(dyn postgres_types::ToSql + Sync), Type::TEXT))
            .collect();
        let read = async {
            let rows = postgres.client.query_typed(ENDING, &typed).await?;
            Ok(rows.first().map(|row| row.try_get::<_, Option<String>>(0)).transpose()?)
        };
        session::read_only(&postgres.client, postgres.pooled, read).await
    };
    let asked = postgres.until(deadline, limits::SOCKET_BUDGET_BYTES, asked).await?;
    let status = asked.map_err(|failure| postgres.classify(&failure))?;
    Ok(match status.flatten().as_deref() {
        Some("committed") => Ending::Committed,
        Some("aborted") => Ending::RolledBack,
        Some("in progress") => Ending::Open,
        // Too long ago, or elsewhere.
        Some(_) | None => Ending::Unknowable,
    })
}
