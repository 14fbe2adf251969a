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
    let cases = cases();
    let columns: Vec<_> =
        cases.iter().enumerate().map(|(at, (native, ..))| format!("{} {native}", column(at))).collect();
    let create = format!("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, {})", columns.join(", "));
    let admin = database(&create);
    let catalog = catalog(&admin).await;
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
    let mut writer = writer(&admin).await;
    let values: Vec<_> = cases.iter().map(|(_, _, argument, _)| argument.clone()).collect();
    assert_eq!(writer.write(&insert, &values, soon(), None).await.unwrap().changed, 1);
    let nulls = vec![Bound::Null; cases.len()];
    assert_eq!(writer.write(&insert, &nulls, soon(), None).await.unwrap().changed, 1);

    let reader = reader(&admin).await;
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
