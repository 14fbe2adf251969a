//! The PostgreSQL driver against a real server. `engines::postgres()` gives host, port, admin, password and the
//! PEM of the CA that signed the server's certificate for `localhost`; `run_sql` runs a script as the admin.

use crate::engines;
use domain::arguments::Bound;
use domain::catalog::{Catalog, Indexed, ObjectKind, RelationshipKind};
use events::integration::SslMode;
use events::skill::{Action, Bind, Column, FieldType, Parameter, Shape, Source, Statement};
use events::{IntegrationKind, OrganizationId};
use infra::databases::checks::{CheckName, Status, run_checks};
use infra::databases::dial::Dialer;
use infra::databases::driver::{Connection, Credentials, Drivers, Session};
use infra::databases::error::Fault;
use infra::databases::guard::Guard;
use infra::databases::pool::{CredentialSource, PoolKey, Pools};
use infra::secret::Secret;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn drivers() -> Drivers {
    let guard = Guard { allowed: vec!["127.0.0.0/8".parse().unwrap()] };
    Drivers { dialer: Arc::new(Dialer::new(guard)) }
}

/// A database of its own, filled by `sql`, and the admin's credentials for it.
fn database(name: &str, sql: &str) -> Credentials {
    let engine = engines::postgres();
    engine.run_sql("postgres", &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
    engine.run_sql("postgres", &format!("CREATE DATABASE {name}"));
    engine.run_sql(name, sql);
    Credentials {
        host: engine.host.clone(),
        port: engine.port,
        database: name.to_owned(),
        user: engine.admin.clone(),
        password: Secret::new(engine.password.clone()),
        sslmode: SslMode::VerifyFull,
        ca_pem: Some(engine.ca_pem.clone()),
    }
}

async fn open(credentials: &Credentials, session: Session) -> Box<dyn Connection> {
    match drivers().open(IntegrationKind::Postgres, credentials, session).await {
        Ok(connection) => connection,
        Err(error) => panic!("{error:?}"),
    }
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

#[tokio::test]
async fn every_type_comes_back_as_the_contract_writes_it() {
    let credentials = database(
        "live_types",
        "CREATE TYPE mood AS ENUM ('sad', 'it''s \"ok\"');
         CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
         CREATE DOMAIN emails AS email[];
         SET IntervalStyle = 'postgres';",
    );
    let mut connection = open(&credentials, Session::ReadOnly).await;
    let cases = [
        ("true", json!(true)),
        ("7::int2", json!(7)),
        ("(-2147483648)::int4", json!(-2147483648i64)),
        ("9223372036854775807::int8", json!("9223372036854775807")),
        ("1234567890.0123456789::numeric", json!("1234567890.0123456789")),
        ("'-0.00010'::numeric", json!("-0.00010")),
        ("'1e20'::numeric", json!("100000000000000000000")),
        ("'NaN'::numeric", json!("NaN")),
        ("'-Infinity'::numeric", json!("-Infinity")),
        ("0.1::float4", json!(0.1)),
        ("1e300::float8", json!(1e300)),
        ("'Infinity'::float8", json!("Infinity")),
        ("'a'::varchar(5)", json!("a")),
        ("'a'::char(3)", json!("a  ")),
        ("'2024-02-29'::date", json!("2024-02-29")),
        ("'infinity'::date", json!("infinity")),
        ("'0044-03-15 BC'::date", json!("0044-03-15 BC")),
        ("'12345-06-07'::date", json!("12345-06-07")),
        ("'23:59:59.5'::time", json!("23:59:59.5")),
        ("'24:00'::time", json!("24:00:00")),
        ("'2024-01-02 03:04:05.123456'::timestamp", json!("2024-01-02T03:04:05.123456")),
        ("'2024-01-02 03:04:05+05:30'::timestamptz", json!("2024-01-01T21:34:05Z")),
        ("'-infinity'::timestamptz", json!("-infinity")),
        ("'1 year 2 mons -3 days 04:05:06.7'::interval", json!("P1Y2M-3DT4H5M6.7S")),
        ("'-1 year -1 mon -00:00:00.5'::interval", json!("P-1Y-1MT-0.5S")),
        ("'0'::interval", json!("PT0S")),
        ("'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid", json!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
        ("'it''s \"ok\"'::public.mood", json!("it's \"ok\"")),
        ("'{\"a\": [1, null]}'::json", json!({"a": [1, null]})),
        ("'{\"a\": 1}'::jsonb", json!({"a": 1})),
        ("'\\xdeadbeef'::bytea", json!("3q2+7w==")),
        ("'{1,NULL,3}'::int4[]", json!([1, null, 3])),
        ("'{{a,b},{c,d}}'::text[]", json!([["a", "b"], ["c", "d"]])),
        ("'[2:3]={1,2}'::int8[]", json!(["1", "2"])),
        ("'{}'::text[]", json!([])),
        ("ARRAY['sad']::public.mood[]", json!(["sad"])),
        ("'a@b'::public.email", json!("a@b")),
        ("ARRAY['a@b']::public.emails", json!(["a@b"])),
        ("NULL::int4", Value::Null),
        ("(inet '10.0.0.1')::text", json!("10.0.0.1/32")),
    ];
    for (expression, expected) in cases {
        let rows = connection.read(&read_statement(&format!("SELECT {expression}"), 0, 5), &[], soon()).await;
        assert_eq!(rows.map(|rows| rows.rows), Ok(vec![vec![expected]]), "{expression}");
    }
    // What text would have been needed for is a changed schema, not a crash.
    let error =
        connection.read(&read_statement("SELECT 'a'::tsvector", 0, 5), &[], soon()).await.unwrap_err();
    assert_eq!(error.fault, Fault::SchemaMismatch);
}

#[tokio::test]
async fn arguments_arrive_as_they_were_given() {
    let credentials = database("live_arguments", "CREATE TYPE mood AS ENUM ('sad', 'it''s \"ok\"')");
    let mut connection = open(&credentials, Session::ReadOnly).await;
    let nasty = "'; DROP TABLE t; -- \" \\ {} , NULL é\n\t$1";
    let cases = [
        ("text", text(nasty), json!(nasty)),
        ("text", Bound::Null, Value::Null),
        ("bool", Bound::Boolean(false), json!(false)),
        ("int2", Bound::Integer(-7), json!(-7)),
        ("int8", Bound::Integer(i64::MIN.into()), json!(i64::MIN.to_string())),
        ("numeric", text("0.10"), json!("0.10")),
        ("float8", Bound::Float(0.1), json!(0.1)),
        ("float8", Bound::Float(f64::MAX), json!(f64::MAX)),
        ("float8", Bound::Float(f64::NEG_INFINITY), json!("-Infinity")),
        ("date", text("2024-02-29"), json!("2024-02-29")),
        ("timestamp", text("2024-02-29T01:02:03"), json!("2024-02-29T01:02:03")),
        ("timestamptz", text("2024-02-29T01:02:03Z"), json!("2024-02-29T01:02:03Z")),
        ("interval", text("P1DT2H"), json!("P1DT2H")),
        ("uuid", text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), json!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
        ("public.mood", text("it's \"ok\""), json!("it's \"ok\"")),
        ("jsonb", text("{\"a\":1}"), json!({"a": 1})),
        ("bytea", Bound::Binary(vec![0, 1, 255]), json!("AAH/")),
        (
            "text[]",
            Bound::Array(vec![text(nasty), Bound::Null, text("NULL"), text("")]),
            json!([nasty, null, "NULL", ""]),
        ),
        ("public.mood[]", Bound::Array(vec![text("it's \"ok\"")]), json!(["it's \"ok\""])),
        ("bytea[]", Bound::Array(vec![Bound::Binary(vec![92, 34])]), json!(["XCI="])),
        ("int4[]", Bound::Array(Vec::new()), json!([])),
    ];
    for (cast, bound, expected) in cases {
        let statement = read_statement(&format!("SELECT $1::{cast}"), 1, 5);
        let rows = connection.read(&statement, std::slice::from_ref(&bound), soon()).await;
        assert_eq!(rows.map(|rows| rows.rows), Ok(vec![vec![expected]]), "{cast} {bound:?}");
    }
    let error =
        connection.read(&read_statement("SELECT $1::int4", 1, 5), &[text("x")], soon()).await.unwrap_err();
    assert_eq!((error.fault, error.sqlstate), (Fault::ConstraintViolated, Some(*b"22P02")));
    assert!(connection.is_usable());
}

#[tokio::test]
async fn answers_are_cut_at_the_limits_and_say_so() {
    let credentials = database("live_limits", "");
    let mut connection = open(&credentials, Session::ReadOnly).await;
    let series = |rows: u32| read_statement(&format!("SELECT generate_series(1, {rows})"), 0, 5);
    let rows = connection.read(&series(5), &[], soon()).await.unwrap();
    assert_eq!((rows.rows.len(), rows.truncated), (5, false));
    let rows = connection.read(&series(6), &[], soon()).await.unwrap();
    assert_eq!((rows.rows.len(), rows.truncated), (5, true));

    let wide = |bytes: u32| {
        read_statement(&format!("SELECT repeat('x', {bytes}) FROM generate_series(1, 3)"), 0, 100)
    };
    let rows = connection.read(&wide(30_000), &[], soon()).await.unwrap();
    assert_eq!((rows.rows.len(), rows.truncated), (2, true));
    let rows = connection.read(&wide(5_000_000), &[], soon()).await.unwrap();
    assert_eq!((rows.rows.len(), rows.truncated), (0, true));
    // Beyond the socket's budget the connection is given up.
    let error = connection.read(&wide(20_000_000), &[], soon()).await.unwrap_err();
    assert_eq!(error.fault, Fault::ProtocolViolation);
    assert!(!connection.is_usable());
}

/// Backends that still run something in the database.
fn active(database: &str) -> String {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND state <> 'idle' \
         AND application_name = 'bindery'"
    );
    engines::postgres().run_sql("postgres", &sql).trim().to_owned()
}

async fn gone_within_two_seconds(database: &str) {
    let started = Instant::now();
    while active(database) != "0" {
        assert!(started.elapsed() < Duration::from_secs(2), "the backend still runs");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_late_statement_is_answered_in_time_and_its_backend_is_gone() {
    let credentials = database("live_deadline", "");
    let mut connection = open(&credentials, Session::ReadOnly).await;
    let sleep = read_statement("SELECT pg_catalog.pg_sleep(30)::text", 0, 5);
    let started = Instant::now();
    let error = connection.read(&sleep, &[], started + Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(error.fault, Fault::StatementTimeout);
    assert!(started.elapsed() < Duration::from_millis(800));
    assert!(!connection.is_usable());
    gone_within_two_seconds("live_deadline").await;
}

#[tokio::test]
async fn a_dropped_call_leaves_no_query_running() {
    let credentials = database("live_dropped", "");
    let mut connection = open(&credentials, Session::ReadOnly).await;
    let sleep = read_statement("SELECT pg_catalog.pg_sleep(30)::text", 0, 5);
    let call = connection.read(&sleep, &[], soon());
    assert!(tokio::time::timeout(Duration::from_millis(300), call).await.is_err());
    assert!(!connection.is_usable());
    gone_within_two_seconds("live_dropped").await;
}

#[tokio::test]
async fn the_session_itself_ends_a_statement_after_five_seconds() {
    let credentials = database("live_session", "");
    let mut connection = open(&credentials, Session::ReadOnly).await;
    let sleep = read_statement("SELECT pg_catalog.pg_sleep(30)::text", 0, 5);
    let started = Instant::now();
    let error = connection.read(&sleep, &[], started + Duration::from_secs(20)).await.unwrap_err();
    assert_eq!((error.fault, error.sqlstate), (Fault::StatementTimeout, Some(*b"57014")));
    assert!(started.elapsed() < Duration::from_millis(5500));
    assert!(connection.is_usable());
}

const BOOKINGS: &str = "CREATE TABLE bookings (id int PRIMARY KEY, note text, seats int CHECK (seats > 0));
    CREATE TABLE guests (id int PRIMARY KEY, booking int REFERENCES bookings DEFERRABLE INITIALLY DEFERRED);
    INSERT INTO bookings VALUES (1, 'a', 1), (2, 'b', 1)";

fn update(text: &str) -> Statement {
    statement(Action::Update, "bookings", text, 2, 1, 1)
}

#[tokio::test]
async fn a_write_commits_exactly_one_row_and_returns_it() {
    let credentials = database("live_write", BOOKINGS);
    let mut connection = open(&credentials, Session::ReadWrite).await;
    let by_key = update("UPDATE public.bookings SET note = $1::text WHERE id = $2::int4 RETURNING note");
    let binds = |id: i128| [text("new"), Bound::Integer(id)];
    let written = connection.write(&by_key, &binds(1), soon()).await.unwrap();
    assert_eq!((written.matched, written.changed), (1, 1));
    assert_eq!(written.rows.rows, vec![vec![json!("new")]]);
    let missing = connection.write(&by_key, &binds(99), soon()).await.unwrap();
    assert_eq!(missing.matched, 0);

    let everything = update("UPDATE public.bookings SET note = $1::text WHERE id > $2::int4");
    let written = connection.write(&everything, &binds(0), soon()).await.unwrap();
    assert_eq!(written.matched, 2);
    let notes =
        engines::postgres().run_sql("live_write", "SELECT string_agg(note, ',' ORDER BY id) FROM bookings");
    assert_eq!(notes.trim(), "new,b");
    assert!(connection.is_usable());
}

#[tokio::test]
async fn a_refused_write_names_its_reason_and_changes_nothing() {
    let credentials = database("live_refused", BOOKINGS);
    let mut connection = open(&credentials, Session::ReadWrite).await;
    let cases = [
        ("INSERT INTO public.bookings VALUES ($2::int4, $1::text, 1)", Fault::ConstraintViolated, *b"23505"),
        (
            "INSERT INTO public.bookings VALUES (7, $1::text, $2::int4 - 1)",
            Fault::ConstraintViolated,
            *b"23514",
        ),
        (
            "INSERT INTO public.bookings VALUES (NULL, $1::text, $2::int4)",
            Fault::ConstraintViolated,
            *b"23502",
        ),
        // Only COMMIT finds this one.
        (
            "INSERT INTO public.guests SELECT length($1::text), 98 + $2::int4",
            Fault::ConstraintViolated,
            *b"23503",
        ),
        ("INSERT INTO public.nowhere VALUES ($1::text, $2::int4)", Fault::SchemaMismatch, *b"42P01"),
    ];
    for (sql, fault, sqlstate) in cases {
        let error =
            connection.write(&update(sql), &[text("x"), Bound::Integer(1)], soon()).await.unwrap_err();
        assert_eq!((error.fault, error.sqlstate), (fault, Some(sqlstate)), "{sql}");
        assert!(!error.advice.contains("bookings"), "server text must not pass");
        assert!(connection.is_usable());
    }
    let count = "SELECT (SELECT count(*) FROM bookings) + (SELECT count(*) FROM guests)";
    assert_eq!(engines::postgres().run_sql("live_refused", count).trim(), "2");
}

#[tokio::test]
async fn somebody_elses_lock_is_waited_for_one_second() {
    let credentials = database("live_lock", BOOKINGS);
    let mut holder = open(&credentials, Session::ReadWrite).await;
    let mut waiter = open(&credentials, Session::ReadWrite).await;
    let slow = update(
        "UPDATE public.bookings SET note = $1::text FROM pg_catalog.pg_sleep(0) WHERE id = $2::int4 \
         RETURNING pg_catalog.pg_sleep(3)::text",
    );
    let fast = update("UPDATE public.bookings SET note = $1::text WHERE id = $2::int4");
    let held = tokio::spawn(async move {
        holder.write(&slow, &[text("held"), Bound::Integer(1)], soon()).await.map(|written| written.matched)
    });
    while active("live_lock") != "1" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let started = Instant::now();
    let error = waiter.write(&fast, &[text("x"), Bound::Integer(1)], soon()).await.unwrap_err();
    assert_eq!((error.fault, error.sqlstate), (Fault::LockTimeout, Some(*b"55P03")));
    assert!(started.elapsed() < Duration::from_millis(1500));
    assert_eq!(held.await.unwrap(), Ok(1));
}

#[tokio::test]
async fn no_session_writes_outside_of_a_counted_transaction() {
    let credentials = database("live_read_only", BOOKINGS);
    for session in [Session::ReadOnly, Session::ReadWrite] {
        let mut connection = open(&credentials, session).await;
        let sneaky = read_statement("DELETE FROM public.bookings RETURNING note", 0, 5);
        let error = connection.read(&sneaky, &[], soon()).await.unwrap_err();
        assert_eq!((error.fault, error.sqlstate), (Fault::ReadOnlyRefused, Some(*b"25006")));
    }
    assert_eq!(engines::postgres().run_sql("live_read_only", "SELECT count(*) FROM bookings").trim(), "2");
}

#[tokio::test]
async fn a_table_that_was_altered_is_read_again_without_an_error() {
    let credentials = database("live_altered", BOOKINGS);
    let mut connection = open(&credentials, Session::ReadOnly).await;
    let read = read_statement("SELECT seats FROM public.bookings WHERE id = $1::int4", 1, 5);
    let before = connection.read(&read, &[Bound::Integer(1)], soon()).await.unwrap();
    assert_eq!(before.rows, vec![vec![json!(1)]]);
    engines::postgres().run_sql("live_altered", "ALTER TABLE bookings ALTER seats TYPE bigint");
    let after = connection.read(&read, &[Bound::Integer(1)], soon()).await.unwrap();
    assert_eq!(after.rows, vec![vec![json!("1")]]);
}

#[tokio::test]
async fn a_plan_names_the_index_of_the_bound_table_without_values() {
    let credentials = database("live_plan", BOOKINGS);
    let mut connection = open(&credentials, Session::ReadOnly).await;
    let by_key = statement(
        Action::Read,
        "bookings",
        "SELECT note FROM public.bookings WHERE id = $1::int4 LIMIT 6",
        1,
        1,
        5,
    );
    let plan = connection.explain(&by_key).await.unwrap();
    assert_eq!((plan.uses_index.as_deref(), plan.estimated_rows), (Some("bookings_pkey"), Some(1)));
    let by_note =
        statement(Action::Read, "bookings", "SELECT id FROM public.bookings WHERE note = $1::text", 1, 1, 5);
    assert_eq!(connection.explain(&by_note).await.unwrap().uses_index, None);
    let write = update("UPDATE public.bookings SET note = $1::text WHERE id = $2::int4");
    assert_eq!(connection.explain(&write).await.unwrap().uses_index.as_deref(), Some("bookings_pkey"));
    let broken = read_statement("SELECT nothing FROM public.bookings", 0, 5);
    assert_eq!(connection.explain(&broken).await.unwrap_err().fault, Fault::SchemaMismatch);
    // The connection is as it was.
    assert!(connection.read(&by_key, &[Bound::Integer(1)], soon()).await.is_ok());
}

const SHOP: &str = r#"
    CREATE SCHEMA sales; CREATE SCHEMA hidden;
    CREATE TYPE sales.state AS ENUM ('new', 'paid');
    CREATE DOMAIN phone AS varchar(20) NOT NULL;
    CREATE TABLE customers (
        id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, phone phone UNIQUE, name text COLLATE "C" NOT NULL,
        "Odd ""Name" numeric(10,2) DEFAULT 0, secret text, tags text[], lower_name text GENERATED ALWAYS AS (lower(name)) STORED);
    COMMENT ON TABLE customers IS 'who calls'; COMMENT ON COLUMN customers.phone IS 'E.164';
    CREATE INDEX by_name ON customers (name, id) INCLUDE (phone);
    CREATE INDEX by_name_other ON customers (lower_name COLLATE "POSIX");
    CREATE INDEX by_lower ON customers (lower(name));
    CREATE UNIQUE INDEX partial ON customers (secret) WHERE secret IS NOT NULL;
    CREATE INDEX tags_gin ON customers USING gin (tags);
    CREATE TABLE sales.orders (
        region int, number bigserial, customer_id int NOT NULL REFERENCES customers ON DELETE CASCADE ON UPDATE SET NULL,
        state sales.state DEFAULT 'new', placed timestamptz(3), where_from inet, PRIMARY KEY (region, number));
    CREATE TABLE sales.lines (region int, number bigint, line int,
        FOREIGN KEY (region, number) REFERENCES sales.orders, UNIQUE (line, number));
    CREATE TABLE sales.parts (id int, day date) PARTITION BY RANGE (day);
    CREATE TABLE sales.parts_2024 PARTITION OF sales.parts FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
    CREATE INDEX parts_day ON sales.parts (day);
    CREATE VIEW open_orders AS SELECT * FROM sales.orders WHERE state = 'new';
    CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM sales.orders;
    CREATE TABLE hidden.things (id int PRIMARY KEY);
    CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER audit BEFORE INSERT OR UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION noop();
    CREATE TRIGGER off AFTER DELETE ON customers FOR EACH ROW EXECUTE FUNCTION noop();
    ALTER TABLE customers DISABLE TRIGGER off;
    DROP ROLE IF EXISTS live_clerk;
    CREATE ROLE live_clerk LOGIN PASSWORD 'clerk';
    GRANT USAGE ON SCHEMA sales TO live_clerk;
    GRANT SELECT (id, phone, name), INSERT (phone, name), UPDATE (id, phone, name) ON customers TO live_clerk;
    GRANT SELECT ON sales.orders, open_orders TO live_clerk;
"#;

async fn catalog(credentials: &Credentials) -> Catalog {
    open(credentials, Session::ReadOnly).await.introspect(&|_| {}).await.unwrap()
}

#[tokio::test]
async fn a_schema_is_read_with_its_types_keys_indexes_relationships_and_triggers() {
    let credentials = database("live_shop", SHOP);
    let all = catalog(&credentials).await;
    let names: Vec<_> = all.objects.iter().map(|object| object.name.as_str()).collect();
    assert_eq!(
        names,
        ["customers", "hidden.things", "open_orders", "sales.lines", "sales.orders", "sales.parts", "totals"]
    );
    let customers = all.object("customers").unwrap();
    assert_eq!(customers.comment.as_deref(), Some("who calls"));
    assert_eq!(customers.primary_key, ["id"]);
    assert_eq!(customers.unique_keys, [["phone"]]);
    let indexes: Vec<_> =
        customers.indexes.iter().map(|index| (index.name.as_str(), index.columns.join(","))).collect();
    assert_eq!(
        indexes,
        [
            ("by_name", "name,id".into()),
            ("customers_phone_key", "phone".into()),
            ("customers_pkey", "id".into())
        ]
    );
    let id = customers.field("id").unwrap();
    assert!(id.generated && id.has_default && !id.nullable);
    assert_eq!(id.indexed, Indexed::Unique);
    let phone = customers.field("phone").unwrap();
    assert_eq!(phone.shape.field_type, FieldType::String);
    assert_eq!((phone.shape.max_length, phone.nullable), (Some(20), false));
    assert_eq!(phone.shape.native_type, "public.phone");
    assert_eq!(phone.cast.as_deref(), Some("character varying"));
    assert_eq!(phone.comment.as_deref(), Some("E.164"));
    assert_eq!(customers.field("name").unwrap().indexed, Indexed::Leading);
    assert_eq!(customers.field("secret").unwrap().indexed, Indexed::None);
    let odd = customers.field("Odd \"Name").unwrap();
    assert_eq!((odd.shape.precision, odd.has_default), (Some((10, 2)), true));
    assert_eq!(odd.shape.native_type, "numeric(10,2)");
    let tags = customers.field("tags").unwrap();
    assert_eq!(tags.shape.field_type, FieldType::Array);
    assert_eq!(tags.shape.element.as_ref().unwrap().field_type, FieldType::String);
    assert_eq!(tags.cast.as_deref(), Some("text[]"));
    let lower = customers.field("lower_name").unwrap();
    assert!(lower.generated && !lower.has_default);
    let triggers: Vec<_> =
        customers.triggers.iter().map(|t| (t.name.as_str(), t.on_insert, t.on_update, t.on_delete)).collect();
    assert_eq!(triggers, [("audit", true, true, false)]);

    let orders = all.object("sales.orders").unwrap();
    assert_eq!(orders.primary_key, ["region", "number"]);
    assert!(orders.field("number").unwrap().has_default);
    let state = orders.field("state").unwrap();
    assert_eq!(state.shape.enum_values, ["new", "paid"]);
    assert_eq!(state.cast.as_deref(), Some("sales.state"));
    assert_eq!(orders.field("placed").unwrap().shape.native_type, "timestamp(3) with time zone");
    assert_eq!(orders.field("where_from").unwrap().shape.field_type, FieldType::Other);
    let edge = orders.relationships.iter().find(|edge| edge.kind == RelationshipKind::BelongsTo).unwrap();
    assert_eq!(
        (edge.target.as_str(), edge.fields.as_slice()),
        ("customers", ["customer_id".to_owned()].as_slice())
    );
    assert_eq!((edge.on_delete.as_deref(), edge.on_update.as_deref()), (Some("CASCADE"), Some("SET NULL")));
    let lines = all.object("sales.lines").unwrap();
    let edge = lines.relationships.iter().find(|edge| edge.kind == RelationshipKind::BelongsTo).unwrap();
    assert_eq!(
        (edge.fields.join(","), edge.target_fields.join(",")),
        ("region,number".into(), "region,number".into())
    );
    assert_eq!(lines.unique_keys, [["line", "number"]]);
    assert_eq!(all.object("sales.parts").unwrap().field("day").unwrap().indexed, Indexed::Leading);
    assert_eq!(all.object("open_orders").unwrap().kind, ObjectKind::View);
    assert_eq!(all.object("totals").unwrap().kind, ObjectKind::MaterializedView);

    let mut clerk = credentials.clone();
    clerk.user = "live_clerk".into();
    clerk.password = Secret::new("clerk".into());
    let some = catalog(&clerk).await;
    let names: Vec<_> = some.objects.iter().map(|object| object.name.as_str()).collect();
    assert_eq!(names, ["customers", "open_orders", "sales.orders"]);
    let customers = some.object("customers").unwrap();
    let fields: Vec<_> = customers.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(fields, ["id", "phone", "name"]);
    assert!(!customers.privileges.insert, "one readable column cannot be inserted");
    assert!(customers.privileges.update);
    let orders = some.object("sales.orders").unwrap();
    assert!(!orders.privileges.insert && !orders.privileges.update && orders.privileges.select);
    engines::postgres().run_sql("postgres", "DROP DATABASE live_shop WITH (FORCE); DROP ROLE live_clerk");
}

#[tokio::test]
async fn the_checks_pass_warn_and_fail_where_they_should() {
    let credentials = database("live_checks", BOOKINGS);
    let engine = engines::postgres();
    engine.run_sql(
        "live_checks",
        "DROP ROLE IF EXISTS live_reader; CREATE ROLE live_reader LOGIN PASSWORD 'r'; \
         DROP ROLE IF EXISTS live_nobody; CREATE ROLE live_nobody LOGIN PASSWORD 'n'; \
         GRANT SELECT ON bookings TO live_reader",
    );
    let status = async |credentials: &Credentials| {
        let report = run_checks(&drivers(), IntegrationKind::Postgres, credentials).await;
        let statuses: Vec<_> = report.checks.iter().map(|check| check.status).collect();
        assert_eq!(report.checks.iter().map(|check| check.name).collect::<Vec<_>>(), CheckName::ALL);
        (report.ok, statuses, report.checks)
    };
    use Status::{Failed, Passed, Skipped, Warning};
    let (ok, statuses, _) = status(&credentials).await;
    assert_eq!((ok, statuses), (true, vec![Passed, Passed, Passed, Passed, Warning, Passed]));

    let as_user = |user: &str, password: &str| {
        let mut credentials = credentials.clone();
        credentials.user = user.into();
        credentials.password = Secret::new(password.into());
        credentials
    };
    let (ok, statuses, checks) = status(&as_user("live_reader", "r")).await;
    assert_eq!((ok, statuses), (true, vec![Passed; 6]), "{checks:?}");
    let (ok, statuses, _) = status(&as_user("live_nobody", "n")).await;
    assert_eq!((ok, statuses), (false, vec![Passed, Passed, Failed, Skipped, Skipped, Skipped]));
    let (_, statuses, checks) = status(&as_user("live_reader", "wrong")).await;
    assert_eq!(statuses, [Passed, Failed, Skipped, Skipped, Skipped, Skipped]);
    assert_eq!(checks[1].detail, "auth_failed (SQLSTATE 28P01)");

    let mut elsewhere = credentials.clone();
    elsewhere.database = "no_such_database".into();
    assert_eq!(status(&elsewhere).await.2[1].detail, "database_missing (SQLSTATE 3D000)");
    let mut private = credentials.clone();
    private.host = "10.0.0.1".into();
    assert_eq!(status(&private).await.2[0].detail, "host_not_allowed");
    let mut untrusted = credentials.clone();
    untrusted.ca_pem = None;
    assert_eq!(status(&untrusted).await.2[0].detail, "tls_untrusted");
    engine.run_sql(
        "postgres",
        "DROP DATABASE live_checks WITH (FORCE); DROP ROLE live_reader; DROP ROLE live_nobody",
    );
}

#[tokio::test]
async fn cleartext_and_md5_passwords_are_never_sent() {
    let credentials = database("live_auth", "");
    let engine = engines::postgres();
    engine.run_sql(
        "postgres",
        "DROP ROLE IF EXISTS live_md5; SET password_encryption = 'md5'; CREATE ROLE live_md5 LOGIN PASSWORD 'm'",
    );
    let mut md5 = credentials.clone();
    md5.user = "live_md5".into();
    md5.password = Secret::new("m".into());
    let report = run_checks(&drivers(), IntegrationKind::Postgres, &md5).await;
    assert!(report.checks[1].detail.starts_with("auth_failed"), "{:?}", report.checks[1]);
    engine.run_sql("postgres", "DROP ROLE live_md5");
}

fn pools(credentials: &Credentials) -> (Arc<Pools>, PoolKey, CredentialSource) {
    let key = PoolKey {
        organization: OrganizationId::from("live"),
        kind: IntegrationKind::Postgres,
        credential_version: 1,
    };
    let credentials = credentials.clone();
    let source: CredentialSource = Arc::new(move || {
        let credentials = credentials.clone();
        Box::pin(async move { Ok(credentials) })
    });
    (Arc::new(Pools::new(drivers())), key, source)
}

fn connections(database: &str) -> u32 {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND application_name = 'bindery'"
    );
    engines::postgres().run_sql("postgres", &sql).trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_calls_share_ten_connections_and_the_surplus_hears_so_quickly() {
    let credentials = database("live_pool", BOOKINGS);
    let (pools, key, source) = pools(&credentials);
    let read = Arc::new(read_statement("SELECT pg_catalog.pg_sleep(0.5)::text", 0, 5));
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let (pools, key, source, read) = (pools.clone(), key.clone(), source.clone(), read.clone());
            tokio::spawn(async move {
                let started = Instant::now();
                let done = pools.read(&key, &source, &read, &[], soon()).await;
                (done.map(|_| ()).map_err(|error| error.fault), started.elapsed())
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(connections("live_pool") <= 10);
    let mut served = 0;
    for call in calls {
        match call.await.unwrap() {
            (Ok(()), _) => served += 1,
            (Err(fault), took) => {
                assert_eq!(fault, Fault::TooManyConnections);
                assert!(took < Duration::from_millis(600), "{took:?}");
            }
        }
    }
    assert!(served >= 10);
    // Writes share the same cap.
    let write = update("UPDATE public.bookings SET note = $1::text WHERE id = $2::int4");
    let written = pools.write(&key, &source, &write, &[text("x"), Bound::Integer(1)], soon()).await.unwrap();
    assert_eq!(written.matched, 1);
    assert!(connections("live_pool") <= 10);

    // Evicted connections close.
    pools.evict(&key.organization, key.kind, 2);
    let started = Instant::now();
    while connections("live_pool") > 0 {
        assert!(started.elapsed() < Duration::from_secs(2));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_server_closed_is_replaced_without_an_error() {
    let credentials = database("live_replaced", BOOKINGS);
    let (pools, key, source) = pools(&credentials);
    let read = read_statement("SELECT note FROM public.bookings WHERE id = $1::int4", 1, 5);
    for _ in 0..3 {
        let rows = pools.read(&key, &source, &read, &[Bound::Integer(1)], soon()).await.unwrap();
        assert_eq!(rows.rows.len(), 1);
        engines::postgres().run_sql(
            "postgres",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'live_replaced' \
             AND application_name = 'bindery'",
        );
    }
}
