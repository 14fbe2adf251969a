//! A write changes one row or nothing, whatever the table looks like, and what it sets off is told before it goes live.

use crate::desk::Desk;
use events::IntegrationKind;
use serde_json::{Value, json};

const TABLES: [&str; 2] = [
    // PostgreSQL
    "CREATE TABLE by_key (id int PRIMARY KEY, note text, amount int CHECK (amount > 0));
     CREATE TABLE by_code (id int PRIMARY KEY, code text NOT NULL UNIQUE, note text);
     CREATE TABLE by_nullable (id int PRIMARY KEY, code text UNIQUE, note text);
     CREATE TABLE composite (a int, b int, note text, PRIMARY KEY (a, b));
     CREATE TABLE grouped (id int PRIMARY KEY, team int NOT NULL, note text);
     CREATE INDEX ON grouped (team);
     CREATE TABLE partly (id int PRIMARY KEY, code text, active boolean, note text);
     CREATE UNIQUE INDEX ON partly (code) WHERE active;
     CREATE TABLE computed (id int PRIMARY KEY, code text, note text);
     CREATE UNIQUE INDEX ON computed (lower(code));
     CREATE TABLE parent (id int PRIMARY KEY, note text);
     CREATE TABLE heir () INHERITS (parent);
     CREATE TABLE generated (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int NOT NULL,
        twice int GENERATED ALWAYS AS (n * 2) STORED);
     CREATE TABLE owners (id int PRIMARY KEY, code text NOT NULL UNIQUE, name text);
     CREATE TABLE pets (id int PRIMARY KEY, owner text NOT NULL REFERENCES owners (code) ON UPDATE CASCADE);
     CREATE TABLE log (what text);
     CREATE TABLE watched (id int PRIMARY KEY, note text);
     CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql
        AS $$BEGIN INSERT INTO log VALUES ('a'), ('b'); RETURN NEW; END$$;
     CREATE TRIGGER watching AFTER UPDATE ON watched FOR EACH ROW EXECUTE FUNCTION watch();
     CREATE VIEW seen AS SELECT id, note FROM by_key;",
    // MariaDB
    "CREATE TABLE by_key (id int PRIMARY KEY, note varchar(40), amount int CHECK (amount > 0));
     CREATE TABLE by_code (id int PRIMARY KEY, code varchar(20) NOT NULL UNIQUE, note varchar(40));
     CREATE TABLE by_nullable (id int PRIMARY KEY, code varchar(20) UNIQUE, note varchar(40));
     CREATE TABLE composite (a int, b int, note varchar(40), PRIMARY KEY (a, b));
     CREATE TABLE grouped (id int PRIMARY KEY, team int NOT NULL, note varchar(40), KEY (team));
     CREATE TABLE partly (id int PRIMARY KEY, code varchar(20), active boolean, note varchar(40),
        UNIQUE (code, active));
     CREATE TABLE computed (id int PRIMARY KEY, code varchar(20), note varchar(40),
        lowered varchar(20) AS (LOWER(code)) VIRTUAL, UNIQUE (lowered));
     CREATE TABLE heap (id int PRIMARY KEY, note varchar(40)) ENGINE = MyISAM;
     CREATE TABLE generated (id int AUTO_INCREMENT PRIMARY KEY, n int NOT NULL, twice int AS (n * 2) STORED);
     CREATE TABLE owners (id int PRIMARY KEY, code varchar(20) NOT NULL UNIQUE, name varchar(40));
     CREATE TABLE pets (id int PRIMARY KEY, owner varchar(20) NOT NULL,
        FOREIGN KEY (owner) REFERENCES owners (code) ON UPDATE CASCADE);
     CREATE TABLE log (what varchar(40));
     CREATE TABLE watched (id int PRIMARY KEY, note varchar(40));
     CREATE TRIGGER watching AFTER UPDATE ON watched FOR EACH ROW INSERT INTO log VALUES ('a'), ('b');
     CREATE VIEW seen AS SELECT id, note FROM by_key;",
];

const ROWS: &str = "
     INSERT INTO by_key VALUES (1, 'a', 1), (2, 'a', 1);
     INSERT INTO by_code VALUES (1, 'x', 'a'), (2, 'y', 'a');
     INSERT INTO by_nullable VALUES (1, NULL, 'a'), (2, NULL, 'a'), (3, 'x', 'a');
     INSERT INTO composite VALUES (1, 1, 'a'), (1, 2, 'a');
     INSERT INTO grouped VALUES (1, 7, 'a'), (2, 7, 'a');
     INSERT INTO owners VALUES (1, 'ann', 'Ann'), (2, 'bob', 'Bob');
     INSERT INTO pets VALUES (1, 'ann'), (2, 'ann'), (3, 'ann');
     INSERT INTO watched VALUES (1, 'a'), (2, 'a');";

async fn desk(kind: IntegrationKind) -> Desk {
    let [on_postgres, on_mysql] = TABLES;
    let tables = match kind {
        IntegrationKind::Postgres => on_postgres,
        IntegrationKind::Mysql => on_mysql,
    };
    Desk::open(kind, &format!("{tables}{ROWS}")).await
}

