//! What ends a statement that takes too long, and what is left of it on the server.

use super::writes::{accounts, names, row};
use super::*;
use infra::databases::DatabaseError;
use infra::databases::error::Fault;

const LOOK_AGAIN: Duration = Duration::from_millis(20);

#[tokio::test]
async fn a_row_that_somebody_holds_is_given_up_after_the_lock_timeout() {
    let (admin, insert, update) = accounts();
    let mut connection = writer(&admin).await;
    connection.write(&insert, &row(1, "a", Bound::Null), soon(), None).await.unwrap();
    let holder = tokio::spawn({
        let admin = admin.clone();
        async move {
            let int = shape(FieldType::Integer, "int(11)");
            let hold = "UPDATE t SET twin = SLEEP(3) WHERE id = ?";
            let hold = statement(Action::Update, hold, &[("id", &int)], &[]);
            writer(&admin).await.write(&hold, &[Bound::Integer(1)], soon(), None).await
        }
    });
    until_running("SLEEP(3)").await;
    let start = Instant::now();
    let binds = [Bound::Text("b".into()), Bound::Integer(1)];
    let error = connection.write(&update, &binds, soon(), None).await.unwrap_err();
    assert_eq!(error.fault, Fault::LockTimeout);
    assert!(start.elapsed() < Duration::from_millis(2500), "{:?}", start.elapsed());
    assert!(connection.is_usable());
    holder.await.unwrap().unwrap();
    assert_eq!(names(&admin), "a");
}

/// Statements with this text that the server is running now.
fn running(text: &str) -> u64 {
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%{text}%' AND ID <> CONNECTION_ID()"
    );
    engines::mysql().admin_sql("mysql", &sql).trim().parse().unwrap()
}

async fn until_running(text: &str) {
    let give_up = soon();
    while running(text) == 0 {
        assert!(Instant::now() < give_up, "{text} never ran");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn until_gone(text: &str, limit: Duration) {
    let give_up = Instant::now() + limit;
    while running(text) > 0 {
        assert!(Instant::now() < give_up, "{text} still runs after {limit:?}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

#[tokio::test]
async fn a_statement_beyond_its_deadline_is_answered_in_time_and_gone_from_the_server() {
    let admin = database(
        "CREATE TABLE many (id INT PRIMARY KEY)
         WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 900) SELECT id FROM n",
    );
    let number = shape(FieldType::Integer, "int(1)");
    for sleep in ["SELECT SLEEP(4.125)", "SELECT COUNT(*) + 4125 FROM many a, many b, many c"] {
        let connection = reader(&admin).await;
        let slow = statement(Action::Read, sleep, &[], &[("n", &number)]);
        let start = Instant::now();
        let deadline = start + Duration::from_millis(300);
        let error = connection.read(&slow, &[], deadline).await.unwrap_err();
        assert_eq!(error.fault, Fault::StatementTimeout);
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        assert!(!connection.is_usable());
        until_gone(&sleep[7..18], Duration::from_secs(3)).await;
    }
}

#[tokio::test]
async fn a_read_that_nobody_waits_for_any_more_is_gone_from_the_server() {
    let admin = database("");
    let connection = reader(&admin).await;
    let number = shape(FieldType::Integer, "int(1)");
    let slow = statement(Action::Read, "SELECT SLEEP(4.25)", &[], &[("n", &number)]);
    {
        let deadline = soon();
        let read = connection.read(&slow, &[], deadline);
        tokio::select! {
            _ = read => panic!("it sleeps longer"),
            () = until_running("SLEEP(4.25)") => {}
        }
    }
    assert!(!connection.is_usable());
    until_gone("SLEEP(4.25)", Duration::from_secs(3)).await;
}

#[tokio::test]
async fn a_write_beyond_its_deadline_is_rolled_back() {
    let (admin, insert, _) = accounts();
    let mut connection = writer(&admin).await;
    connection.write(&insert, &row(1, "a", Bound::Null), soon(), None).await.unwrap();
    let slow = statement(Action::Update, "UPDATE t SET name = 'b', twin = SLEEP(4.5) WHERE id = 1", &[], &[]);
    let deadline = Instant::now() + Duration::from_millis(300);
    let error: DatabaseError = connection.write(&slow, &[], deadline, None).await.unwrap_err();
    assert_eq!(error.fault, Fault::StatementTimeout);
    until_gone("SLEEP(4.5)", Duration::from_secs(3)).await;
    assert_eq!(names(&admin), "a");
}
