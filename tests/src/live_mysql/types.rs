//! Every column type, written from arguments and read back.

use super::*;
use domain::catalog::Index;

/// Column type, catalog type, argument, answer.
fn cases() -> Vec<(&'static str, FieldType, Bound, Value)> {
    let text = |text: &str| Bound::Text(text.into());
    let members = |members: &[&str]| Bound::Array(members.iter().map(|member| text(member)).collect());
    vec![
        ("TINYINT", FieldType::Integer, Bound::Integer(-128), json!(-128)),
        ("TINYINT UNSIGNED", FieldType::Integer, Bound::Integer(255), json!(255)),
        ("TINYINT(1)", FieldType::Boolean, Bound::Boolean(true), json!(true)),
        ("SMALLINT", FieldType::Integer, Bound::Integer(-32768), json!(-32768)),
        ("SMALLINT UNSIGNED", FieldType::Integer, Bound::Integer(65535), json!(65535)),
        ("MEDIUMINT", FieldType::Integer, Bound::Integer(-8_388_608), json!(-8_388_608)),
        ("MEDIUMINT UNSIGNED", FieldType::Integer, Bound::Integer(16_777_215), json!(16_777_215)),
        ("INT", FieldType::Integer, Bound::Integer(-2_147_483_648), json!(-2_147_483_648i64)),
        ("INT UNSIGNED", FieldType::Integer, Bound::Integer(4_294_967_295), json!(4_294_967_295u32)),
        ("INT(5) ZEROFILL", FieldType::Integer, Bound::Integer(42), json!(42)),
        ("BIGINT", FieldType::Bigint, Bound::Integer(i64::MIN.into()), json!("-9223372036854775808")),
        (
            "BIGINT UNSIGNED",
            FieldType::Bigint,
            Bound::Integer(u64::MAX.into()),
            json!("18446744073709551615"),
        ),
        (
            "DECIMAL(30,10)",
            FieldType::Decimal,
            text("-12345678901234567890.0123456789"),
            json!("-12345678901234567890.0123456789"),
        ),
        ("DECIMAL(12,2)", FieldType::Decimal, text("10.50"), json!("10.50")),
        ("FLOAT", FieldType::Float, Bound::Float(0.1), json!(0.1)),
        ("DOUBLE", FieldType::Float, Bound::Float(0.1), json!(0.1)),
        ("BIT(1)", FieldType::Boolean, Bound::Boolean(true), json!(true)),
        ("BIT(12)", FieldType::Integer, Bound::Integer(2748), json!(2748)),
        ("BIT(64)", FieldType::Bigint, Bound::Integer(u64::MAX.into()), json!("18446744073709551615")),
        ("YEAR", FieldType::Integer, Bound::Integer(2026), json!(2026)),
        ("DATE", FieldType::Date, text("2024-02-29"), json!("2024-02-29")),
        ("TIME", FieldType::Time, text("23:59:59"), json!("23:59:59")),
        ("TIME(6)", FieldType::Time, text("-838:59:58.000001"), json!("-838:59:58.000001")),
        ("DATETIME", FieldType::Timestamp, text("9999-12-31T23:59:59"), json!("9999-12-31T23:59:59")),
        (
            "DATETIME(6)",
            FieldType::Timestamp,
            text("2024-01-31T10:00:00.12"),
            json!("2024-01-31T10:00:00.12"),
        ),
        (
            "TIMESTAMP NULL",
            FieldType::Timestamptz,
            text("2024-03-31T01:30:00Z"),
            json!("2024-03-31T01:30:00Z"),
        ),
        (
            "TIMESTAMP(3) NULL",
            FieldType::Timestamptz,
            text("2024-03-31T02:30:00.125Z"),
            json!("2024-03-31T02:30:00.125Z"),
        ),
        ("CHAR(10)", FieldType::String, text("né"), json!("né")),
        ("VARCHAR(50)", FieldType::String, text("O'Brien \\ \" ; -- 😀"), json!("O'Brien \\ \" ; -- 😀")),
        ("VARCHAR(50) CHARACTER SET latin1", FieldType::String, text("Zürich"), json!("Zürich")),
        ("VARCHAR(50) COLLATE utf8mb4_bin", FieldType::String, text("bin"), json!("bin")),
        ("TINYTEXT", FieldType::String, text("tiny"), json!("tiny")),
        ("TEXT", FieldType::String, text("text"), json!("text")),
        ("MEDIUMTEXT", FieldType::String, text("medium"), json!("medium")),
        ("LONGTEXT", FieldType::String, text("long"), json!("long")),
        ("BINARY(4)", FieldType::Binary, Bound::Binary(vec![0, 1, 254, 255]), json!("AAH+/w==")),
        ("VARBINARY(20)", FieldType::Binary, Bound::Binary(b"a'\\\0".to_vec()), json!("YSdcAA==")),
        ("BLOB", FieldType::Binary, Bound::Binary(vec![200; 3]), json!("yMjI")),
        ("ENUM('small','it''s','a,b')", FieldType::Enum, text("it's"), json!("it's")),
        ("SET('x','y','z')", FieldType::Array, members(&["z", "x"]), json!(["x", "z"])),
        ("SET('p','q')", FieldType::Array, members(&[]), json!([])),
        ("JSON", FieldType::Json, text(r#"{"a":[1,null,"ü"]}"#), json!({"a": [1, null, "ü"]})),
        (
            "UUID",
            FieldType::Uuid,
            text("123e4567-e89b-12d3-a456-426655440000"),
            json!("123e4567-e89b-12d3-a456-426655440000"),
        ),
        ("INET6", FieldType::String, text("2001:db8::1"), json!("2001:db8::1")),
        ("INET4", FieldType::String, text("192.0.2.1"), json!("192.0.2.1")),
    ]
}

fn column(at: usize) -> String {
    format!("c{at:02}")
}

/// The same as [`read_by`], as if every column had an index.
fn read_by_unindexed(catalog: &Catalog, column: &str) -> Statement {
    let mut catalog = catalog.clone();
    for object in &mut catalog.objects {
        let index = Index { name: "wished".into(), columns: vec![column.to_owned()], unique: false };
        object.indexes.push(index);
    }
    read_by(&catalog.finish(), "t", column)
}

#[tokio::test]
async fn every_type_round_trips_is_found_by_its_value_and_can_be_null() {
    let server = mariadb().await;
    fresh_database(&server, "live_types").await;
    let cases = cases();
    let columns: Vec<_> =
        cases.iter().enumerate().map(|(at, (native, ..))| format!("{} {native}", column(at))).collect();
    let create = format!("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, {})", columns.join(", "));
    set_up(&server, "live_types", &[&create]).await;
    let catalog = catalog(&server, "live_types").await;
    let object = catalog.object("t").unwrap();
    for (at, (native, field_type, ..)) in cases.iter().enumerate() {
        assert_eq!(object.field(&column(at)).unwrap().shape.field_type, *field_type, "{native}");
    }

    let names: Vec<_> = (0..cases.len()).map(column).collect();
    let shapes: Vec<_> = names.iter().map(|name| &object.field(name).unwrap().shape).collect();
    let parameters: Vec<_> = names.iter().map(String::as_str).zip(shapes.iter().copied()).collect();
    let holes = vec!["?"; names.len()].join(", ");
    let insert = format!("INSERT INTO t ({}) VALUES ({holes})", names.join(", "));
    let insert = statement(Action::Insert, &insert, &parameters, &[]);
    let mut writer = writer(&server, "live_types").await;
    let values: Vec<_> = cases.iter().map(|(_, _, argument, _)| argument.clone()).collect();
    assert_eq!(writer.write(&insert, &values, soon()).await.unwrap().changed, 1);
    let nulls = vec![Bound::Null; cases.len()];
    assert_eq!(writer.write(&insert, &nulls, soon()).await.unwrap().changed, 1);

    let mut reader = reader(&server, "live_types").await;
    let by_id = read_by(&catalog, "t", "id");
    let row = reader.read(&by_id, &[Bound::Integer(1)], soon()).await.unwrap().rows.remove(0);
    let empty = reader.read(&by_id, &[Bound::Integer(2)], soon()).await.unwrap().rows.remove(0);
    for (at, (native, _, argument, answer)) in cases.iter().enumerate() {
        assert_eq!(row[at + 1], *answer, "{native}");
        assert_eq!(empty[at + 1], Value::Null, "{native}");
        // by its JSON answer, through the argument check
        let by_value = read_by_unindexed(&catalog, &column(at));
        let key = match *native {
            // A TIME beyond a day is a duration; arguments take times of day.
            "TIME(6)" => vec![argument.clone()],
            native => bound(&by_value, &json!({ "key": answer })).unwrap_or_else(|| panic!("{native}")),
        };
        let found = reader.read(&by_value, &key, soon()).await.unwrap();
        assert_eq!(found.rows.len(), 1, "{native} is found by its own value");
    }
}

#[tokio::test]
async fn columns_tell_their_defaults_lengths_and_what_the_engine_computes() {
    let server = mariadb().await;
    fresh_database(&server, "live_columns").await;
    set_up(&server, "live_columns", &[
        "CREATE TABLE parent (a INT, b VARCHAR(5), PRIMARY KEY (a, b)) COMMENT 'the ''parent'''",
        "CREATE TABLE child (id INT PRIMARY KEY AUTO_INCREMENT, pa INT, pb VARCHAR(5) NOT NULL COMMENT 'second',
            n VARCHAR(40) NOT NULL DEFAULT 'x', m VARCHAR(40) DEFAULT NULL, g INT AS (LENGTH(n) + 1) STORED,
            v INT AS (LENGTH(n)) VIRTUAL, at DATETIME DEFAULT CURRENT_TIMESTAMP, doc JSON, body TEXT, place POINT,
            UNIQUE KEY un (n), KEY prefixed (m(10)), KEY hidden (at) IGNORED, FULLTEXT KEY words (body),
            CONSTRAINT to_parent FOREIGN KEY (pa, pb) REFERENCES parent (a, b) ON DELETE CASCADE ON UPDATE CASCADE)",
        "CREATE TABLE heap (id INT PRIMARY KEY) ENGINE = MyISAM",
        "CREATE VIEW seen AS SELECT id, n FROM child",
        "CREATE TRIGGER before_child BEFORE UPDATE ON child FOR EACH ROW SET NEW.m = NEW.n",
    ])
    .await;
    let catalog = catalog(&server, "live_columns").await;
    let child = catalog.object("child").unwrap();
    let facts = |name: &str| {
        let field = child.field(name).unwrap();
        (field.nullable, field.has_default, field.generated)
    };
    assert_eq!(facts("id"), (false, true, false));
    assert_eq!(facts("pa"), (true, false, false));
    assert_eq!(facts("pb"), (false, false, false));
    assert_eq!(facts("n"), (false, true, false));
    assert_eq!(facts("m"), (true, false, false));
    assert_eq!(facts("g"), (true, false, true));
    assert_eq!(facts("v"), (true, false, true));
    assert_eq!(facts("at"), (true, true, false));
    assert_eq!(child.field("n").unwrap().shape.max_length, Some(40));
    assert_eq!(child.field("pb").unwrap().comment.as_deref(), Some("second"));
    assert_eq!(child.field("doc").unwrap().shape.field_type, FieldType::Json);
    assert_eq!(child.field("place").unwrap().shape.field_type, FieldType::Other);
    assert_eq!(child.unique_keys, [["n"]]);
    let indexes: Vec<_> = child.indexes.iter().map(|index| (index.name.as_str(), index.unique)).collect();
    assert_eq!(indexes, [("PRIMARY", true), ("prefixed", false), ("to_parent", false), ("un", true)]);
    let edge = child.relationships.iter().find(|edge| edge.kind == RelationshipKind::BelongsTo).unwrap();
    assert_eq!(
        (edge.fields.as_slice(), edge.target.as_str()),
        (["pa".into(), "pb".into()].as_slice(), "parent")
    );
    assert_eq!((edge.on_update.as_deref(), edge.on_delete.as_deref()), (Some("CASCADE"), Some("CASCADE")));
    assert_eq!(child.triggers.len(), 1);
    assert!(child.triggers[0].on_update && !child.triggers[0].on_insert);
    assert_eq!(catalog.object("parent").unwrap().comment.as_deref(), Some("the 'parent'"));
    let seen = catalog.object("seen").unwrap();
    assert_eq!((seen.kind, seen.fields.len(), seen.indexes.len()), (ObjectKind::View, 2, 0));
    // An engine that cannot roll back takes no writes.
    let heap = catalog.object("heap").unwrap().privileges;
    assert!(heap.select && !heap.insert && !heap.update);
}

#[tokio::test]
async fn a_catalog_holds_what_its_user_may_read_and_its_rights() {
    let server = mariadb().await;
    fresh_database(&server, "live_rights").await;
    set_up(&server, "live_rights", &[
        "CREATE TABLE open (id INT PRIMARY KEY, a INT, KEY (a))",
        "CREATE TABLE partly (id INT PRIMARY KEY, a INT, secret INT NOT NULL, UNIQUE KEY s (secret), KEY mixed (a, secret))",
        "CREATE TABLE closed (id INT PRIMARY KEY)",
        "CREATE OR REPLACE USER limited@'%' IDENTIFIED BY 'limited 1' REQUIRE SSL",
        "GRANT SELECT, INSERT ON live_rights.open TO limited@'%'",
        "GRANT SELECT (id, a), INSERT (id, a, secret), UPDATE (a) ON live_rights.partly TO limited@'%'",
    ])
    .await;
    let mut login = credentials(&server, "live_rights");
    login.user = "limited".into();
    login.password = Secret::new("limited 1".into());
    let mut connection = open(&login, Session::ReadOnly).await.unwrap();
    let catalog = connection.introspect(&|_| {}).await.unwrap();
    let names: Vec<_> = catalog.objects.iter().map(|object| object.name.as_str()).collect();
    assert_eq!(names, ["open", "partly"]);
    let open = catalog.object("open").unwrap().privileges;
    assert!(open.select && open.insert && !open.update);
    let partly = catalog.object("partly").unwrap();
    assert_eq!(partly.fields.len(), 2);
    assert!(partly.unique_keys.is_empty());
    let mixed = partly.indexes.iter().find(|index| index.name == "mixed").unwrap();
    assert_eq!((mixed.columns.as_slice(), mixed.unique), (["a".to_owned()].as_slice(), false));
    // The required column that it may not see stands in the way of any insert.
    assert!(!partly.privileges.insert && !partly.privileges.update);
    assert_eq!(connection.count_objects().await.unwrap(), 2);
    assert_eq!(connection.probe_read().await.unwrap().as_deref(), Some("open"));
}
