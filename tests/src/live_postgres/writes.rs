//! One row or nothing.

use super::*;
use infra::databases::error::Fault;
use serde_json::json;

#[tokio::test]
async fn a_write_commits_exactly_one_row_and_returns_it() {
    let credentials = database(BOOKINGS);
    let mut connection = open(&credentials, Session::ReadWrite).await;
    let by_key = update("UPDATE public.bookings SET note = $1::text WHERE id = $2::int4 RETURNING note");
    let binds = |id: i128| [text("new"), Bound::Integer(id)];
    let written = connection.write(&by_key, &binds(1), soon(), None).await.unwrap();
    assert_eq!((written.matched, written.changed), (1, 1));
    assert_eq!(written.rows.rows, vec![vec![json!("new")]]);
    let missing = connection.write(&by_key, &binds(99), soon(), None).await.unwrap();
    assert_eq!(missing.matched, 0);

    let everything = update("UPDATE public.bookings SET note = $1::text WHERE id > $2::int4");
    let written = connection.write(&everything, &binds(0), soon(), None).await.unwrap();
    assert_eq!(written.matched, 2);
    let notes = admin_sql(&credentials.database, "SELECT string_agg(note, ',' ORDER BY id) FROM bookings");
    assert_eq!(notes.trim(), "new,b");
    assert!(connection.is_usable());
}

#[tokio::test]
async fn a_refused_write_names_its_reason_and_changes_nothing() {
    let credentials = database(BOOKINGS);
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
            connection.write(&update(sql), &[text("x"), Bound::Integer(1)], soon(), None).await.unwrap_err();
        assert_eq!((error.fault, error.sqlstate), (fault, Some(sqlstate)), "{sql}");
        assert!(!error.advice.contains("bookings"), "server text must not pass");
        assert!(connection.is_usable());
    }
    let count = "SELECT (SELECT count(*) FROM bookings) + (SELECT count(*) FROM guests)";
    assert_eq!(admin_sql(&credentials.database, count), "2");
}

#[tokio::test]
async fn somebody_elses_lock_is_waited_for_one_second() {
    let credentials = database(BOOKINGS);
    let mut holder = open(&credentials, Session::ReadWrite).await;
    let mut waiter = open(&credentials, Session::ReadWrite).await;
    let slow = update(
        "UPDATE public.bookings SET note = $1::text FROM pg_catalog.pg_sleep(0) WHERE id = $2::int4 \
         RETURNING pg_catalog.pg_sleep(3)::text",
    );
    let fast = update("UPDATE public.bookings SET note = $1::text WHERE id = $2::int4");
    let held = tokio::spawn(async move {
        holder
            .write(&slow, &[text("held"), Bound::Integer(1)], soon(), None)
            .await
            .map(|written| written.matched)
    });
    while active(&credentials.database) != "1" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let started = Instant::now();
    let error = waiter.write(&fast, &[text("x"), Bound::Integer(1)], soon(), None).await.unwrap_err();
    assert_eq!((error.fault, error.sqlstate), (Fault::LockTimeout, Some(*b"55P03")));
    assert!(started.elapsed() < Duration::from_millis(2500));
    assert_eq!(held.await.unwrap(), Ok(1));
}

#[tokio::test]
async fn no_session_writes_outside_of_a_counted_transaction() {
    let credentials = database(BOOKINGS);
    for session in [Session::ReadOnly, Session::ReadWrite] {
        let connection = open(&credentials, session).await.into_reader();
        let sneaky = read_statement("DELETE FROM public.bookings RETURNING note", 0, 5);
        let error = connection.read(&sneaky, &[], soon()).await.unwrap_err();
        assert_eq!((error.fault, error.sqlstate), (Fault::ReadOnlyRefused, Some(*b"25006")));
    }
    assert_eq!(admin_sql(&credentials.database, "SELECT count(*) FROM bookings"), "2");
}

#[tokio::test]
async fn a_table_that_was_altered_is_read_again_without_an_error() {
    let credentials = database(BOOKINGS);
    let connection = reader(&credentials).await;
    let read = read_statement("SELECT seats FROM public.bookings WHERE id = $1::int4", 1, 5);
    let before = connection.read(&read, &[Bound::Integer(1)], soon()).await.unwrap();
    assert_eq!(before.rows, vec![vec![json!(1)]]);
    admin_sql(&credentials.database, "ALTER TABLE bookings ALTER seats TYPE bigint");
    let after = connection.read(&read, &[Bound::Integer(1)], soon()).await.unwrap();
    assert_eq!(after.rows, vec![vec![json!("1")]]);
}
