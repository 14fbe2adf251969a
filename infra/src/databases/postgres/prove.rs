//! What is asked of a connection besides running skills: its plans, its privileges, its pulse.

use super::Postgres;
use super::arguments::identifier;
use super::execute::{Failure, execute};
use super::session::{self, BEGIN_READ};
use crate::databases::driver::{Plan, ReadOnlyProof};
use crate::databases::error::DatabaseError;
use domain::limits;
use events::skill::Statement;
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio_postgres::{Client, Error, Row};

/// Objects outside of the engine's own schemas that this user may see into.
const VISIBLE: &str = "FROM pg_catalog.pg_class c \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition \
     AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
     AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')";
const READABLE: &str = "AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT')";

/// Touches no row, and no trigger hangs on a catalog. A read-only transaction refuses it before privileges are
/// looked at, so it proves the session whatever the user may do.
const ATTEMPT: &str = "UPDATE pg_catalog.pg_description SET description = description WHERE false";

impl Postgres {
    /// Runs our own query with the everyday deadline and returns the rows.
    async fn ask(&mut self, query: &str) -> Result<Vec<Row>, DatabaseError> {
        let deadline = Instant::now() + limits::STATEMENT_TIMEOUT;
        let asked = async |postgres: &mut Self| {
            let read = async { Ok(postgres.client.query_typed(query, &[]).await?) };
            session::read_only(&postgres.client, postgres.pooled, read).await
        };
        let rows = self.until(deadline, limits::SOCKET_BUDGET_BYTES, asked).await?;
        rows.map_err(|failure| self.classify(&failure))
    }
}

fn column<'a, T: postgres_types::FromSql<'a>>(row: Option<&'a Row>, at: usize) -> Result<Option<T>, Error> {
    row.map(|row| row.try_get(at)).transpose()
}

pub(super) async fn count_objects(postgres: &mut Postgres) -> Result<u64, DatabaseError> {
    let rows = postgres.ask(&format!("SELECT pg_catalog.count(*) {VISIBLE} {READABLE}")).await?;
    let count: Option<i64> = column(rows.first(), 0).map_err(|error| postgres.classify(&error.into()))?;
    Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
}

pub(super) async fn probe_read(postgres: &mut Postgres) -> Result<Option<String>, DatabaseError> {
    // Tables first: a view may compute for a long time before its first row.
    let first = format!(
        "SELECT n.nspname, c.relname {VISIBLE} {READABLE} \
         ORDER BY c.relkind IN ('v', 'f'), n.nspname <> 'public', n.nspname, c.relname LIMIT 1"
    );
    let rows = postgres.ask(&first).await?;
    let names: Result<_, Error> = (|| Ok((column(rows.first(), 0)?, column(rows.first(), 1)?)))();
    let (schema, table): (Option<String>, Option<String>) =
        names.map_err(|error| postgres.classify(&error.into()))?;
    let (Some(schema), Some(table)) = (schema, table) else { return Ok(None) };
    postgres.ask(&format!("SELECT 1 FROM {}.{} LIMIT 1", identifier(&schema), identifier(&table))).await?;
    Ok(Some(if schema == "public" { table } else { format!("{schema}.{table}") }))
}

pub(super) async fn ping(postgres: &mut Postgres) -> Result<Duration, DatabaseError> {
    let started = Instant::now();
    postgres.ask("SELECT 1").await?;
    Ok(started.elapsed())
}

pub(super) async fn prove_read_only(postgres: &mut Postgres) -> Result<ReadOnlyProof, DatabaseError> {
    let writable = format!(
        "SELECT EXISTS (SELECT {VISIBLE} \
         AND (pg_catalog.has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE') \
         OR pg_catalog.has_any_column_privilege(c.oid, 'INSERT, UPDATE'))) \
         OR EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = current_user AND rolsuper)"
    );
    let rows = postgres.ask(&writable).await?;
    let role_can_write: Option<bool> =
        column(rows.first(), 0).map_err(|error| postgres.classify(&error.into()))?;
    let role_can_write = role_can_write.unwrap_or(true);

    let attempted = async |postgres: &mut Postgres| -> Result<Result<(), Error>, Error> {
        // As a live read does it.
        match postgres.pooled {
            true => session::begin(&postgres.client, true, BEGIN_READ).await?,
            false => execute(&postgres.client, "BEGIN").await?,
        }
        let attempt = execute(&postgres.client, ATTEMPT).await;
        execute(&postgres.client, "ROLLBACK").await?;
        Ok(attempt)
    };
    let deadline = Instant::now() + limits::STATEMENT_TIMEOUT;
    let attempt = postgres.until(deadline, limits::SOCKET_BUDGET_BYTES, attempted).await?;
    let attempt = attempt.map_err(|error| postgres.classify(&error.into()))?;
    let refused_with = match attempt {
        Ok(()) => None,
        Err(error) => match error.code().map(|code| code.code()) {
            Some("25006") => Some(*b"25006"),
            // The session let it through and only the user's privileges held it up. On the user's own tables that
            // is a refusal as well only where it may write none of them.
            Some("42501") if !role_can_write => Some(*b"42501"),
            Some("42501") => None,
            _ => return Err(postgres.classify(&error.into())),
        },
    };
    Ok(ReadOnlyProof { refused_with, role_can_write })
}

