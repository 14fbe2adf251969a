//! The schema of the connected database, in nine queries however many tables it has.
//!
//! Only the database that was connected to: its user may see others on the same server, but the customer named one,
//! and a name in the catalog then never needs a prefix. Foreign keys into other databases are left out.
//!
//! What the engines show depends on rights: triggers need TRIGGER, and MariaDB shows the rules of foreign keys only to
//! users who may do more than read the table. A user without them gets a catalog without them.

mod assemble;
mod types;

use super::Mysql;
use super::engine::Engine;
use super::failure::Result as WireResult;
use super::link::Record;
use super::packets::{Parameter, with_length};
use crate::databases::DatabaseError;
use crate::databases::driver::assembled;
use assemble::Assembly;
use domain::catalog::Catalog;
use domain::limits;
use events::IntegrationKind;
use mysql_common::constants::ColumnType;
use std::time::Instant;

/// Progress is told each time this many tables have been read.
const PROGRESS_STEP: u64 = 50;

const TABLES: &str = "SELECT t.TABLE_NAME, t.TABLE_TYPE, e.TRANSACTIONS, t.TABLE_COMMENT, t.TABLE_ROWS \
     FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE \
     WHERE t.TABLE_SCHEMA = ?";

const COLUMNS: &str = "SELECT TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, COLUMN_DEFAULT, IS_NULLABLE, DATA_TYPE, \
     CHARACTER_MAXIMUM_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE, COLUMN_TYPE, EXTRA, PRIVILEGES, COLUMN_COMMENT \
     FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ?";

const KEYS: &str = "SELECT TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION, COLUMN_NAME, REFERENCED_TABLE_SCHEMA, \
     REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE \
     WHERE TABLE_SCHEMA = ? AND REFERENCED_TABLE_NAME IS NOT NULL";

const RULES: &str = "SELECT TABLE_NAME, CONSTRAINT_NAME, UPDATE_RULE, DELETE_RULE \
     FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = ?";

const TRIGGERS: &str = "SELECT EVENT_OBJECT_TABLE, TRIGGER_NAME, EVENT_MANIPULATION \
     FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = ?";

impl Engine {
    /// An index that the optimizer may not use serves no filter; the engines say so differently.
    fn indexes_query(self) -> &'static str {
        match self {
            Engine::MySql => {
                "SELECT TABLE_NAME, INDEX_NAME, NON_UNIQUE, SEQ_IN_INDEX, COLUMN_NAME, SUB_PART, INDEX_TYPE, \
                 IS_VISIBLE FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ?"
            }
            Engine::MariaDb => {
                "SELECT TABLE_NAME, INDEX_NAME, NON_UNIQUE, SEQ_IN_INDEX, COLUMN_NAME, SUB_PART, INDEX_TYPE, \
                 IF(IGNORED = 'YES', 'NO', 'YES') FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ?"
            }
        }
    }

    /// MariaDB's JSON is a longtext with a check. MySQL has the type, and its checks are not listed by table.
    fn checks_query(self) -> Option<&'static str> {
        match self {
            Engine::MySql => None,
            Engine::MariaDb => Some(
                "SELECT TABLE_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS \
                 WHERE CONSTRAINT_SCHEMA = ?",
            ),
        }
    }
}

impl Mysql {
    pub(super) async fn read_catalog(
        &mut self,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Catalog, DatabaseError> {
        let flight = self.depart(Instant::now() + limits::DISCOVERY_TIMEOUT)?;
        self.link.limit(Instant::now() + limits::DISCOVERY_TIMEOUT, limits::DISCOVERY_BUDGET_BYTES);
        let outcome = self.read_schema(progress).await;
        let (default_schema, assembly) = self.conclude(flight, outcome).await?;
        assembled(move || {
            let objects = assembly.objects();
            Catalog { kind: IntegrationKind::Mysql, default_schema, objects }.finish()
        })
        .await
    }

    /// The database's name and all that is known of it.
    async fn read_schema(
        &mut self,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> WireResult<(String, Assembly)> {
        self.limit_statements(limits::DISCOVERY_TIMEOUT).await?;
        let schema = self.link.query("SELECT DATABASE()", &[]).await?;
        let schema = schema.first().map(|row| row.text(0).to_owned()).unwrap_or_default();
        let tables = self.of_schema(TABLES, &schema).await?;
        let checks = match self.engine.checks_query() {
            Some(query) => self.of_schema(query, &schema).await?,
            None => Vec::new(),
        };
        let mut assembly = Assembly::new(&schema, &tables, &checks);

        let mut seen = 0;
        let mut last = String::new();
        self.link
            .query_each(COLUMNS, &[name(&schema)], &mut |row| {
                if row.text(0) != last {
                    last = row.text(0).to_owned();
                    seen += 1;
                    if seen % PROGRESS_STEP == 0 {
                        progress(seen);
                    }
                }
                assembly.add_column(&row);
            })
            .await?;
        progress(seen);

        assembly.add_indexes(&self.of_schema(self.engine.indexes_query(), &schema).await?);
        let keys = self.of_schema(KEYS, &schema).await?;
        let rules = self.of_schema(RULES, &schema).await?;
        assembly.add_foreign_keys(&keys, &rules);
        assembly.add_triggers(&self.of_schema(TRIGGERS, &schema).await?);
        self.limit_statements(limits::STATEMENT_TIMEOUT).await?;
        Ok((schema, assembly))
    }

    async fn of_schema(&mut self, query: &str, schema: &str) -> WireResult<Vec<Record>> {
        self.link.query(query, &[name(schema)]).await
    }

    async fn limit_statements(&mut self, limit: std::time::Duration) -> WireResult<()> {
        let (variable, value) = self.engine.time_limit(limit);
        self.link.run(&format!("SET SESSION {variable} = {value}")).await.map(drop)
    }
}

/// A name as a parameter: even our own queries hold no value.
pub(super) fn name(text: &str) -> Parameter {
    Parameter {
        kind: ColumnType::MYSQL_TYPE_VAR_STRING as u8,
        unsigned: false,
        value: Some(with_length(text.as_bytes())),
    }
}
