//! What a write changes, what it leaves alone, and what ends it.

use super::*;

async fn accounts(server: &Server, database: &str) -> (Box<dyn Connection>, Statement, Statement) {
    fresh_database(server, database).await;
    set_up(
        server,
        database,
        &["CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL, twin INT, CHECK (twin <> 13))"],
    )
    .await;
    let (int, name) = (shape(FieldType::Integer, "int(11)"), shape(FieldType::String, "varchar(20)"));
    let insert = statement(
        Action::Insert,
        "INSERT INTO t (id, name, twin) VALUES (?, ?, ?)",
        &[("id", &int), ("name", &name), ("twin", &int)],
        &[],
    );
    let update = statement(
        Action::Update,
        "UPDATE t SET name = ? WHERE id = ?",
        &[("name", &name), ("id", &int)],
        &[],
    );
    (writer(server, database).await, insert, update)
}

fn row(id: i128, name: &str, twin: Bound) -> Vec<Bound> {
    vec![Bound::Integer(id), Bound::Text(name.into()), twin]
}

async fn names(server: &Server, database: &str) -> Vec<Value> {
    let name = shape(FieldType::String, "varchar(20)");
    let all = statement(Action::Read, "SELECT name FROM t ORDER BY id", &[], &[("name", &name)]);
    let rows = reader(server, database).await.read(&all, &[], soon()).await.unwrap().rows;
    rows.into_iter().map(|mut row| row.remove(0)).collect()
}

#[tokio::test]
async fn matched_and_changed_rows_are_told_apart_and_only_one_matched_row_is_committed() {
    let server = mariadb().await;
    let (mut connection, insert, update) = accounts(&server, "live_writes").await;
    for id in 1..=2 {
        let written = connection.write(&insert, &row(id, "a", Bound::Integer(7)), soon()).await.unwrap();
        assert_eq!((written.matched, written.changed), (1, 1));
    }
    let to = |name: &str, id: i128| vec![Bound::Text(name.into()), Bound::Integer(id)];
    let written = connection.write(&update, &to("b", 1), soon()).await.unwrap();
    assert_eq!((written.matched, written.changed), (1, 1));
    let written = connection.write(&update, &to("b", 1), soon()).await.unwrap();
    assert_eq!((written.matched, written.changed), (1, 0));
    let written = connection.write(&update, &to("c", 99), soon()).await.unwrap();
    assert_eq!((written.matched, written.changed), (0, 0));
    let name = shape(FieldType::String, "varchar(20)");
    let twins = statement(Action::Update, "UPDATE t SET name = ? WHERE twin = 7", &[("name", &name)], &[]);
    let written = connection.write(&twins, &[Bound::Text("d".into())], soon()).await.unwrap();
    assert_eq!((written.matched, written.changed), (2, 0));
    assert_eq!(names(&server, "live_writes").await, ["b", "a"]);
}

#[tokio::test]
async fn a_row_that_does_not_fit_changes_nothing_and_leaves_the_connection_usable() {
    let server = mariadb().await;
    let (mut connection, insert, _) = accounts(&server, "live_misfits").await;
    connection.write(&insert, &row(1, "a", Bound::Null), soon()).await.unwrap();
    for (misfit, state) in [
        (row(1, "again", Bound::Null), b"23000"),
        (vec![Bound::Integer(2), Bound::Null, Bound::Null], b"23000"),
        (row(3, "a name that is longer than its column", Bound::Null), b"22001"),
        (row(4, "a", Bound::Integer(13)), b"23000"),
        (row(1 << 40, "a", Bound::Null), b"22003"),
    ] {
        let error = connection.write(&insert, &misfit, soon()).await.unwrap_err();
        assert_eq!((error.fault, error.sqlstate), (Fault::ConstraintViolated, Some(*state)), "{misfit:?}");
        assert!(!error.advice.contains("longer than its"), "no text of the server");
        assert!(connection.is_usable());
    }
    assert_eq!(names(&server, "live_misfits").await, ["a"]);
    let gone = statement(Action::Insert, "INSERT INTO gone VALUES (1)", &[], &[]);
    let error = connection.write(&gone, &[], soon()).await.unwrap_err();
    assert_eq!(error.fault, Fault::SchemaMismatch);
}

#[tokio::test]
async fn a_read_only_session_refuses_writes_in_the_driver_and_in_the_engine() {
    let server = mariadb().await;
    let (_, insert, _) = accounts(&server, "live_read_only").await;
    let mut reader = reader(&server, "live_read_only").await;
    let error = reader.write(&insert, &row(1, "a", Bound::Null), soon()).await.unwrap_err();
    assert_eq!(error.fault, Fault::ReadOnlyRefused);
    let error = reader.read(&insert, &row(1, "a", Bound::Null), soon()).await.unwrap_err();
    assert_eq!((error.fault, error.sqlstate), (Fault::ReadOnlyRefused, Some(*b"25006")));
    assert!(names(&server, "live_read_only").await.is_empty());
}

