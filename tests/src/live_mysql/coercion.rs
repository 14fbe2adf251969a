//! MySQL compares a text with a number by turning the text into one: `varchar_col = 0` matches every row that does not
//! start with a digit. An argument that fits its column finds the rows that are equal to it and no other; one that does
//! not fit is refused.

use super::*;
use domain::catalog::Index;

/// Column type, the values of its rows, and arguments with the number of rows that are truly equal.
type Pairs = (&'static str, Vec<&'static str>, Vec<(Value, usize)>);

fn pairs() -> Vec<Pairs> {
    vec![
        (
            "VARCHAR(20) COLLATE utf8mb4_bin",
            vec!["'abc'", "'0'", "'0x1'", "'1e3'", "'1000'", "' 1'", "'1abc'", "''", "'00'", "'-0'"],
            vec![
                (json!("0"), 1),
                (json!("00"), 1),
                (json!("1"), 0),
                (json!("1000"), 1),
                (json!("1e3"), 1),
                (json!("true"), 0),
                (json!("false"), 0),
                (json!("0x1"), 1),
                (json!("0.0"), 0),
                (json!("+0"), 0),
                (json!("' OR '1'='1"), 0),
                (json!("0 OR 1=1"), 0),
                (json!("\\"), 0),
                (json!("%"), 0),
                (json!("_"), 0),
                (json!("null"), 0),
            ],
        ),
        (
            "CHAR(10)",
            vec!["'x'", "'y'", "'12'"],
            vec![(json!("0"), 0), (json!("12.0"), 0), (json!("12"), 1), (json!("12abc"), 0)],
        ),
        ("TEXT", vec!["'x'", "'0'"], vec![(json!("0"), 1), (json!("0e0"), 0), (json!(""), 0)]),
        (
            "ENUM('a','b','0','1')",
            vec!["'a'", "'b'", "'0'", "'1'"],
            vec![(json!("0"), 1), (json!("1"), 1), (json!("2"), 0), (json!(""), 0)],
        ),
        (
            "SET('a','b')",
            vec!["'a'", "'b'", "'a,b'", "''"],
            vec![(json!(["a"]), 1), (json!([]), 1), (json!(["b", "a"]), 1)],
        ),
        (
            "VARBINARY(20)",
            vec!["'abc'", "'0'", "'1'"],
            vec![(json!("MA=="), 1), (json!(""), 0), (json!("QUJD"), 0), (json!("MS4w"), 0)],
        ),
        ("BIT(8)", vec!["0", "1", "48"], vec![(json!(0), 1), (json!(48), 1), (json!(2), 0)]),
        (
            "INT",
            vec!["0", "1", "12"],
            vec![(json!(0), 1), (json!(-1), 0), (json!("18446744073709551615"), 0)],
        ),
        (
            "BIGINT",
            vec!["9007199254740993", "9007199254740992", "-1"],
            vec![
                (json!(9_007_199_254_740_993u64), 1),
                (json!(9_007_199_254_740_992u64), 1),
                (json!("18446744073709551615"), 0),
            ],
        ),
        (
            "BIGINT UNSIGNED",
            vec!["18446744073709551615", "18446744073709551614"],
            vec![(json!("18446744073709551615"), 1), (json!(-1), 0)],
        ),
        (
            "DECIMAL(30,0)",
            vec!["9007199254740993", "9007199254740992"],
            vec![(json!("9007199254740993"), 1), (json!("0"), 0)],
        ),
        (
            "DECIMAL(10,2)",
            vec!["0.10", "0.00"],
            vec![(json!("0.1"), 1), (json!("0"), 1), (json!("0.100000000000000001"), 0)],
        ),
        ("FLOAT", vec!["0.1", "0.2"], vec![(json!(0.1), 1), (json!(0.0), 0)]),
        ("DOUBLE", vec!["0.1", "0.30000000000000004"], vec![(json!(0.3), 0), (json!(0.1 + 0.2), 1)]),
        (
            "DATE",
            vec!["'2024-01-01'", "'2024-01-02'"],
            vec![(json!("2024-01-01"), 1), (json!("0001-01-01"), 0)],
        ),
        (
            "DATETIME(6)",
            vec!["'2024-01-01 00:00:00'", "'2024-01-01 00:00:00.000001'"],
            vec![(json!("2024-01-01T00:00:00"), 1), (json!("2024-01-01T00:00:00.000001"), 1)],
        ),
        (
            "TIME",
            vec!["'00:00:00'", "'12:00:00'", "'-12:00:00'"],
            vec![(json!("00:00:00"), 1), (json!("-12:00:00"), 0), (json!("24:00:00"), 0)],
        ),
        ("YEAR", vec!["2000", "1901"], vec![(json!(2000), 1), (json!(0), 0)]),
        ("TINYINT(1)", vec!["0", "1", "0"], vec![(json!(true), 1), (json!(false), 2)]),
        ("JSON", vec!["'0'", "'\"0\"'", "'null'"], vec![(json!("0"), 1), (json!("false"), 0)]),
        (
            "UUID",
            vec!["'123e4567-e89b-12d3-a456-426655440000'"],
            vec![
                (json!("00000000-0000-0000-0000-000000000000"), 0),
                (json!("123E4567-E89B-12D3-A456-426655440000"), 1),
            ],
        ),
    ]
}

#[tokio::test]
async fn no_argument_matches_a_row_that_is_not_equal_to_it() {
    let pairs = pairs();
    let tables = pairs.iter().enumerate().map(|(at, (native, rows, _))| {
        let values: Vec<_> = rows.iter().map(|value| format!("({value})")).collect();
        format!(
            "CREATE TABLE t{at} (id INT PRIMARY KEY AUTO_INCREMENT, v {native});
             INSERT INTO t{at} (v) VALUES {};",
            values.join(", ")
        )
    });
    let admin = database(&tables.collect::<String>());
    let mut catalog = catalog(&admin).await;
    for object in &mut catalog.objects {
        // as if every column had an index
        object.indexes.push(Index { name: "wished".into(), columns: vec!["v".into()], unique: false });
    }
    let catalog = catalog.finish();
    let connection = reader(&admin).await;
    let mut asked = 0;
    for (at, (native, _, arguments)) in pairs.iter().enumerate() {
        let read = read_by(&catalog, &format!("t{at}"), "v");
        for (argument, equal) in arguments {
            let found = match bound(&read, &json!({ "key": argument })) {
                Some(key) => connection.read(&read, &key, soon()).await.unwrap().rows.len(),
                None => 0,
            };
            assert_eq!(found, *equal, "{native} = {argument}");
            asked += 1;
        }
    }
    assert!(asked >= 30, "{asked}");
}
