//! SQL that gives Bindery accounts of its own in a customer's database: one that reads, and one that also writes
//! exactly the tables it was asked for.

mod mysql;
mod postgres;
#[cfg(test)]
mod tests;

use crate::FieldError;
use events::IntegrationKind;
use serde::Serialize;

/// Name of the reading account unless another one is asked for.
pub const READ_USER: &str = "flowyte_ro";
/// Name of the writing account.
pub const WRITE_USER: &str = "flowyte_rw";
pub const DEFAULT_SCHEMA: &str = "public";
/// Where a MySQL account may come from.
pub const DEFAULT_HOST: &str = "%";

#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub database: &'a str,
    /// The tables that may be written, as they are spelled in `schema`. All tables may be read.
    pub tables: &'a [String],
    /// PostgreSQL only.
    pub schema: &'a str,
    pub username: &'a str,
    /// Both accounts get it.
    pub password: &'a str,
    /// MySQL only.
    pub host: &'a str,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scripts {
    pub read_only: Script,
    /// Only with tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write: Option<Script>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Script {
    pub username: String,
    /// Holds the password: never kept, never logged.
    pub sql: String,
    /// What the account may write; the reading one has none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// Sentences for the person who runs it.
    pub notes: Vec<String>,
}

/// An account, and what it may write.
struct Account<'a> {
    username: &'a str,
    writes: Option<&'a [String]>,
}

/// # Errors
/// Every name that no account, database or table of this engine can have.
pub fn generate(kind: IntegrationKind, request: &Request) -> Result<Scripts, Vec<FieldError>> {
    let errors = wrong_names(kind, request);
    if !errors.is_empty() {
        return Err(errors);
    }
    let script = |account: &Account| {
        let (sql, notes) = match kind {
            IntegrationKind::Postgres => (postgres::sql(request, account), postgres::notes(request, account)),
            IntegrationKind::Mysql => (mysql::sql(request, account), mysql::notes(request, account)),
        };
        let tables = account.writes.unwrap_or_default().to_vec();
        Script { username: account.username.to_owned(), sql, tables, notes }
    };
    let writer = write_user(request.username);
    Ok(Scripts {
        read_only: script(&Account { username: request.username, writes: None }),
        write: (!request.tables.is_empty())
            .then(|| script(&Account { username: &writer, writes: Some(request.tables) })),
    })
}

/// The writing account is never the reading one.
fn write_user(read_user: &str) -> String {
    if read_user == WRITE_USER { format!("{WRITE_USER}_write") } else { WRITE_USER.to_owned() }
}

/// The tables of a comma-separated list, each once.
pub fn tables(list: &str) -> Vec<String> {
    let mut tables: Vec<String> = Vec::new();
    for table in list.split(',').map(str::trim).filter(|table| !table.is_empty()) {
        if !tables.iter().any(|known| known == table) {
            tables.push(table.to_owned());
        }
    }
    tables
}

fn wrong_names(kind: IntegrationKind, request: &Request) -> Vec<FieldError> {
    // PostgreSQL cuts longer names silently, MySQL refuses them.
    let (name_limit, user_limit) = match kind {
        IntegrationKind::Postgres => (63, 63),
        IntegrationKind::Mysql => (64, 32),
    };
    let length = |text: &str| match kind {
        IntegrationKind::Postgres => text.len(),
        IntegrationKind::Mysql => text.chars().count(),
    };
    let unit = match kind {
        IntegrationKind::Postgres => "bytes",
        IntegrationKind::Mysql => "characters",
    };
    let mut names =
        vec![("database", request.database, name_limit), ("username", request.username, user_limit)];
    match kind {
        IntegrationKind::Postgres => names.push(("schema", request.schema, name_limit)),
        IntegrationKind::Mysql => names.push(("host", request.host, 60)),
    }
    names.extend(request.tables.iter().map(|table| ("tables", table.as_str(), name_limit)));
    names.push(("password", request.password, 128));
    let mut errors = Vec::new();
    for (field, text, limit) in names {
        if text.is_empty() || length(text) > limit {
            let message = format!("1 to {limit} {unit} are expected.");
            errors.push(FieldError::new(field, "invalid_length", message));
        } else if text.contains('\0') {
            let message = "The character U+0000 cannot stand here.";
            errors.push(FieldError::new(field, "invalid_format", message));
        }
    }
    errors
}

/// What is true of a script of either engine.
fn common_notes(account: &Account) -> Vec<String> {
    let mut notes = vec![
        "Running it again sets this password and the same grants. A connection that uses another password is cut \
         off until it is connected again."
            .to_owned(),
        "The script holds the password: do not keep it.".to_owned(),
    ];
    if account.writes.is_some() {
        notes.push(
            "This account reads what the reading one reads, and inserts into and updates the listed tables only. It \
             deletes nothing. A table left out of the next run can no longer be written."
                .to_owned(),
        );
    }
    notes
}
