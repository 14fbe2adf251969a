//! What is left to ask when the answer to a COMMIT is lost.
//!
//! MySQL gives a transaction no number that could be asked about. What can be known is that its connection is gone, and
//! so whatever it did has ended; and that the row is as the write left it. Then what was asked for holds, and the write
//! counts as committed. A row that is otherwise proves nothing: it may never have been written, or somebody may have
//! changed it since. So nothing is ever taken for rolled back here.

use super::Mysql;
use super::execute::Origin;
use super::failure::{Failure, Result as WireResult};
use super::packets::{Parameter, with_length};
use crate::databases::DatabaseError;
use crate::databases::driver::{BoundKey, Ending, Look, LookedFor, Trace};
use events::skill::{Action, Bind, FieldType, Shape, Statement};
use mysql_common::constants::ColumnType;
use std::fmt::Write;
use std::time::{Duration, Instant};

/// A server that started within this of the write may have given the connection's number to another since.
const START_UNSURE: Duration = Duration::from_secs(5);

pub(super) fn of(
    origin: &Origin,
    statement: &Statement,
    parameters: &[Parameter],
    changed: u64,
    inserted: u64,
) -> Trace {
    // A row that the write did not change looks the same whether it was committed or not.
    let look = if changed == 1 { look(statement, parameters, inserted) } else { None };
    Trace::Mysql {
        machine: origin.machine.clone(),
        account: origin.credentials.user.clone(),
        connection: origin.connection,
        look,
    }
}

/// The same placeholders in the same order as the write has, and after them what AUTO_INCREMENT gave.
fn look(statement: &Statement, parameters: &[Parameter], inserted: u64) -> Option<Look> {
    let before = match statement.action {
        Action::Insert => "INSERT INTO ",
        Action::Update => "UPDATE ",
        Action::Read => return None,
    };
    let (schema, table) = named(statement.text.strip_prefix(before)?)?;
    let mut text = String::from("SELECT COUNT(*) FROM ");
    if let Some(schema) = &schema {
        let _ = write!(text, "{}.", quoted(schema));
    }
    let _ = write!(text, "{} AS t WHERE ", quoted(&table));
    let last = statement.binds.len().checked_sub(1)?;
    for (at, bind) in statement.binds.iter().enumerate() {
        match bind {
            // The column was left alone unless this is true; its value is the next placeholder.
            Bind::Given { .. } => text.push_str("(? = 0 OR "),
            Bind::Value { parameter } => {
                let parameter = statement.parameters.get(*parameter)?;
                let column = format!("t.{}", quoted(&parameter.column));
                let is_key = statement.action == Action::Update && at == last;
                text.push_str(&compared(&column, &parameter.shape, is_key));
                if at > 0 && matches!(statement.binds[at - 1], Bind::Given { .. }) {
                    text.push(')');
                }
                if at < last {
                    text.push_str(" AND ");
                }
            }
        }
    }
    let mut parameters: Vec<_> = parameters.iter().map(looked_for).collect();
    let mut key = None;
    if statement.action == Action::Insert {
        if inserted > 0 {
            // The primary key, where it is one integer column. A number that was given once is not given again.
            text.push_str(" AND t._rowid = ?");
            parameters.push(looked_for(&number(inserted)));
        } else {
            key = Some(BoundKey { schema, table, columns: given(statement, &parameters) });
        }
    }
    Some(Look { text, parameters, key })
}

/// Exactly as it was written: for texts every byte, since a collation takes other texts for equal. What the column
/// rounds or pads is not found again, which proves nothing. A key is compared as the write compared it.
fn compared(column: &str, shape: &Shape, is_key: bool) -> String {
    let equals = if is_key { "=" } else { "<=>" };
    match shape.field_type {
        FieldType::Decimal => {
            let (digits, scale) = shape.precision.unwrap_or((65, 30));
            format!("{column} {equals} CAST(? AS DECIMAL({digits},{scale}))")
        }
        FieldType::Date => format!("{column} {equals} CAST(? AS DATE)"),
        FieldType::Time => format!("{column} {equals} CAST(? AS TIME(6))"),
        FieldType::Timestamp | FieldType::Timestamptz => {
            format!("{column} {equals} CAST(? AS DATETIME(6))")
        }
        FieldType::Integer
        | FieldType::Bigint
        | FieldType::Float
        | FieldType::Boolean
        | FieldType::Binary => {
            format!("{column} {equals} ?")
        }
        FieldType::String
        | FieldType::Interval
        | FieldType::Uuid
        | FieldType::Json
        | FieldType::Enum
        | FieldType::Array
        | FieldType::Other => {
            if is_key {
                format!("{column} = ?")
            } else {
                format!("CAST(CONVERT({column} USING utf8mb4) AS BINARY) <=> CAST(? AS BINARY)")
            }
        }
    }
}

/// Columns that were given a value.
fn given(statement: &Statement, parameters: &[LookedFor]) -> Vec<String> {
    let values = statement.binds.iter().zip(parameters).filter(|(_, parameter)| parameter.value.is_some());
    let parameter = |bind: &Bind| match bind {
        Bind::Value { parameter } => statement.parameters.get(*parameter),
        Bind::Given { .. } => None,
    };
    values.filter_map(|(bind, _)| Some(parameter(bind)?.column.clone())).collect()
}

