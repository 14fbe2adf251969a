//! Through a PgBouncer in transaction mode: sessions are shared, and everything is as it is without.

use super::pool::pools;
use super::*;
use crate::engines::pooler::pooler;
use infra::databases::DatabaseError;
use infra::databases::checks::{Check, CheckName, Status, run_checks};
use infra::databases::driver::{BeforeCommit, Ending, Trace, Written};
use infra::databases::error::Fault;
use serde_json::{Value, json};

/// What the pooler may have open to the server for one user and database.
const SHARED: usize = 2;
const CLIENTS: usize = 6;

const MOODS: &str = "CREATE EXTENSION citext;
    CREATE TYPE mood AS ENUM ('calm', 'cross');
    CREATE DOMAIN temper AS mood;
    CREATE TABLE moods (id int PRIMARY KEY, mood mood, moods mood[], temper temper, name citext, at timestamptz);
    INSERT INTO moods SELECT n, 'cross', '{calm,cross}', 'calm', 'Ann', '2026-01-02 03:04:05+00'
      FROM generate_series(1, 100) n;";
const MOOD: &str = "SELECT mood, moods, temper, name, at, pg_catalog.pg_sleep(0.002)::text FROM public.moods WHERE id = $1::int4";

fn mood() -> Vec<Value> {
    vec![
        json!("cross"),
        json!(["calm", "cross"]),
        json!("calm"),
        json!("Ann"),
        json!("2026-01-02T03:04:05Z"),
        json!(""),
    ]
}

fn pooled(sql: &str) -> Credentials {
    pooler().to(database(sql))
}

