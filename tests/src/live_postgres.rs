//! The PostgreSQL driver against a real server with TLS.

mod checks;
mod limits;
mod pool;
mod pooler;
mod schema;
mod values;
mod writes;

use crate::engines;
use domain::arguments::Bound;
use events::IntegrationKind;
use events::skill::{Action, Bind, Column, FieldType, Parameter, Shape, Source, Statement};
use infra::databases::dial::Dialer;
use infra::databases::driver::{Connection, Credentials, Drivers, Reader, Session};
use infra::databases::guard::Guard;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn drivers() -> Drivers {
    let guard = Guard { allowed: vec!["127.0.0.0/8".parse().unwrap()] };
    Drivers { dialer: Arc::new(Dialer::new(guard)) }
}

/// A database of its own, filled by `sql`, and the admin's credentials for it.
fn database(sql: &str) -> Credentials {
    let engine = engines::postgres();
    engine.admin(&engine.database(sql))
}

fn admin_sql(database: &str, sql: &str) -> String {
    engines::postgres().admin_sql(database, sql).trim().to_owned()
}

async fn open(credentials: &Credentials, session: Session) -> Box<dyn Connection> {
    match drivers().open(IntegrationKind::Postgres, credentials, session).await {
        Ok(connection) => connection,
        Err(error) => panic!("{error:?}"),
    }
}

async fn reader(credentials: &Credentials) -> Arc<dyn Reader> {
    open(credentials, Session::ReadOnly).await.into_reader()
}

fn shape(field_type: FieldType) -> Shape {
    Shape {
        field_type,
        native_type: String::new(),
        integer_bytes: None,
        unsigned: false,
        max_length: None,
        precision: None,
        enum_values: Vec::new(),
        set: false,
        element: None,
    }
}

fn statement(
    action: Action,
    object: &str,
    text: &str,
    binds: usize,
    columns: usize,
    limit: u32,
) -> Statement {
    let parameter = |at: usize| Parameter {
        name: format!("p{at}"),
        source: Source::Model,
        required: true,
        nullable: true,
        description: None,
        value: None,
        column: format!("c{at}"),
        shape: shape(FieldType::String),
    };
    Statement {
        dialect: IntegrationKind::Postgres,
        action,
        object: object.to_owned(),
        text: text.to_owned(),
        hash: text.to_owned(),
        parameters: (0..binds).map(parameter).collect(),
        binds: (0..binds).map(|parameter| Bind::Value { parameter }).collect(),
        columns: (0..columns)
            .map(|at| Column { leaf: format!("l{at}"), shape: shape(FieldType::String) })
            .collect(),
        limit,
        touches: Vec::new(),
        uses_index: None,
        estimated_rows: None,
        side_effects: Vec::new(),
    }
}

fn read_statement(text: &str, binds: usize, limit: u32) -> Statement {
    statement(Action::Read, "t", text, binds, 1, limit)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

fn text(value: &str) -> Bound {
    Bound::Text(value.to_owned())
}

/// Backends that still run something in the database.
fn active(database: &str) -> String {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND state <> 'idle' \
         AND application_name = 'bindery'"
    );
    admin_sql("postgres", &sql)
}

const BOOKINGS: &str = "CREATE TABLE bookings (id int PRIMARY KEY, note text, seats int CHECK (seats > 0));
    CREATE TABLE guests (id int PRIMARY KEY, booking int REFERENCES bookings DEFERRABLE INITIALLY DEFERRED);
    INSERT INTO bookings VALUES (1, 'a', 1), (2, 'b', 1)";

fn update(text: &str) -> Statement {
    statement(Action::Update, "bookings", text, 2, 1, 1)
}