/// A generic plan, which needs no values: `EXPLAIN (GENERIC_PLAN)` would do, but only from version 16 on.
pub(super) async fn explain(postgres: &mut Postgres, statement: &Statement) -> Result<Plan, DatabaseError> {
    let run = async |postgres: &mut Postgres| {
        let plan = explained(&postgres.client, postgres.pooled, statement).await;
        execute(&postgres.client, "ROLLBACK").await.ok();
        plan
    };
    let deadline = Instant::now() + limits::STATEMENT_TIMEOUT;
    let plan = postgres.until(deadline, limits::SOCKET_BUDGET_BYTES, run).await?;
    let plan = plan.map_err(|error| postgres.classify(&error))?;
    Ok(read_plan(&plan, &statement.object))
}

async fn explained(client: &Client, pooled: bool, statement: &Statement) -> Result<Value, Failure> {
    session::begin(client, pooled, BEGIN_READ).await?;
    // Small tables are scanned whatever their indexes are; the question is whether an index can serve.
    let settings = "SELECT pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true), \
                    pg_catalog.set_config('enable_seqscan', 'off', true)";
    client.query_typed(settings, &[]).await?;
    client.query_typed(&format!("PREPARE bindery_explain AS {}", statement.text), &[]).await?;
    // The name outlives the transaction, and a failed one could not take it back.
    execute(client, "SAVEPOINT prepared").await?;
    let nulls = vec!["NULL"; statement.binds.len()].join(", ");
    let arguments = if nulls.is_empty() { nulls } else { format!("({nulls})") };
    let explain = format!("EXPLAIN (FORMAT JSON) EXECUTE bindery_explain{arguments}");
    let rows = client.query_typed(&explain, &[]).await;
    execute(client, "ROLLBACK TO prepared").await?;
    execute(client, "DEALLOCATE bindery_explain").await?;
    match rows?.first() {
        Some(row) => {
            let text: Vec<u8> = row.try_get::<_, super::values::Raw<'_>>(0)?.0.unwrap_or_default().to_vec();
            serde_json::from_slice(&text)
                .map_err(|_| Failure::Unreadable(super::values::Unreadable::Malformed))
        }
        None => Ok(Value::Null),
    }
}

/// The index by which the statement's own object is reached, and the rows expected from it.
fn read_plan(explained: &Value, object: &str) -> Plan {
    let table = object.rsplit('.').next().unwrap_or(object);
    let root = &explained[0]["Plan"];
    let mut plan = Plan { uses_index: None, estimated_rows: rows_of(root) };
    visit(root, table, false, &mut plan);
    plan
}

/// Depth first; a bitmap's index stands below the node that names the table.
fn visit(node: &Value, table: &str, below_table: bool, plan: &mut Plan) {
    let relation = node["Relation Name"].as_str();
    let here = relation == Some(table) || (relation.is_none() && below_table);
    if here && plan.uses_index.is_none() {
        if let Some(rows) = rows_of(node).filter(|rows| *rows > 0) {
            plan.estimated_rows = Some(rows);
        }
        plan.uses_index = node["Index Name"].as_str().map(str::to_owned);
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        visit(child, table, here && relation.is_some(), plan);
    }
}

fn rows_of(node: &Value) -> Option<u64> {
    node["Plan Rows"].as_f64().map(|rows| rows as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_index_of_the_bound_table_is_found_below_a_bitmap_and_not_in_a_joined_table() {
        let explained = json!([{ "Plan": {
            "Node Type": "Nested Loop", "Plan Rows": 5.0,
            "Plans": [
                { "Node Type": "Index Scan", "Relation Name": "customers", "Index Name": "customers_pkey", "Plan Rows": 1 },
                { "Node Type": "Bitmap Heap Scan", "Relation Name": "orders", "Plan Rows": 7,
                  "Plans": [{ "Node Type": "Bitmap Index Scan", "Index Name": "orders_phone", "Plan Rows": 7 }] }
            ]
        }}]);
        let plan = read_plan(&explained, "sales.orders");
        assert_eq!(plan, Plan { uses_index: Some("orders_phone".into()), estimated_rows: Some(7) });
    }

    #[test]
    fn a_sequential_scan_uses_no_index() {
        let explained =
            json!([{ "Plan": { "Node Type": "Seq Scan", "Relation Name": "orders", "Plan Rows": 100 } }]);
        assert_eq!(read_plan(&explained, "orders"), Plan { uses_index: None, estimated_rows: Some(100) });
    }
}
