//! Answers that are too long, and statements that take too long.

use super::*;
use domain::limits::STATEMENT_TIMEOUT;
use infra::databases::error::Fault;

#[tokio::test]
async fn answers_are_cut_at_the_limits_and_say_so() {
    let credentials = database("");
    let connection = reader(&credentials).await;
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

/// Before the session's own limit would have ended it.
async fn gone_in_time(database: &str, started: Instant) {
    while active(database) != "0" {
        assert!(started.elapsed() < STATEMENT_TIMEOUT, "the backend still runs");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_late_statement_is_answered_in_time_and_its_backend_is_gone() {
    let credentials = database("");
    let connection = reader(&credentials).await;
    let sleep = read_statement("SELECT pg_catalog.pg_sleep(30)::text", 0, 5);
    let started = Instant::now();
    let error = connection.read(&sleep, &[], started + Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(error.fault, Fault::StatementTimeout);
    assert!(started.elapsed() < Duration::from_secs(3));
    assert!(!connection.is_usable());
    gone_in_time(&credentials.database, started).await;
}

#[tokio::test]
async fn a_dropped_call_leaves_no_query_running() {
    let credentials = database("");
    let connection = reader(&credentials).await;
    let sleep = read_statement("SELECT pg_catalog.pg_sleep(30)::text", 0, 5);
    let (started, deadline) = (Instant::now(), soon());
    let call = connection.read(&sleep, &[], deadline);
    assert!(tokio::time::timeout(Duration::from_millis(300), call).await.is_err());
    assert!(!connection.is_usable());
    gone_in_time(&credentials.database, started).await;
}

#[tokio::test]
async fn the_session_itself_ends_a_statement_after_five_seconds() {
    let credentials = database("");
    let connection = reader(&credentials).await;
    let sleep = read_statement("SELECT pg_catalog.pg_sleep(30)::text", 0, 5);
    let started = Instant::now();
    let error = connection.read(&sleep, &[], started + Duration::from_secs(20)).await.unwrap_err();
    assert_eq!((error.fault, error.sqlstate), (Fault::StatementTimeout, Some(*b"57014")));
    assert!(started.elapsed() < Duration::from_secs(15));
    assert!(connection.is_usable());
}
