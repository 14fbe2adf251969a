//! The MySQL driver against a MariaDB with TLS.

mod coercion;
mod columns;
mod deadlines;
mod login;
mod schema;
mod types;
mod writes;

use crate::engines;
use domain::arguments::{Bound, bind};
use domain::catalog::Catalog;
use domain::limits::PROJECTION_MAX;
use domain::statement::{Request, RequestInput, compile};
use events::IntegrationKind;
use events::scoping::Blocked;
use events::skill::{Action, Bind, Column, FieldType, Parameter, Projected, Shape, Source, Statement};
use infra::databases::dial::Dialer;
use infra::databases::driver::{Drivers, OpenError, Reader};
use infra::databases::guard::Guard;
use infra::databases::{Connection, Credentials, Session};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn drivers() -> Drivers {
    let guard = Guard { allowed: vec!["127.0.0.0/8".parse().unwrap()] };
    Drivers { dialer: Arc::new(Dialer::new(guard)) }
}

/// A database of its own, filled by `sql`, and the administrator's credentials for it.
fn database(sql: &str) -> Credentials {
    let engine = engines::mysql();
    engine.admin(&engine.database(sql))
}

/// The sample clinic, and credentials that may read all of it.
fn clinic() -> Credentials {
    let engine = engines::mysql();
    engine.reader(&engine.clinic())
}

fn admin_sql(database: &Credentials, sql: &str) -> String {
    engines::mysql().admin_sql(&database.database, sql).trim().to_owned()
}

async fn open(credentials: &Credentials, session: Session) -> Result<Box<dyn Connection>, OpenError> {
    drivers().open(IntegrationKind::Mysql, credentials, session).await
}

async fn read_only(credentials: &Credentials) -> Box<dyn Connection> {
    open(credentials, Session::ReadOnly).await.unwrap()
}

async fn reader(credentials: &Credentials) -> Arc<dyn Reader> {
    read_only(credentials).await.into_reader()
}

async fn writer(credentials: &Credentials) -> Box<dyn Connection> {
    open(credentials, Session::ReadWrite).await.unwrap()
}

async fn catalog(credentials: &Credentials) -> Catalog {
    read_only(credentials).await.introspect(&|_| {}).await.unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

fn shape(field_type: FieldType, native_type: &str) -> Shape {
    Shape {
        field_type,
        native_type: native_type.into(),
        integer_bytes: None,
        unsigned: false,
        max_length: None,
        precision: None,
        enum_values: Vec::new(),
        set: false,
        element: None,
    }
}

/// A statement as the compiler would freeze it.
fn statement(
    action: Action,
    text: &str,
    parameters: &[(&str, &Shape)],
    columns: &[(&str, &Shape)],
) -> Statement {
    Statement {
        dialect: IntegrationKind::Mysql,
        action,
        object: "t".into(),
        text: text.into(),
        hash: text.into(),
        parameters: parameters
            .iter()
            .map(|(name, shape)| Parameter {
                name: (*name).into(),
                source: Source::Model,
                required: true,
                nullable: true,
                description: None,
                value: None,
                column: (*name).into(),
                shape: (*shape).clone(),
            })
            .collect(),
        binds: (0..parameters.len()).map(|parameter| Bind::Value { parameter }).collect(),
        columns: columns
            .iter()
            .map(|(leaf, shape)| Column { leaf: (*leaf).into(), shape: (*shape).clone() })
            .collect(),
        limit: 5,
        touches: Vec::new(),
        uses_index: None,
        estimated_rows: None,
        side_effects: Vec::new(),
    }
}

/// Reads every column of a table by one of them, as the compiler freezes it.
fn read_by(catalog: &Catalog, object: &str, column: &str) -> Statement {
    let projection = catalog.object(object).unwrap().fields.iter().take(PROJECTION_MAX).zip(0..);
    let request = Request {
        operation: format!("{object}.read"),
        inputs: vec![input("key", column)],
        projection: projection
            .map(|(field, at)| Projected {
                path: vec![object.to_owned(), field.name.clone()],
                leaf: format!("c{at}"),
            })
            .collect(),
        ..Request::default()
    };
    let compiled = compile(catalog, &Blocked::default(), &request);
    compiled.unwrap_or_else(|errors| panic!("{object}.{column}: {errors:?}")).1
}

fn input(param: &str, column: &str) -> RequestInput {
    RequestInput {
        param: param.into(),
        arg: column.into(),
        required: Some(true),
        description: None,
        source: Source::Model,
        value: None,
    }
}

/// What a call's arguments come to, `None` when the argument check refuses them.
fn bound(statement: &Statement, arguments: &Value) -> Option<Vec<Bound>> {
    bind(statement, arguments.as_object().unwrap(), &Map::new()).ok()
}
