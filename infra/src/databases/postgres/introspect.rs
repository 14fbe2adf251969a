//! The whole schema in seven queries on the engine's catalog, however many tables there are.

mod builder;
mod queries;
mod types;

use super::Postgres;
use super::execute::{Failure, execute, none};
use super::session;
use crate::databases::DatabaseError;
use crate::databases::driver::assembled;
use builder::{Builder, Column, ForeignKey, IndexRow, TableRow};
use domain::catalog::{Catalog, Trigger};
use domain::limits;
use futures_util::TryStreamExt;
use postgres_types::{FromSql, Type};
use std::pin::pin;
use std::time::Instant;
use tokio_postgres::{Client, Error, Row};
use types::{EngineType, Types};

/// Progress is told once in so many tables.
const PROGRESS_EVERY: u64 = 100;

pub(super) async fn introspect(
    postgres: &mut Postgres,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Catalog, DatabaseError> {
    let deadline = Instant::now() + limits::DISCOVERY_TIMEOUT;
    let run = async |postgres: &mut Postgres| {
        let builder = snapshot(&postgres.client, postgres.pooled, progress).await;
        // Nothing was changed; ending the transaction also takes back its longer timeout.
        execute(&postgres.client, "ROLLBACK").await.ok();
        builder
    };
    let builder = postgres.until(deadline, limits::DISCOVERY_BUDGET_BYTES, run).await?;
    let builder = builder.map_err(|failure| postgres.classify(&failure))?;
    let catalog = assembled(move || builder.finish()).await?;
    progress(catalog.objects.len() as u64);
    Ok(catalog)
}

/// All queries see the same instant, so that no column belongs to a table that is not there.
async fn snapshot(
    client: &Client,
    pooled: bool,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Builder, Failure> {
    session::begin(client, pooled, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    // Without a search path the engine writes every type with its schema, which is how frozen statements name it.
    //
    // A catalog that was never analyzed makes the planner take thousands of tables for one and loop over all of them
    // for each; hashing is never far from the best plan here.
    let settings = format!(
        "SELECT pg_catalog.set_config('statement_timeout', '{}', true), \
         pg_catalog.set_config('search_path', '', true), \
         pg_catalog.set_config('enable_nestloop', 'off', true), pg_catalog.set_config('jit', 'off', true)",
        limits::DISCOVERY_TIMEOUT.as_millis()
    );
    client.query_typed(&settings, &[]).await?;

    let types = read_types(client).await?;
    let mut builder = Builder::new(types);
    each(client, &queries::tables(), |row| table(row).map(|row| builder.table(row))).await?;
    let mut told = 0;
    each(client, &queries::columns(), |row| {
        builder.column(column(row)?);
        if builder.tables_begun() >= told + PROGRESS_EVERY {
            told = builder.tables_begun();
            progress(told);
        }
        Ok(())
    })
    .await?;
    each(client, &queries::indexes(), |row| index(row).map(|row| builder.index(row))).await?;
    each(client, &queries::foreign_keys(), |row| foreign_key(row).map(|row| builder.foreign_key(row)))
        .await?;
    each(client, &queries::triggers(), |row| {
        let mut row = Fields::new(row);
        let table = row.next()?;
        let trigger = Trigger {
            name: row.next()?,
            on_insert: row.next()?,
            on_update: row.next()?,
            on_delete: row.next()?,
        };
        builder.trigger(table, trigger);
        Ok(())
    })
    .await?;
    Ok(builder)
}

async fn read_types(client: &Client) -> Result<Types, Failure> {
    let mut types = Types::default();
    each(client, &queries::native_types(), |row| {
        let mut row = Fields::new(row);
        types.insert_native(row.next()?, row.next()?, row.next()?);
        Ok(())
    })
    .await?;
    let used = types.used();
    for row in client.query_typed(queries::TYPES, &[(&used, Type::OID_ARRAY)]).await? {
        let mut row = Fields::new(&row);
        let oid = row.next()?;
        types.insert(
            oid,
            EngineType {
                name: row.next()?,
                builtin: row.next()?,
                kind: row.next()?,
                category: row.next()?,
                element: row.next()?,
                base: row.next()?,
                base_modifier: row.next()?,
                not_null: row.next()?,
                has_default: row.next()?,
                cast: row.next()?,
                labels: row.next()?,
            },
        );
    }
    Ok(types)
}

fn table(row: &Row) -> Result<TableRow, Error> {
    let mut row = Fields::new(row);
    Ok(TableRow {
        oid: row.next()?,
        schema: row.next()?,
        name: row.next()?,
        kind: row.next()?,
        rows: row.next()?,
        comment: row.next()?,
        insert: row.next()?,
        update: row.next()?,
    })
}

fn column(row: &Row) -> Result<Column, Error> {
    let mut row = Fields::new(row);
    Ok(Column {
        table: row.next()?,
        number: row.next()?,
        name: row.next()?,
        kind: row.next()?,
        modifier: row.next()?,
        not_null: row.next()?,
        has_default: row.next()?,
        generated: row.next()?,
        comment: row.next()?,
        insert: row.next()?,
        update: row.next()?,
    })
}

fn index(row: &Row) -> Result<IndexRow, Error> {
    let mut row = Fields::new(row);
    Ok(IndexRow {
        table: row.next()?,
        name: row.next()?,
        unique: row.next()?,
        primary: row.next()?,
        serves_equality: row.next()?,
        columns: row.next()?,
    })
}

fn foreign_key(row: &Row) -> Result<ForeignKey, Error> {
    let mut row = Fields::new(row);
    Ok(ForeignKey {
        table: row.next()?,
        name: row.next()?,
        columns: row.next()?,
        target: row.next()?,
        target_columns: row.next()?,
        on_update: row.next()?,
        on_delete: row.next()?,
    })
}

/// Runs one catalog query and hands over its rows as they come: nothing is kept twice.
async fn each(
    client: &Client,
    query: &str,
    mut take: impl FnMut(&Row) -> Result<(), Error>,
) -> Result<(), Failure> {
    let mut rows = pin!(client.query_typed_raw(query, none()).await?);
    while let Some(row) = rows.try_next().await? {
        take(&row)?;
    }
    Ok(())
}

/// Columns in their order: a query and its reader stand side by side.
struct Fields<'a> {
    row: &'a Row,
    at: usize,
}

impl<'a> Fields<'a> {
    fn new(row: &'a Row) -> Self {
        Self { row, at: 0 }
    }

    fn next<T: FromSql<'a>>(&mut self) -> Result<T, Error> {
        self.at += 1;
        self.row.try_get(self.at - 1)
    }
}
