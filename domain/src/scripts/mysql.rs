//! MySQL 8 and MariaDB, one script for both.

use super::{Account, Request, common_notes};
use crate::limits::{ACCOUNT_CONNECTIONS, STATEMENT_TIMEOUT_HARD};
use std::fmt::Write;

pub fn sql(request: &Request, account: &Account) -> String {
    let user = format!("{}@{}", text(account.username), text(request.host));
    let mut sql = format!(
        "\
-- Run it as an administrator. The first lines make the texts below mean the same in every session.
SET @bindery_sql_mode = @@SESSION.sql_mode;
SET SESSION sql_mode = 'STRICT_ALL_TABLES';
SET NAMES utf8mb4;
CREATE USER IF NOT EXISTS {user} IDENTIFIED BY {password};
ALTER USER {user} IDENTIFIED BY {password} REQUIRE SSL WITH MAX_USER_CONNECTIONS {ACCOUNT_CONNECTIONS} \
/*M! MAX_STATEMENT_TIME {seconds} */;
REVOKE ALL PRIVILEGES, GRANT OPTION FROM {user};
GRANT SELECT ON {database}.* TO {user};
",
        password = text(request.password),
        seconds = STATEMENT_TIMEOUT_HARD.as_secs(),
        database = name(&pattern(request.database)),
    );
    for table in account.writes.unwrap_or_default() {
        let _ =
            writeln!(sql, "GRANT INSERT, UPDATE ON {}.{} TO {user};", name(request.database), name(table));
    }
    sql.push_str("SET SESSION sql_mode = @bindery_sql_mode;\n");
    sql
}

pub fn notes(request: &Request, account: &Account) -> Vec<String> {
    let mut notes = common_notes(account);
    notes.extend([
        "It takes back every other privilege that the account has, in other databases too.".to_owned(),
        format!(
            "The account is refused without TLS. Its statements end after {} seconds on MariaDB; MySQL has no such \
             limit for an account, so Bindery sets it for each session.",
            STATEMENT_TIMEOUT_HARD.as_secs()
        ),
        "The engine's default way of logging in is used: on MySQL 8 caching_sha2_password, on MariaDB its own."
            .to_owned(),
    ]);
    if request.host == super::DEFAULT_HOST {
        notes.push("The account may log in from everywhere; `host` narrows that.".to_owned());
    }
    if pattern(request.database) != request.database {
        notes.push(
            "A server with partial_revokes switched on takes the backslash in the database's name literally: remove \
             it there."
                .to_owned(),
        );
    }
    if account.writes.is_some() {
        notes.push(
            "MySQL shows triggers only to who may make them, so the review of a write cannot list them."
                .to_owned(),
        );
    }
    notes
}

fn name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A database's name before `.*` is a pattern, in which `_` and `%` would match other databases.
fn pattern(database: &str) -> String {
    database.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%")
}

/// The session's mode is set so that a backslash escapes.
fn text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