/// An update of `column` by `key`; the tool is named after both.
fn update(table: &str, key: &str, column: &str) -> Value {
    json!({
        "toolName": format!("{table}_{key}_{column}"),
        "operation": format!("{table}.update"),
        "keyColumn": key,
        "keyParam": "key",
        "inputs": [{ "param": "value", "arg": column }],
    })
}

fn insert(table: &str, columns: &[&str]) -> Value {
    let inputs = columns.iter().map(|column| json!({ "param": column, "arg": column }));
    json!({
        "toolName": format!("{table}_insert"),
        "operation": format!("{table}.insert"),
        "inputs": inputs.collect::<Vec<_>>(),
    })
}

async fn keys_that_are_not_unique_are_refused(kind: IntegrationKind) {
    let desk = desk(kind).await;
    let mut refused = vec![("composite", "a"), ("composite", "b"), ("grouped", "team"), ("partly", "code")];
    refused.push(("computed", "code"));
    for (table, key) in refused {
        let answer = desk.try_bind(update(table, key, "note")).await;
        assert_eq!((answer.status, answer.code()), (422, "key_not_unique"), "{table}.{key}: {}", answer.body);
    }
    let mut forbidden = vec![update("seen", "id", "note"), insert("seen", &["id", "note"])];
    match kind {
        IntegrationKind::Postgres => {}
        // What cannot be rolled back cannot be guarded.
        IntegrationKind::Mysql => forbidden.push(update("heap", "id", "note")),
    }
    for binding in forbidden {
        let answer = desk.try_bind(binding.clone()).await;
        assert_eq!(answer.status, 422, "{binding}: {}", answer.body);
        assert_eq!(answer.body["errors"][0]["field"], "operation", "{binding}: {}", answer.body);
    }
    let mut computed = insert("generated", &["n", "twice"]);
    let answer = desk.try_bind(computed.clone()).await;
    assert_eq!(answer.status, 422, "a generated column is not written: {}", answer.body);
    computed["inputs"] = json!([]);
    let answer = desk.try_bind(computed).await;
    assert_eq!(answer.status, 422, "a required column is bound: {}", answer.body);
}

async fn an_update_changes_its_one_row(kind: IntegrationKind) {
    let desk = desk(kind).await;
    for (table, key) in [("by_key", "id"), ("by_code", "code"), ("by_nullable", "code"), ("watched", "id")] {
        desk.bind(update(table, key, "note")).await;
    }
    desk.publish().await;
    let notes = |table: &str| desk.sql(&format!("SELECT note FROM {table} ORDER BY id")).replace('\n', "");
    let cases = [
        ("by_key", "id", json!(1), json!(9), "ba"),
        ("by_code", "code", json!("y"), json!("Y' OR '1'='1"), "ab"),
        ("by_nullable", "code", json!("x"), json!("NULL"), "aab"),
        ("watched", "id", json!(2), json!(-1), "ab"),
    ];
    for (table, key, one, none, expected) in cases {
        let tool = format!("{table}_{key}_note");
        let missing = desk.call(&tool, json!({ "key": none, "value": "c" })).await;
        assert_eq!((&missing["outcome"], &missing["matched"]), (&json!("not_found"), &json!(0)), "{tool}");
        let written = desk.call(&tool, json!({ "key": one, "value": "b" })).await;
        assert_eq!((&written["outcome"], &written["matched"]), (&json!("ok"), &json!(1)), "{written}");
        assert_eq!(written["changed"], 1, "{tool}: {written}");
        assert_eq!(notes(table), expected, "{tool}");
        let again = desk.call(&tool, json!({ "key": one, "value": "b" })).await;
        let changed = match kind {
            IntegrationKind::Postgres => 1,
            // It tells a row that was found from one that is different since.
            IntegrationKind::Mysql => 0,
        };
        assert_eq!(again["outcome"], "ok", "{tool}: {again}");
        assert_eq!((&again["matched"], &again["changed"]), (&json!(1), &json!(changed)), "{tool}");
    }
    // A key that is NULL is nobody's, although rows hold it.
    let nobody = desk.call("by_nullable_code_note", json!({ "key": null, "value": "c" })).await;
    assert_ne!(nobody["outcome"], "ok", "{nobody}");
    assert_eq!(notes("by_nullable"), "aab");
}

