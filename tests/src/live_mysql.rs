//! The MySQL driver against a MariaDB with TLS.
//!
//! `crate::servers::mariadb()` gives a server that is running, with an administrator's account, the CA of its
//! certificate (for `localhost`), and the databases `Chinook`, `fineract` and `camunda` from the sample schemas.

mod coercion;
mod types;
mod writes;

use crate::servers::{Server, mariadb};
use domain::arguments::{Bound, bind};
use domain::catalog::{Catalog, Indexed, ObjectKind, RelationshipKind};
use domain::limits::PROJECTION_MAX;
use domain::statement::{Request, RequestInput, compile};
use events::IntegrationKind;
use events::integration::SslMode;
use events::scoping::Blocked;
use events::skill::{Action, Bind, Column, FieldType, Parameter, Projected, Shape, Source, Statement};
use infra::databases::dial::Dialer;
use infra::databases::driver::{Drivers, OpenError, Phase};
use infra::databases::error::Fault;
use infra::databases::guard::Guard;
use infra::databases::{Connection, Credentials, DatabaseError, Session};
use infra::secret::Secret;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn drivers() -> Drivers {
    let allowed = vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
    Drivers { dialer: Arc::new(Dialer::new(Guard { allowed })) }
}

fn credentials(server: &Server, database: &str) -> Credentials {
    Credentials {
        host: "localhost".into(),
        port: server.port,
        database: database.into(),
        user: server.user.clone(),
        password: Secret::new(server.password.clone()),
        sslmode: SslMode::VerifyFull,
        ca_pem: Some(server.ca_pem.clone()),
    }
}

async fn open(credentials: &Credentials, session: Session) -> Result<Box<dyn Connection>, OpenError> {
    drivers().open(IntegrationKind::Mysql, credentials, session).await
}

async fn reader(server: &Server, database: &str) -> Box<dyn Connection> {
    open(&credentials(server, database), Session::ReadOnly).await.unwrap()
}

