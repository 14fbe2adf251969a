//! What a connection test asks: is there anything to read, can it be read, is a write refused, how fast is a question.

use super::Mysql;
use super::failure::{Failure, Result as WireResult};
use super::introspect::name;
use super::link::Record;
use super::packets::Parameter;
use crate::databases::driver::ReadOnlyProof;
use crate::databases::{DatabaseError, error::Fault};
use domain::limits;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// Tables that a probe tries until one can be read: the account may hold other rights than SELECT on the first ones.
const PROBED_TABLES: usize = 20;

/// One row and no table: this is about the round trip alone.
const PING: &str = "SELECT 1";

impl Mysql {
    pub(super) async fn count_tables(&mut self) -> Result<u64, DatabaseError> {
        let flight = self.depart(Instant::now() + limits::STATEMENT_TIMEOUT)?;
        let outcome = self
            .link
            .query(
                "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() \
                 AND TABLE_TYPE IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')",
                &[],
            )
            .await;
        let rows = self.conclude(flight, outcome).await?;
        Ok(rows.first().and_then(|row| row.number(0)).unwrap_or(0))
    }

    pub(super) async fn read_one_row(&mut self) -> Result<Option<String>, DatabaseError> {
        let flight = self.depart(Instant::now() + limits::STATEMENT_TIMEOUT)?;
        let outcome = self.first_readable().await;
        self.conclude(flight, outcome).await
    }

