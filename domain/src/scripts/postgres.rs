//! PostgreSQL 13 and later.

use super::{Account, Request, common_notes};
use crate::limits::{ACCOUNT_CONNECTIONS, LOCK_TIMEOUT, STATEMENT_TIMEOUT_HARD};
use std::fmt::Write;

pub fn sql(request: &Request, account: &Account) -> String {
    let (role, schema, database) = (name(account.username), name(request.schema), name(request.database));
    let (role_text, database_text) = (text(account.username), text(request.database));
    let read_only = if account.writes.is_none() { "on" } else { "off" };
    let check = block(&format!(
        "\
BEGIN
  IF current_database() <> {database_text} THEN
    RAISE EXCEPTION 'This script is for another database: connect to that one first.';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {role_text}) THEN
    CREATE ROLE {role};
  ELSIF EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = {role_text}
      AND (r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls
        OR EXISTS (SELECT FROM pg_catalog.pg_auth_members m WHERE m.member = r.oid)
        OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relowner = r.oid))) THEN
    RAISE EXCEPTION 'This role exists and may do more than it should: choose another username.';
  END IF;
END
"
    ));
    let mut sql = format!(
        "\
-- Run it as the owner of the tables, or as a superuser, connected to the database.
BEGIN;
SET LOCAL password_encryption = 'scram-sha-256';
{check}
ALTER ROLE {role} WITH LOGIN PASSWORD {password} CONNECTION LIMIT {ACCOUNT_CONNECTIONS};
ALTER ROLE {role} SET default_transaction_read_only = {read_only};
ALTER ROLE {role} SET statement_timeout = '{statement}ms';
ALTER ROLE {role} SET lock_timeout = '{lock}ms';
ALTER ROLE {role} SET idle_in_transaction_session_timeout = '{statement}ms';
REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role};
REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM {role};
REVOKE ALL ON SCHEMA {schema} FROM {role};
REVOKE ALL ON DATABASE {database} FROM {role};
GRANT CONNECT ON DATABASE {database} TO {role};
GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role};
",
        password = text(request.password),
        statement = STATEMENT_TIMEOUT_HARD.as_millis(),
        lock = LOCK_TIMEOUT.as_millis(),
    );
    if let Some(tables) = account.writes {
        let tables: Vec<String> = tables.iter().map(|table| format!("{schema}.{}", name(table))).collect();
        let _ = writeln!(sql, "GRANT INSERT, UPDATE ON TABLE {} TO {role};", tables.join(", "));
        sql.push_str(&sequences(&tables, account.username));
    }
    sql.push_str("COMMIT;\n");
    sql
}

/// The sequences of serial and identity columns, and those that a default names.
fn sequences(tables: &[String], role: &str) -> String {
    let written: Vec<String> =
        tables.iter().map(|table| format!("{}::pg_catalog.regclass", text(table))).collect();
    let grant = block(&format!(
        "\
DECLARE
  used pg_catalog.regclass;
BEGIN
  FOR used IN
    SELECT s.oid::pg_catalog.regclass
    FROM pg_catalog.pg_class s
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = s.oid
      AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
    WHERE s.relkind = 'S' AND d.refobjid IN ({written})
    UNION
    SELECT s.oid::pg_catalog.regclass
    FROM pg_catalog.pg_attrdef a
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = a.oid
      AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    JOIN pg_catalog.pg_class s ON s.oid = d.refobjid AND s.relkind = 'S'
    WHERE a.adrelid IN ({written})
  LOOP
    EXECUTE pg_catalog.format('GRANT USAGE ON SEQUENCE %s TO %I', used, {role});
  END LOOP;
END
",
        written = written.join(", "),
        role = text(role),
    ));
    format!("{grant}\n")
}

pub fn notes(request: &Request, account: &Account) -> Vec<String> {
    let (role, schema, database) = (name(account.username), name(request.schema), name(request.database));
    let mut notes = common_notes(account);
    notes.extend([
        format!(
            "Tables made later are not readable until it is run again, unless their owner runs once: ALTER DEFAULT \
             PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {role};"
        ),
        format!(
            "What PostgreSQL grants to PUBLIC holds for this account and everybody else. To take it back, which \
             concerns other users too: REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC; REVOKE TEMPORARY ON DATABASE \
             {database} FROM PUBLIC;"
        ),
        "PostgreSQL cannot demand TLS for one account in SQL; Bindery never connects without it. In pg_hba.conf a \
         `hostssl` line demands it of everybody."
            .to_owned(),
        "Another schema of the database needs a run of its own; it leaves the grants in this one as they are."
            .to_owned(),
    ]);
    notes
}

fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text means the same under either setting of `standard_conforming_strings`.
fn text(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", doubled.replace('\\', "\\\\")) } else { format!("'{doubled}'") }
}

/// A `DO` block between marks that do not occur in it.
fn block(body: &str) -> String {
    let marks = (0u32..).map(|number| match number {
        0 => "$bindery$".to_owned(),
        number => format!("$bindery{number}$"),
    });
    let mark = marks.into_iter().find(|mark| !body.contains(mark.as_str())).unwrap_or_default();
    format!("DO {mark}\n{body}{mark};")
}