async fn writer(server: &Server, database: &str) -> Box<dyn Connection> {
    open(&credentials(server, database), Session::ReadWrite).await.unwrap()
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

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
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

/// Set-up that no live call could run: whatever it does is not one matched row.
async fn set_up(server: &Server, database: &str, statements: &[&str]) {
    let mut connection = writer(server, database).await;
    for text in statements {
        let done = connection.write(&statement(Action::Insert, text, &[], &[]), &[], soon()).await;
        done.unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    connection.close().await;
}

async fn fresh_database(server: &Server, name: &str) {
    let drop = format!("DROP DATABASE IF EXISTS {name}");
    let create = format!("CREATE DATABASE {name} CHARACTER SET utf8mb4");
    set_up(server, "information_schema", &[&drop, &create]).await;
}

async fn catalog(server: &Server, database: &str) -> Catalog {
    reader(server, database).await.introspect(&|_| {}).await.unwrap()
}

async fn fault(opening: Result<Box<dyn Connection>, OpenError>) -> (Phase, Fault) {
    let error = opening.err().expect("the connection was refused");
    (error.phase, error.error.fault)
}

#[tokio::test]
async fn every_tls_mode_opens_a_session_and_says_who_answers() {
    let server = mariadb().await;
    for (sslmode, ca_pem) in [
        (SslMode::Require, None),
        (SslMode::Require, Some(server.ca_pem.clone())),
        (SslMode::VerifyCa, Some(server.ca_pem.clone())),
        (SslMode::VerifyFull, Some(server.ca_pem.clone())),
    ] {
        let credentials = Credentials { sslmode, ca_pem, ..credentials(&server, "Chinook") };
        let mut connection = open(&credentials, Session::ReadOnly).await.unwrap();
        let info = connection.server();
        assert_eq!(info.engine, "MariaDB");
        assert!(info.version.starts_with("10."), "{}", info.version);
        assert!(connection.ping().await.unwrap() < Duration::from_secs(1));
        connection.close().await;
    }
}

#[tokio::test]
async fn a_refused_connection_says_in_which_phase_and_why() {
    let server = mariadb().await;
    let good = credentials(&server, "Chinook");
    let wrong_password = Credentials { password: Secret::new("wrong".into()), ..good.clone() };
    let refused = fault(open(&wrong_password, Session::ReadOnly).await).await;
    assert_eq!(refused, (Phase::Authentication, Fault::AuthFailed));

    let no_database = Credentials { database: "nowhere".into(), ..good.clone() };
    let refused = fault(open(&no_database, Session::ReadOnly).await).await;
    assert_eq!(refused, (Phase::Authentication, Fault::DatabaseMissing));

    let public_ca = Credentials { ca_pem: None, ..good.clone() };
    let refused = fault(open(&public_ca, Session::ReadOnly).await).await;
    assert_eq!(refused, (Phase::ReachabilityTls, Fault::TlsUntrusted));
}

#[tokio::test]
async fn an_ed25519_account_logs_in_after_a_change_of_plugin() {
    let server = mariadb().await;
    set_up(
        &server,
        "information_schema",
        &[
            "INSTALL PLUGIN IF NOT EXISTS ed25519 SONAME 'auth_ed25519'",
            "CREATE OR REPLACE USER edward@'%' IDENTIFIED VIA ed25519 USING PASSWORD('sEcret 1') REQUIRE SSL",
            "GRANT SELECT ON Chinook.* TO edward@'%'",
        ],
    )
    .await;
    let mut login = credentials(&server, "Chinook");
    login.user = "edward".into();
    login.password = Secret::new("sEcret 1".into());
    let mut connection = open(&login, Session::ReadOnly).await.unwrap();
    assert_eq!(connection.probe_read().await.unwrap().as_deref(), Some("Album"));
    assert_eq!(connection.count_objects().await.unwrap(), 11);
    let proof = connection.prove_read_only().await.unwrap();
    assert_eq!((proof.refused_with, proof.role_can_write), (Some(*b"42000"), false));
    login.password = Secret::new("sEcret 2".into());
    assert_eq!(fault(open(&login, Session::ReadOnly).await).await.1, Fault::AuthFailed);
}

#[tokio::test]
async fn a_read_only_session_is_proven_and_a_role_that_could_write_is_told() {
    let server = mariadb().await;
    let mut connection = reader(&server, "Chinook").await;
    let proof = connection.prove_read_only().await.unwrap();
    assert_eq!((proof.refused_with, proof.role_can_write), (Some(*b"25006"), true));
    let proof = writer(&server, "Chinook").await.prove_read_only().await.unwrap();
    assert_eq!(proof.refused_with, None);
}

#[tokio::test]
async fn the_sample_schemas_are_read_whole() {
    let server = mariadb().await;
    let chinook = catalog(&server, "Chinook").await;
    assert_eq!((chinook.default_schema.as_str(), chinook.objects.len()), ("Chinook", 11));
    let track = chinook.object("PlaylistTrack").unwrap();
    assert_eq!(track.primary_key, ["PlaylistId", "TrackId"]);
    let employee = chinook.object("Employee").unwrap();
    let edge = employee.relationships.iter().find(|edge| edge.kind == RelationshipKind::BelongsTo).unwrap();
    assert_eq!((edge.fields[0].as_str(), edge.target.as_str()), ("ReportsTo", "Employee"));
    assert_eq!(employee.field("EmployeeId").unwrap().indexed, Indexed::Unique);
    assert_eq!(employee.field("ReportsTo").unwrap().indexed, Indexed::Leading);
    assert_eq!(employee.field("LastName").unwrap().indexed, Indexed::None);

    let fineract = catalog(&server, "fineract").await;
    assert!(fineract.objects.len() > 150, "{}", fineract.objects.len());
    assert!(fineract.edge_count() > 150, "{}", fineract.edge_count());
    let camunda = catalog(&server, "camunda").await;
    assert_eq!(camunda.objects.len(), 49);
    assert!(camunda.objects.iter().all(|object| object.kind == ObjectKind::Table));
}

#[tokio::test]
async fn every_indexed_column_of_the_samples_finds_the_row_it_was_taken_from() {
    let server = mariadb().await;
    let mut asked = 0;
    for database in ["Chinook", "fineract", "camunda"] {
        let catalog = catalog(&server, database).await;
        let mut connection = reader(&server, database).await;
        for object in &catalog.objects {
            for field in object.fields.iter().filter(|field| field.indexed != Indexed::None) {
                let sample = format!(
                    "SELECT {0} FROM {1} WHERE {0} IS NOT NULL LIMIT 1",
                    quoted(&field.name),
                    quoted(&object.table)
                );
                let sample = statement(Action::Read, &sample, &[], &[(&field.name, &field.shape)]);
                let sample = connection.read(&sample, &[], soon()).await.unwrap().rows;
                let read = read_by(&catalog, &object.name, &field.name);
                connection.explain(&read).await.unwrap();
                let Some(value) = sample.first().map(|row| row[0].clone()) else { continue };
                let argument = bound(&read, &json!({ "key": value })).unwrap();
                let found = connection.read(&read, &argument, soon()).await.unwrap();
                let at = object.fields.iter().position(|other| other.name == field.name).unwrap();
                assert!(!found.rows.is_empty(), "{database}.{}.{}", object.name, field.name);
                assert!(found.rows.iter().all(|row| row[at] == value), "{}.{}", object.name, field.name);
                asked += 1;
            }
        }
    }
    assert!(asked > 50, "{asked}");
}

#[tokio::test]
async fn a_plan_names_the_index_and_estimates_rows() {
    let server = mariadb().await;
    let catalog = catalog(&server, "Chinook").await;
    let mut connection = reader(&server, "Chinook").await;
    let plan = connection.explain(&read_by(&catalog, "Invoice", "CustomerId")).await.unwrap();
    assert_eq!(plan.uses_index.as_deref(), Some("IFK_InvoiceCustomerId"));
    assert!(plan.estimated_rows.unwrap() < 50);
    let plan = connection.explain(&read_by(&catalog, "Invoice", "InvoiceId")).await.unwrap();
    assert_eq!((plan.uses_index.as_deref(), plan.estimated_rows), (Some("PRIMARY"), Some(1)));
    let text = shape(FieldType::String, "varchar(40)");
    let scan = "SELECT BillingCity FROM Invoice WHERE BillingCity = ? LIMIT 6";
    let scan = statement(Action::Read, scan, &[("city", &text)], &[("city", &text)]);
    assert_eq!(connection.explain(&scan).await.unwrap().uses_index, None);
}

#[tokio::test]
async fn rows_beyond_the_limit_are_cut_and_said_to_be() {
    let server = mariadb().await;
    let catalog = catalog(&server, "Chinook").await;
    let mut connection = reader(&server, "Chinook").await;
    let invoices = read_by(&catalog, "Invoice", "CustomerId");
    let found = connection.read(&invoices, &[Bound::Integer(1)], soon()).await.unwrap();
    assert_eq!((found.rows.len(), found.truncated), (5, true));
    let by_key = read_by(&catalog, "Invoice", "InvoiceId");
    let found = connection.read(&by_key, &[Bound::Integer(1)], soon()).await.unwrap();
    assert_eq!((found.rows.len(), found.truncated), (1, false));
    let text = shape(FieldType::String, "longtext");
    let big = statement(Action::Read, "SELECT REPEAT('x', 100000)", &[], &[("big", &text)]);
    let found = connection.read(&big, &[], soon()).await.unwrap();
    assert_eq!((found.rows.len(), found.truncated), (0, true));
    assert!(connection.is_usable());
}

#[tokio::test]
async fn a_compiled_insert_and_update_change_their_one_row() {
    let server = mariadb().await;
    fresh_database(&server, "live_compiled").await;
    set_up(&server, "live_compiled", &[
        "CREATE TABLE bookings (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, code CHAR(6) NOT NULL UNIQUE,
            guest VARCHAR(40) NOT NULL, starts DATETIME NOT NULL, price DECIMAL(8,2), paid TINYINT(1) NOT NULL DEFAULT 0)",
    ])
    .await;
    let catalog = catalog(&server, "live_compiled").await;
    let insert = Request {
        operation: "bookings.insert".into(),
        inputs: ["code", "guest", "starts", "price"].map(|column| input(column, column)).into(),
        ..Request::default()
    };
    let insert = compile(&catalog, &Blocked::default(), &insert).unwrap().1;
    let optional = |column: &str| RequestInput { required: Some(false), ..input(column, column) };
    let update = Request {
        operation: "bookings.update".into(),
        inputs: vec![optional("guest"), optional("price"), optional("paid")],
        key_column: Some("code".into()),
        key_param: Some("code".into()),
        ..Request::default()
    };
    let update = compile(&catalog, &Blocked::default(), &update).unwrap().1;
    let mut writer = writer(&server, "live_compiled").await;
    writer.explain(&insert).await.unwrap();
    writer.explain(&update).await.unwrap();

    let booking =
        json!({ "code": "AB12CD", "guest": "Ada", "starts": "2026-05-01T10:00:00+02:00", "price": 12.5 });
    let written = writer.write(&insert, &bound(&insert, &booking).unwrap(), soon()).await.unwrap();
    assert_eq!((written.matched, written.changed), (1, 1));
    let paid = json!({ "code": "AB12CD", "paid": true });
    let written = writer.write(&update, &bound(&update, &paid).unwrap(), soon()).await.unwrap();
    assert_eq!((written.matched, written.changed), (1, 1));
    let written = writer.write(&update, &bound(&update, &paid).unwrap(), soon()).await.unwrap();
    assert_eq!((written.matched, written.changed), (1, 0));

    let by_code = read_by(&catalog, "bookings", "code");
    let key = bound(&by_code, &json!({ "key": "AB12CD" })).unwrap();
    let rows = reader(&server, "live_compiled").await.read(&by_code, &key, soon()).await.unwrap().rows;
    assert_eq!(
        rows,
        [vec![
            json!(1),
            json!("AB12CD"),
            json!("Ada"),
            json!("2026-05-01T08:00:00"),
            json!("12.50"),
            json!(true)
        ]]
    );
}