    async fn first_readable(&mut self) -> WireResult<Option<String>> {
        for table in self.tables().await? {
            match self.link.query(&format!("SELECT 1 FROM {} LIMIT 1", quoted(&table)), &[]).await {
                Ok(_) => return Ok(Some(table)),
                // SELECT denied, or on single columns only
                Err(Failure::Refused(error)) if matches!(error.code, 1142 | 1143) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(None)
    }

    /// The first tables by name, those of the storage engine before views, which may be slow.
    async fn tables(&mut self) -> WireResult<Vec<String>> {
        let rows = self
            .link
            .query(
                "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() \
                 AND TABLE_TYPE IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED') \
                 ORDER BY TABLE_TYPE = 'VIEW', TABLE_NAME LIMIT ?",
                &[count(PROBED_TABLES as u64)],
            )
            .await?;
        Ok(rows.iter().map(|row| row.text(0).to_owned()).collect())
    }

    pub(super) async fn attempt_write(&mut self) -> Result<ReadOnlyProof, DatabaseError> {
        let flight = self.depart(Instant::now() + limits::STATEMENT_TIMEOUT)?;
        let outcome = self.attempt_update().await;
        self.conclude(flight, outcome).await?.ok_or_else(|| {
            DatabaseError::new(
                Fault::PermissionDenied,
                "The account sees no table, so it cannot be shown that writes are refused. Grant it SELECT on at \
                 least one table.",
            )
        })
    }

    async fn attempt_update(&mut self) -> WireResult<Option<ReadOnlyProof>> {
        // A column that may be updated comes first: there the engine's own refusal shows, not a missing right. Joined
        // in the server, these two would take seconds in a schema of 2,000 tables.
        let updatable = self
            .link
            .query(
                "SELECT TABLE_NAME, MIN(COLUMN_NAME) FROM information_schema.COLUMNS \
                 WHERE TABLE_SCHEMA = DATABASE() AND PRIVILEGES LIKE '%update%' AND EXTRA NOT LIKE '%GENERATED' \
                 GROUP BY TABLE_NAME",
                &[],
            )
            .await?;
        let tables = self
            .link
            .query(
                "SELECT TABLE_NAME FROM information_schema.TABLES \
                 WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE'",
                &[],
            )
            .await?;
        let is_table: HashSet<&str> = tables.iter().map(|row| row.text(0)).collect();
        let any_column = match (updatable.iter().find(|row| is_table.contains(row.text(0))), tables.first()) {
            (Some(_), _) | (None, None) => Vec::new(),
            (None, Some(table)) => self.first_column(table.text(0)).await?,
        };
        let updatable = updatable.iter().filter(|row| is_table.contains(row.text(0)));
        let Some(column) = updatable.chain(&any_column).next() else { return Ok(None) };
        let (table, column) = (quoted(column.text(0)), quoted(column.text(1)));
        let update = format!("UPDATE {table} SET {column} = {column} WHERE FALSE");
        let refused_with = match self.link.run(&update).await {
            Ok(_) => None,
            // the read-only session, or no right at all
            Err(Failure::Refused(error)) if matches!(error.code, 1792 | 1142 | 1143 | 1290) => {
                Some(error.sqlstate.unwrap_or(*b"HY000"))
            }
            Err(failure) => return Err(failure),
        };
        let role_can_write = self.role_can_write().await?;
        Ok(Some(ReadOnlyProof { refused_with, role_can_write }))
    }

    async fn first_column(&mut self, table: &str) -> WireResult<Vec<Record>> {
        self.link
            .query(
                "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS \
                 WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? AND EXTRA NOT LIKE '%GENERATED' LIMIT 1",
                &[name(table)],
            )
            .await
    }

    /// INSERT and UPDATE show at each column, with roles and global grants worked in. DELETE shows only where it was
    /// granted, to the user or to its role.
    async fn role_can_write(&mut self) -> WireResult<bool> {
        let columns = self
            .link
            .query(
                "SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() \
                 AND (PRIVILEGES LIKE '%insert%' OR PRIVILEGES LIKE '%update%') LIMIT 1",
                &[],
            )
            .await?;
        if !columns.is_empty() {
            return Ok(true);
        }
        let deletes = self
            .link
            .query(
                "SELECT GRANTEE FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'DELETE' \
                 UNION ALL SELECT GRANTEE FROM information_schema.SCHEMA_PRIVILEGES \
                 WHERE PRIVILEGE_TYPE = 'DELETE' AND DATABASE() LIKE TABLE_SCHEMA \
                 UNION ALL SELECT GRANTEE FROM information_schema.TABLE_PRIVILEGES \
                 WHERE PRIVILEGE_TYPE = 'DELETE' AND TABLE_SCHEMA = DATABASE()",
                &[],
            )
            .await?;
        // Without rights in the schema `mysql` only one's own grants are listed; with them everybody's are.
        let own = self.link.query("SELECT CURRENT_USER(), CURRENT_ROLE()", &[]).await?;
        let Some(own) = own.first() else { return Ok(false) };
        let grantees: Vec<String> = [own.text(0)]
            .into_iter()
            .chain(own.text(1).split(',').filter(|role| !matches!(*role, "" | "NONE")))
            .map(grantee)
            .collect();
        Ok(deletes.iter().any(|row| grantees.iter().any(|grantee| grantee == row.text(0))))
    }

    pub(super) async fn select_one(&mut self) -> Result<Duration, DatabaseError> {
        let flight = self.depart(Instant::now() + limits::STATEMENT_TIMEOUT)?;
        let outcome = self.timed_ping().await;
        self.conclude(flight, outcome).await
    }

    async fn timed_ping(&mut self) -> WireResult<Duration> {
        let prepared = match self.ping {
            Some(prepared) => prepared,
            None => {
                let prepared = self.link.prepare(PING).await?;
                self.ping = Some(prepared);
                prepared
            }
        };
        let start = Instant::now();
        self.link.execute(prepared, &[], &mut |_, _| Ok(())).await?;
        Ok(start.elapsed())
    }
}

/// `user@host` as information_schema spells it: `'user'@'host'`. The host holds no @, the user may.
fn grantee(account: &str) -> String {
    let account = account.replace('`', "");
    match account.rsplit_once('@') {
        Some((user, host)) => format!("'{user}'@'{host}'"),
        None => format!("'{account}'@''"),
    }
}

/// A name out of information_schema as an identifier.
fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn count(number: u64) -> Parameter {
    Parameter {
        kind: mysql_common::constants::ColumnType::MYSQL_TYPE_LONGLONG as u8,
        unsigned: true,
        value: Some(number.to_le_bytes().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_spelled_as_grants_spell_them() {
        assert_eq!(grantee("app@%"), "'app'@'%'");
        assert_eq!(grantee("a@b@10.0.0.%"), "'a@b'@'10.0.0.%'");
        assert_eq!(grantee("`reader`@`%`"), "'reader'@'%'");
        assert_eq!(grantee("auditor"), "'auditor'@''");
    }

    #[test]
    fn names_are_quoted_whatever_they_hold() {
        assert_eq!(quoted("a`b; DROP TABLE c"), "`a``b; DROP TABLE c`");
    }
}