#[tokio::test]
async fn a_row_that_somebody_holds_is_given_up_after_the_lock_timeout() {
    let server = mariadb().await;
    let (mut connection, insert, update) = accounts(&server, "live_locks").await;
    connection.write(&insert, &row(1, "a", Bound::Null), soon()).await.unwrap();
    let holder = tokio::spawn({
        let server = server.clone();
        async move {
            let int = shape(FieldType::Integer, "int(11)");
            let hold = "UPDATE t SET twin = SLEEP(3) WHERE id = ?";
            let hold = statement(Action::Update, hold, &[("id", &int)], &[]);
            writer(&server, "live_locks").await.write(&hold, &[Bound::Integer(1)], soon()).await
        }
    });
    until_running(&server, "SLEEP(3)").await;
    let start = Instant::now();
    let binds = [Bound::Text("b".into()), Bound::Integer(1)];
    let error = connection.write(&update, &binds, soon()).await.unwrap_err();
    assert_eq!(error.fault, Fault::LockTimeout);
    assert!(start.elapsed() < Duration::from_millis(1600), "{:?}", start.elapsed());
    assert!(connection.is_usable());
    holder.await.unwrap().unwrap();
    assert_eq!(names(&server, "live_locks").await, ["a"]);
}

/// Statements with this text that the server is running now.
async fn running(server: &Server, text: &str) -> u64 {
    let number = shape(FieldType::Bigint, "bigint(20)");
    let count = format!(
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%{text}%' AND ID <> CONNECTION_ID()"
    );
    let count = statement(Action::Read, &count, &[], &[("n", &number)]);
    let rows = reader(server, "Chinook").await.read(&count, &[], soon()).await.unwrap().rows;
    rows[0][0].as_str().unwrap().parse().unwrap()
}

async fn until_running(server: &Server, text: &str) {
    let give_up = soon();
    while running(server, text).await == 0 {
        assert!(Instant::now() < give_up, "{text} never ran");
    }
}

async fn until_gone(server: &Server, text: &str, limit: Duration) {
    let give_up = Instant::now() + limit;
    while running(server, text).await > 0 {
        assert!(Instant::now() < give_up, "{text} still runs after {limit:?}");
    }
}

#[tokio::test]
async fn a_statement_beyond_its_deadline_is_answered_in_time_and_gone_from_the_server() {
    let server = mariadb().await;
    let number = shape(FieldType::Integer, "int(1)");
    for sleep in ["SELECT SLEEP(4.125)", "SELECT COUNT(*) + 4125 FROM Track a, Track b, Track c"] {
        let mut connection = reader(&server, "Chinook").await;
        let slow = statement(Action::Read, sleep, &[], &[("n", &number)]);
        let start = Instant::now();
        let deadline = start + Duration::from_millis(300);
        let error = connection.read(&slow, &[], deadline).await.unwrap_err();
        assert_eq!(error.fault, Fault::StatementTimeout);
        assert!(start.elapsed() < Duration::from_millis(800), "{:?}", start.elapsed());
        assert!(!connection.is_usable());
        until_gone(&server, &sleep[7..18], Duration::from_secs(2)).await;
    }
}

#[tokio::test]
async fn a_read_that_nobody_waits_for_any_more_is_gone_from_the_server() {
    let server = mariadb().await;
    let mut connection = reader(&server, "Chinook").await;
    let number = shape(FieldType::Integer, "int(1)");
    let slow = statement(Action::Read, "SELECT SLEEP(4.25)", &[], &[("n", &number)]);
    {
        let read = connection.read(&slow, &[], soon());
        tokio::select! {
            _ = read => panic!("it sleeps longer"),
            () = until_running(&server, "SLEEP(4.25)") => {}
        }
    }
    assert!(!connection.is_usable());
    until_gone(&server, "SLEEP(4.25)", Duration::from_secs(2)).await;
}

#[tokio::test]
async fn a_write_beyond_its_deadline_is_rolled_back() {
    let server = mariadb().await;
    let (mut connection, insert, _) = accounts(&server, "live_slow_writes").await;
    connection.write(&insert, &row(1, "a", Bound::Null), soon()).await.unwrap();
    let slow = statement(Action::Update, "UPDATE t SET name = 'b', twin = SLEEP(4.5) WHERE id = 1", &[], &[]);
    let deadline = Instant::now() + Duration::from_millis(300);
    let error: DatabaseError = connection.write(&slow, &[], deadline).await.unwrap_err();
    assert_eq!(error.fault, Fault::StatementTimeout);
    until_gone(&server, "SLEEP(4.5)", Duration::from_secs(2)).await;
    assert_eq!(names(&server, "live_slow_writes").await, ["a"]);
}
