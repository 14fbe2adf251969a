use super::*;

fn request<'a>(tables: &'a [String]) -> Request<'a> {
    Request {
        database: "clinic",
        tables,
        schema: DEFAULT_SCHEMA,
        username: READ_USER,
        password: "s3cret",
        host: DEFAULT_HOST,
    }
}

fn written() -> Vec<String> {
    vec!["appointments".to_owned(), "my_patients".to_owned()]
}

#[test]
fn the_reading_script_for_postgres_grants_reading_and_nothing_else() {
    let scripts = generate(IntegrationKind::Postgres, &request(&[])).unwrap();
    assert_eq!(scripts.write, None);
    let sql = scripts.read_only.sql;
    assert!(sql.ends_with(
        "\
ALTER ROLE \"flowyte_ro\" WITH LOGIN PASSWORD 's3cret' CONNECTION LIMIT 20;
ALTER ROLE \"flowyte_ro\" SET default_transaction_read_only = on;
ALTER ROLE \"flowyte_ro\" SET statement_timeout = '20000ms';
ALTER ROLE \"flowyte_ro\" SET lock_timeout = '1000ms';
ALTER ROLE \"flowyte_ro\" SET idle_in_transaction_session_timeout = '20000ms';
REVOKE ALL ON ALL TABLES IN SCHEMA \"public\" FROM \"flowyte_ro\";
REVOKE ALL ON ALL SEQUENCES IN SCHEMA \"public\" FROM \"flowyte_ro\";
REVOKE ALL ON SCHEMA \"public\" FROM \"flowyte_ro\";
REVOKE ALL ON DATABASE \"clinic\" FROM \"flowyte_ro\";
GRANT CONNECT ON DATABASE \"clinic\" TO \"flowyte_ro\";
GRANT USAGE ON SCHEMA \"public\" TO \"flowyte_ro\";
GRANT SELECT ON ALL TABLES IN SCHEMA \"public\" TO \"flowyte_ro\";
COMMIT;
"
    ));
    assert!(!sql.contains("INSERT"));
}

#[test]
fn the_writing_script_for_postgres_adds_the_listed_tables_and_their_sequences() {
    let tables = written();
    let write = generate(IntegrationKind::Postgres, &request(&tables)).unwrap().write.unwrap();
    assert_eq!((write.username.as_str(), &write.tables), (WRITE_USER, &tables));
    let grant = "GRANT INSERT, UPDATE ON TABLE \"public\".\"appointments\", \"public\".\"my_patients\" TO \"flowyte_rw\";\n";
    assert!(write.sql.contains(grant));
    assert!(write.sql.contains("'\"public\".\"my_patients\"'::pg_catalog.regclass"));
    assert!(write.sql.contains("default_transaction_read_only = off"));
    assert!(!write.sql.contains("DELETE") && !write.sql.contains("TRUNCATE"));
}

#[test]
fn one_script_serves_mysql_and_mariadb() {
    let tables = written();
    let scripts =
        generate(IntegrationKind::Mysql, &Request { database: "my_db", ..request(&tables) }).unwrap();
    assert_eq!(
        scripts.write.unwrap().sql,
        "\
-- Run it as an administrator. The first lines make the texts below mean the same in every session.
SET @bindery_sql_mode = @@SESSION.sql_mode;
SET SESSION sql_mode = 'STRICT_ALL_TABLES';
SET NAMES utf8mb4;
CREATE USER IF NOT EXISTS 'flowyte_rw'@'%' IDENTIFIED BY 's3cret';
ALTER USER 'flowyte_rw'@'%' IDENTIFIED BY 's3cret' REQUIRE SSL WITH MAX_USER_CONNECTIONS 20 \
/*M! MAX_STATEMENT_TIME 20 */;
REVOKE ALL PRIVILEGES, GRANT OPTION FROM 'flowyte_rw'@'%';
GRANT SELECT ON `my\\_db`.* TO 'flowyte_rw'@'%';
GRANT INSERT, UPDATE ON `my_db`.`appointments` TO 'flowyte_rw'@'%';
GRANT INSERT, UPDATE ON `my_db`.`my_patients` TO 'flowyte_rw'@'%';
SET SESSION sql_mode = @bindery_sql_mode;
"
    );
    assert!(!scripts.read_only.sql.contains("INSERT"));
}

#[test]
fn quotes_backslashes_and_dollars_stay_inside_names_and_texts() {
    let tables = vec!["t\"a`b\\c".to_owned()];
    let odd = Request {
        database: "d\"`'",
        schema: "$bindery$; DROP ROLE x; --",
        username: "u'\"\\",
        password: "p'\\",
        host: "h'",
        ..request(&tables)
    };
    let postgres = generate(IntegrationKind::Postgres, &odd).unwrap();
    let write = postgres.write.unwrap().sql;
    assert!(write.contains("DO $bindery1$\n"), "the mark does not occur in the block");
    assert!(write.contains("\"$bindery$; DROP ROLE x; --\".\"t\"\"a`b\\c\""));
    assert!(postgres.read_only.sql.contains("ALTER ROLE \"u'\"\"\\\" WITH LOGIN PASSWORD E'p''\\\\' "));
    assert!(postgres.read_only.sql.contains("current_database() <> 'd\"`'''"));
    let mysql = generate(IntegrationKind::Mysql, &odd).unwrap();
    assert!(mysql.read_only.sql.contains("ALTER USER 'u''\"\\\\'@'h''' IDENTIFIED BY 'p''\\\\' "));
    assert!(mysql.write.unwrap().sql.contains("ON `d\"``'`.`t\"a``b\\c` TO 'flowyte_rw'@'h'''"));
}

#[test]
fn the_writing_account_is_never_the_reading_one() {
    let tables = written();
    let scripts =
        generate(IntegrationKind::Mysql, &Request { username: WRITE_USER, ..request(&tables) }).unwrap();
    assert_ne!(scripts.read_only.username, scripts.write.unwrap().username);
}

#[test]
fn names_that_the_engine_cannot_hold_are_refused_together() {
    let tables = vec!["a\0b".to_owned()];
    let long = "x".repeat(64);
    let errors = generate(
        IntegrationKind::Postgres,
        &Request { database: "", schema: &long, password: "", host: "", ..request(&tables) },
    )
    .unwrap_err();
    let found: Vec<(&str, &str)> = errors.iter().map(|error| (error.field.as_str(), error.code)).collect();
    assert_eq!(
        found,
        [
            ("database", "invalid_length"),
            ("schema", "invalid_length"),
            ("tables", "invalid_format"),
            ("password", "invalid_length"),
        ]
    );
}

#[test]
fn a_list_of_tables_is_split_at_commas() {
    assert_eq!(tables(" a, b ,,a,c d"), ["a", "b", "c d"]);
    assert!(tables(" , ").is_empty());
}

#[test]
fn notes_never_hold_the_password() {
    let tables = written();
    for kind in IntegrationKind::ALL {
        let scripts = generate(kind, &request(&tables)).unwrap();
        let notes = [scripts.read_only.notes, scripts.write.unwrap().notes].concat();
        assert!(
            notes.iter().all(|note| !note.contains("s3cret") && note.ends_with(['.', ';'])),
            "{notes:#?}"
        );
    }
}