/// The table at the head of a text that our compiler wrote: one quoted name, or two with a point between.
fn named(text: &str) -> Option<(Option<String>, String)> {
    let (first, rest) = unquoted(text)?;
    match rest.strip_prefix('.') {
        Some(rest) => Some((Some(first), unquoted(rest)?.0)),
        None => Some((None, first)),
    }
}

fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text.strip_prefix('`')?;
    loop {
        let end = rest.find('`')?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('`') {
            Some(after) => {
                name.push('`');
                rest = after;
            }
            None => return Some((name, rest)),
        }
    }
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn looked_for(parameter: &Parameter) -> LookedFor {
    let Parameter { kind, unsigned, value } = parameter.clone();
    LookedFor { kind, unsigned, value }
}

fn number(number: u64) -> Parameter {
    Parameter {
        kind: ColumnType::MYSQL_TYPE_LONGLONG as u8,
        unsigned: true,
        value: Some(number.to_le_bytes().to_vec()),
    }
}

fn text(text: &str) -> Parameter {
    let kind = ColumnType::MYSQL_TYPE_VAR_STRING as u8;
    Parameter { kind, unsigned: false, value: Some(with_length(text.as_bytes())) }
}

impl Mysql {
    pub(super) async fn ending_of(
        &mut self,
        trace: &Trace,
        age: Duration,
        deadline: Instant,
    ) -> Result<Ending, DatabaseError> {
        let Trace::Mysql { machine, account, connection, look } = trace else {
            return Ok(Ending::Unknowable);
        };
        // Who logs in otherwise does not see the connection; another machine never had it.
        if *machine != self.origin.machine || *account != self.origin.credentials.user {
            return Ok(Ending::Unknowable);
        }
        let flight = self.depart(deadline)?;
        let asked = async {
            if !self.is_gone(*connection, account, age).await? {
                return Ok(Ending::Open);
            }
            match look {
                Some(look) => self.look(look).await,
                None => Ok(Ending::Unknowable),
            }
        }
        .await;
        self.conclude(flight, asked).await
    }

    /// Ends it if it is still there. A connection leaves the list when its transaction has ended, and not before.
    async fn is_gone(&mut self, connection: u64, account: &str, age: Duration) -> WireResult<bool> {
        let listed = "SELECT USER FROM information_schema.PROCESSLIST WHERE ID = ?";
        let rows = self.link.query(listed, &[number(connection)]).await?;
        if rows.first().is_none_or(|row| row.text(0) != account) {
            return Ok(true);
        }
        let rows = self.link.query("SHOW GLOBAL STATUS LIKE 'Uptime'", &[]).await?;
        let uptime = rows.first().and_then(|row| row.number(1)).map(Duration::from_secs);
        match uptime {
            Some(uptime) if uptime + START_UNSURE < age => Ok(true),
            Some(uptime) if uptime > age + START_UNSURE => {
                match self.link.run(&format!("KILL CONNECTION {connection}")).await {
                    // It has just ended by itself, or may not be ended: the next look will say.
                    Ok(_) | Err(Failure::Refused(_)) => Ok(false),
                    Err(failure) => Err(failure),
                }
            }
            Some(_) | None => Ok(false),
        }
    }

    async fn look(&mut self, look: &Look) -> WireResult<Ending> {
        let parameters: Vec<_> = look.parameters.iter().map(parameter).collect();
        let found = match self.link.query(&look.text, &parameters).await {
            Ok(rows) => rows.first().and_then(|row| row.number(0)),
            // The table is another one now, or may not be read.
            Err(Failure::Refused(_)) => None,
            Err(failure) => return Err(failure),
        };
        let is_one = found == Some(1)
            && match &look.key {
                Some(key) => self.holds_a_unique_key(key).await?,
                None => true,
            };
        Ok(if is_one { Ending::Committed } else { Ending::Unknowable })
    }

    async fn holds_a_unique_key(&mut self, key: &BoundKey) -> WireResult<bool> {
        if key.columns.is_empty() {
            return Ok(false);
        }
        let list = vec!["?"; key.columns.len()].join(", ");
        let unique = format!(
            "SELECT INDEX_NAME FROM information_schema.STATISTICS \
             WHERE TABLE_SCHEMA = COALESCE(NULLIF(?, ''), DATABASE()) AND TABLE_NAME = ? AND NON_UNIQUE = 0 \
             GROUP BY INDEX_NAME HAVING SUM(COLUMN_NAME NOT IN ({list})) = 0 AND SUM(SUB_PART IS NOT NULL) = 0"
        );
        let mut parameters = vec![text(key.schema.as_deref().unwrap_or_default()), text(&key.table)];
        parameters.extend(key.columns.iter().map(|column| text(column)));
        Ok(!self.link.query(&unique, &parameters).await?.is_empty())
    }
}

fn parameter(looked_for: &LookedFor) -> Parameter {
    let LookedFor { kind, unsigned, value } = looked_for.clone();
    Parameter { kind, unsigned, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_a_compiled_text_is_found_whatever_its_name_holds() {
        let named = |text| named(text).map(|(schema, table)| (schema.unwrap_or_default(), table));
        let of = |schema: &str, table: &str| Some((schema.to_owned(), table.to_owned()));
        assert_eq!(named("`rooms` AS t SET `a` = ?"), of("", "rooms"));
        assert_eq!(named("`else`.`where` (`a`) VALUES (?)"), of("else", "where"));
        assert_eq!(named("`a``b AS t SET ``c` AS t SET `a` = ?"), of("", "a`b AS t SET `c"));
        assert_eq!(named("rooms"), None);
    }
}
