//! What a write changes, what it leaves alone, and what ends it.

use super::*;
use infra::databases::error::Fault;

/// A table, an insert into it and an update of one row.
pub(super) fn accounts() -> (Credentials, Statement, Statement) {
    let admin = database(
        "CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL, twin INT, CHECK (twin <> 13))",
    );
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
    (admin, insert, update)
}

pub(super) fn row(id: i128, name: &str, twin: Bound) -> Vec<Bound> {
    vec![Bound::Integer(id), Bound::Text(name.into()), twin]
}

pub(super) fn names(database: &Credentials) -> String {
    admin_sql(database, "SELECT COALESCE(GROUP_CONCAT(name ORDER BY id), '') FROM t")
}

#[tokio::test]
async fn matched_and_changed_rows_are_told_apart_and_only_one_matched_row_is_committed() {
    let (admin, insert, update) = accounts();
    let mut connection = writer(&admin).await;
    for id in 1..=2 {
        let written =
            connection.write(&insert, &row(id, "a", Bound::Integer(7)), soon(), None).await.unwrap();
        assert_eq!((written.matched, written.changed), (1, 1));
    }
    let to = |name: &str, id: i128| vec![Bound::Text(name.into()), Bound::Integer(id)];
    let written = connection.write(&update, &to("b", 1), soon(), None).await.unwrap();
    assert_eq!((written.matched, written.changed), (1, 1));
    let written = connection.write(&update, &to("b", 1), soon(), None).await.unwrap();
    assert_eq!((written.matched, written.changed), (1, 0));
    let written = connection.write(&update, &to("c", 99), soon(), None).await.unwrap();
    assert_eq!((written.matched, written.changed), (0, 0));
    let name = shape(FieldType::String, "varchar(20)");
    let twins = statement(Action::Update, "UPDATE t SET name = ? WHERE twin = 7", &[("name", &name)], &[]);
    let written = connection.write(&twins, &[Bound::Text("d".into())], soon(), None).await.unwrap();
    assert_eq!((written.matched, written.changed), (2, 0));
    assert_eq!(names(&admin), "b,a");
}

#[tokio::test]
async fn a_row_that_does_not_fit_changes_nothing_and_leaves_the_connection_usable() {
    let (admin, insert, _) = accounts();
    let mut connection = writer(&admin).await;
    connection.write(&insert, &row(1, "a", Bound::Null), soon(), None).await.unwrap();
    for (misfit, state) in [
        (row(1, "again", Bound::Null), b"23000"),
        (vec![Bound::Integer(2), Bound::Null, Bound::Null], b"23000"),
        (row(3, "a name that is longer than its column", Bound::Null), b"22001"),
        (row(4, "a", Bound::Integer(13)), b"23000"),
        (row(1 << 40, "a", Bound::Null), b"22003"),
    ] {
        let error = connection.write(&insert, &misfit, soon(), None).await.unwrap_err();
        assert_eq!((error.fault, error.sqlstate), (Fault::ConstraintViolated, Some(*state)), "{misfit:?}");
        assert!(!error.advice.contains("longer than its"), "no text of the server");
        assert!(connection.is_usable());
    }
    assert_eq!(names(&admin), "a");
    let gone = statement(Action::Insert, "INSERT INTO gone VALUES (1)", &[], &[]);
    let error = connection.write(&gone, &[], soon(), None).await.unwrap_err();
    assert_eq!(error.fault, Fault::SchemaMismatch);
}

#[tokio::test]
async fn a_read_only_session_refuses_writes_in_the_driver_and_in_the_engine() {
    let (admin, insert, _) = accounts();
    let mut connection = read_only(&admin).await;
    let error = connection.write(&insert, &row(1, "a", Bound::Null), soon(), None).await.unwrap_err();
    assert_eq!(error.fault, Fault::ReadOnlyRefused);
    let error = connection.into_reader().read(&insert, &row(1, "a", Bound::Null), soon()).await.unwrap_err();
    assert_eq!((error.fault, error.sqlstate), (Fault::ReadOnlyRefused, Some(*b"25006")));
    assert_eq!(names(&admin), "");
}