/// Our connections to the server, as it sees them.
fn shared(database: &str) -> usize {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND usename = 'admin_of_{database}'"
    );
    admin_sql("postgres", &sql).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checks_tell_of_a_pooler_and_everything_else_passes() {
    let engine = engines::postgres();
    let direct = engine.reader(&engine.clinic());
    let checked = run_checks(&drivers(), IntegrationKind::Postgres, &direct).await;
    let through = run_checks(&drivers(), IntegrationKind::Postgres, &pooler().to(direct)).await;
    let told = |checks: Vec<Check>| {
        checks.into_iter().map(|check| (check.name, check.status, check.hint)).collect::<Vec<_>>()
    };
    assert!(checked.ok && through.ok, "{through:?}");
    assert_eq!(checked.server, through.server);
    for ((name, status, _), (_, pooled, hint)) in told(checked.checks).into_iter().zip(told(through.checks)) {
        if name == CheckName::Authentication {
            assert_eq!((status, pooled), (Status::Passed, Status::Warning));
            assert!(hint.is_some_and(|hint| hint.contains("read-only transaction")));
        } else {
            assert_eq!(status, pooled, "{name:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_connections_share_few_and_none_sees_what_another_set_or_named() {
    let credentials = pooled(MOODS);
    let read = Arc::new(statement(Action::Read, "moods", MOOD, 1, 6, 5));
    let clients = (0..CLIENTS).map(|client| {
        let (credentials, read) = (credentials.clone(), read.clone());
        tokio::spawn(async move {
            let connection = reader(&credentials).await;
            for id in 0..20 {
                let id = Bound::Integer(1 + (client * 13 + id) as i128 % 100);
                let rows = connection.read(&read, &[id], soon()).await.unwrap();
                assert_eq!(rows.rows, [mood()]);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    assert!((1..=SHARED).contains(&shared(&credentials.database)));
    // Another client of the pooler, which trusts its session to be new. What a newer pooler names it keeps track of.
    let stranger = reader(&credentials).await;
    let left = "SELECT pg_catalog.count(*)::text, (SELECT setting || source FROM pg_catalog.pg_settings \
                WHERE name = 'default_transaction_read_only') FROM pg_catalog.pg_prepared_statements \
                WHERE name !~ '^PGBOUNCER_'";
    for _ in 0..2 * SHARED {
        let rows = stranger.read(&statement(Action::Read, "t", left, 0, 2, 5), &[], soon()).await.unwrap();
        assert_eq!(rows.rows, [[json!("0"), json!("offdefault")]]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_cannot_write_and_runs_under_the_settings() {
    let credentials = pooled(BOOKINGS);
    let connection = reader(&credentials).await;
    for writes in [
        "UPDATE public.bookings SET note = 'x' WHERE id = 1 RETURNING note",
        "INSERT INTO public.bookings VALUES (9, 'x', 1) RETURNING note",
        "SELECT pg_catalog.setval('numbers', 7)::text",
    ] {
        admin_sql(&credentials.database, "CREATE SEQUENCE IF NOT EXISTS numbers");
        let refused = connection.read(&read_statement(writes, 0, 5), &[], soon()).await.unwrap_err();
        assert_eq!(refused.fault, Fault::ReadOnlyRefused, "{writes}");
    }
    assert_eq!(
        admin_sql(&credentials.database, "SELECT string_agg(note, '' ORDER BY id) FROM bookings"),
        "ab"
    );
    let settings = "SELECT pg_catalog.concat_ws(' ', current_setting('statement_timeout'), \
         current_setting('lock_timeout'), current_setting('TimeZone'), current_setting('transaction_isolation'))";
    let rows = connection.read(&read_statement(settings, 0, 5), &[], soon()).await.unwrap();
    assert_eq!(rows.rows, [[json!("5s 1s UTC read committed")]]);
    assert!(connection.is_usable());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_changes_one_row_or_none_and_its_end_can_be_asked_for() {
    let credentials = pooled(BOOKINGS);
    let mut connection = open(&credentials, Session::ReadWrite).await;
    let one = update("UPDATE public.bookings SET note = $1::text WHERE id = $2::int4");
    let all = update("UPDATE public.bookings SET note = $1::text WHERE id > $2::int4");
    let asked = Asked::default();
    for (statement, matched) in [(&one, 1), (&all, 2), (&one, 1)] {
        let binds = [text("x"), Bound::Integer(i128::from(matched == 1))];
        let written = connection.write(statement, &binds, soon(), Some(&asked)).await.unwrap();
        assert_eq!(written.matched, matched);
    }
    assert_eq!(
        admin_sql(&credentials.database, "SELECT string_agg(note, '' ORDER BY id) FROM bookings"),
        "xb"
    );
    let misfit = update("UPDATE public.bookings SET seats = 0, note = $1::text WHERE id = $2::int4");
    let refused = connection.write(&misfit, &[text("y"), Bound::Integer(1)], soon(), None).await.unwrap_err();
    assert_eq!(refused.fault, Fault::ConstraintViolated);
    // On another connection, as the pool asks.
    let mut other = open(&credentials, Session::ReadOnly).await;
    let traces = asked.0.into_inner().unwrap();
    assert_eq!(traces.len(), 2);
    for trace in traces {
        assert_eq!(other.ending(&trace, Duration::ZERO, soon()).await, Ok(Ending::Committed));
    }
}

/// Keeps what it is told of.
#[derive(Default)]
struct Asked(std::sync::Mutex<Vec<Trace>>);

#[async_trait::async_trait]
impl BeforeCommit for Asked {
    async fn about_to_commit(&self, trace: Trace, _: &Written) -> Result<(), DatabaseError> {
        self.0.lock().unwrap().push(trace);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_read_is_cancelled_on_the_server() {
    let credentials = pooled(BOOKINGS);
    let connection = reader(&credentials).await;
    let slow = read_statement("SELECT pg_catalog.pg_sleep(30)::text", 0, 5);
    let started = Instant::now();
    let late = connection.read(&slow, &[], started + Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(late.fault, Fault::StatementTimeout);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert!(!connection.is_usable());
    connection.close().await;
    while active(&credentials.database) != "0" {
        assert!(started.elapsed() < Duration::from_millis(4500), "it still runs");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Nobody else notices.
    let other = reader(&credentials).await;
    let one = read_statement("SELECT note FROM public.bookings WHERE id = 1", 0, 5);
    assert_eq!(other.read(&one, &[], soon()).await.unwrap().rows, [[json!("a")]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_and_schemas_are_read_as_without_a_pooler() {
    let engine = engines::postgres();
    let direct = engine.admin(&engine.clinic());
    let through = pooler().to(direct.clone());
    let mut catalogs = Vec::new();
    for credentials in [&direct, &through] {
        let mut connection = open(credentials, Session::ReadOnly).await;
        let catalog = connection.introspect(&|_| {}).await.unwrap();
        catalogs.push(serde_json::to_value(catalog).unwrap());
        for _ in 0..3 {
            let text = "SELECT id FROM public.patients WHERE phone = $1::text";
            let explained = statement(Action::Read, "patients", text, 1, 1, 5);
            let plan = connection.explain(&explained).await.unwrap();
            assert!(plan.uses_index.is_some(), "{plan:?}");
            // One that cannot be prepared, and one that can but not be explained, leave no name behind.
            for wrong in
                ["SELECT nothing FROM public.patients", "SELECT 1/(SELECT 0 WHERE $1::int4 = 1) FROM nowhere"]
            {
                let wrong = statement(Action::Read, "patients", wrong, 1, 1, 5);
                assert_eq!(connection.explain(&wrong).await.unwrap_err().fault, Fault::SchemaMismatch);
            }
        }
    }
    assert_eq!(catalogs[0], catalogs[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_came_later_costs_a_new_connection_and_no_error() {
    let credentials = pooled(MOODS);
    let (pools, key, source) = pools(&credentials);
    let read = |column: &str| {
        let text = format!("SELECT {column} FROM public.moods WHERE id = $1::int4");
        Arc::new(statement(Action::Read, "moods", &text, 1, 1, 5))
    };
    let rows = pools.read(&key, &source, &read("mood"), &[Bound::Integer(1)], soon()).await.unwrap();
    assert_eq!(rows.rows, [[json!("cross")]]);
    for size in ["small", "large"] {
        let add = format!(
            "CREATE TYPE {size} AS ENUM ('{size}'); ALTER TABLE moods ADD {size} {size} DEFAULT '{size}'"
        );
        admin_sql(&credentials.database, &add);
        for _ in 0..4 {
            let rows = pools.read(&key, &source, &read(size), &[Bound::Integer(1)], soon()).await.unwrap();
            assert_eq!(rows.rows, [[json!(size)]]);
        }
    }
}