async fn a_row_that_does_not_fit_changes_nothing(kind: IntegrationKind) {
    let desk = desk(kind).await;
    desk.bind(insert("by_key", &["id", "note", "amount"])).await;
    desk.bind(insert("by_code", &["id", "code", "note"])).await;
    desk.bind(insert("pets", &["id", "owner"])).await;
    desk.bind(insert("generated", &["n"])).await;
    desk.bind(update("by_code", "id", "code")).await;
    desk.bind(update("by_key", "id", "amount")).await;
    desk.bind(update("pets", "id", "owner")).await;
    desk.publish().await;
    let content = || {
        desk.sql(
            "SELECT * FROM by_key ORDER BY id; SELECT * FROM by_code ORDER BY id; SELECT * FROM pets ORDER BY id;
             SELECT n FROM generated",
        )
    };
    let before = content();
    let misfits = [
        ("by_key_insert", json!({ "id": 1, "note": "b", "amount": 5 })),
        ("by_key_insert", json!({ "id": 3, "note": "b", "amount": -5 })),
        ("by_code_insert", json!({ "id": 3, "code": "x", "note": "b" })),
        ("pets_insert", json!({ "id": 9, "owner": "nobody" })),
        ("by_code_id_code", json!({ "key": 2, "value": "x" })),
        ("by_key_id_amount", json!({ "key": 1, "value": 0 })),
        ("pets_id_owner", json!({ "key": 1, "value": "nobody" })),
    ];
    for (tool, arguments) in misfits {
        let answer = desk.call(tool, arguments.clone()).await;
        assert_eq!(
            (&answer["outcome"], &answer["code"]),
            (&json!("refused"), &json!("constraint_violated")),
            "{tool} {arguments}: {answer}"
        );
        assert_eq!(content(), before, "{tool} {arguments}");
    }
    // NOT NULL is known from the catalog: such a value is not even sent.
    for (tool, arguments) in [
        ("by_code_insert", json!({ "id": 3, "code": null, "note": "b" })),
        ("by_code_insert", json!({ "id": 3, "note": "b" })),
        ("by_code_id_code", json!({ "key": 1, "value": null })),
    ] {
        let answer = desk.call(tool, arguments.clone()).await;
        assert_eq!(answer["outcome"], "invalid_arguments", "{tool} {arguments}: {answer}");
        assert_eq!(content(), before, "{tool} {arguments}");
    }
    let inserted = desk.call("generated_insert", json!({ "n": 21 })).await;
    assert_eq!((&inserted["outcome"], &inserted["matched"]), (&json!("ok"), &json!(1)), "{inserted}");
    assert_eq!(desk.sql("SELECT twice FROM generated"), "42");
}

async fn what_a_write_sets_off_is_told_before_it_is_published(kind: IntegrationKind) {
    let desk = desk(kind).await;
    desk.bind(update("watched", "id", "note")).await;
    desk.bind(update("owners", "code", "name")).await;
    desk.bind(update("owners", "id", "code")).await;
    desk.bind(update("by_key", "id", "note")).await;
    let report = desk.site.http.get(&format!("/agents/{}/prepublish-report", desk.agent)).await;
    let told = |tool: &str| {
        let skills = report.data()["skills"].as_array().expect("a list").iter();
        let skill = skills.into_iter().find(|skill| skill["tool"] == tool).expect("the skill");
        let warned = skill["warnings"].to_string().contains("more than its own row");
        (skill["sideEffects"].to_string(), warned)
    };
    let (trigger, warned) = told("watched_id_note");
    assert!(trigger.contains("watching") && warned, "{trigger}");
    let (cascade, warned) = told("owners_id_code");
    assert!(cascade.contains("pets") && cascade.contains("CASCADE") && warned, "{cascade}");
    for quiet in ["owners_code_name", "by_key_id_note"] {
        assert_eq!(told(quiet), ("[]".to_owned(), false), "{quiet}");
    }
    desk.publish().await;
    let written = desk.call("watched_id_note", json!({ "key": 1, "value": "b" })).await;
    assert_eq!((&written["outcome"], &written["matched"]), (&json!("ok"), &json!(1)), "{written}");
    assert_eq!(
        desk.sql("SELECT count(*) FROM log"),
        "2",
        "the trigger's rows are not counted as the write's"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_unique_key_of_a_table_is_updated_by_on_postgres() {
    keys_that_are_not_unique_are_refused(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_unique_key_of_a_table_is_updated_by_on_mariadb() {
    keys_that_are_not_unique_are_refused(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_changes_its_one_row_or_none_on_postgres() {
    an_update_changes_its_one_row(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_changes_its_one_row_or_none_on_mariadb() {
    an_update_changes_its_one_row(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_does_not_fit_changes_nothing_on_postgres() {
    a_row_that_does_not_fit_changes_nothing(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_does_not_fit_changes_nothing_on_mariadb() {
    a_row_that_does_not_fit_changes_nothing(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_and_cascades_are_told_before_a_publish_on_postgres() {
    what_a_write_sets_off_is_told_before_it_is_published(IntegrationKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_and_cascades_are_told_before_a_publish_on_mariadb() {
    what_a_write_sets_off_is_told_before_it_is_published(IntegrationKind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_another_table_repeats_by_inheritance_changes_nothing() {
    let desk = desk(IntegrationKind::Postgres).await;
    desk.sql("INSERT INTO parent VALUES (1, 'a'), (2, 'a'); INSERT INTO heir VALUES (1, 'a')");
    desk.bind(update("parent", "id", "note")).await;
    desk.publish().await;
    let answer = desk.call("parent_id_note", json!({ "key": 1, "value": "b" })).await;
    assert_eq!((&answer["outcome"], &answer["code"]), (&json!("refused"), &json!("not_one_row")), "{answer}");
    assert_eq!(desk.sql("SELECT count(*) FROM parent WHERE note = 'a'"), "3");
}
