//! MySQL compares a text with a number by turning the text into one: `varchar_col = 0` matches every row that does not
//! start with a digit. Values bound by column type find their own row and no other.

use super::*;

/// Column type, the values of its rows, and arguments with the number of rows that are truly equal.
fn pairs() -> Vec<(&'static str, Vec<&'static str>, Vec<(Bound, usize)>)> {
    let text = |text: &str| Bound::Text(text.into());
    let bytes = |text: &str| Bound::Binary(text.as_bytes().to_vec());
    vec![
        (
            "VARCHAR(20) COLLATE utf8mb4_bin",
            vec!["'abc'", "'0'", "'0x1'", "'1e3'", "'1000'", "' 1'", "'1abc'", "''", "'00'", "'-0'"],
            vec![
                (text("0"), 1),
                (text("00"), 1),
                (text("1"), 0),
                (text("1000"), 1),
                (text("1e3"), 1),
                (text("true"), 0),
                (text("false"), 0),
                (text("0x1"), 1),
                (text("0.0"), 0),
                (text("+0"), 0),
                (text("' OR '1'='1"), 0),
                (text("0 OR 1=1"), 0),
                (text("\\"), 0),
                (text("%"), 0),
                (text("_"), 0),
                (text("null"), 0),
            ],
        ),
        (
            "CHAR(10)",
            vec!["'x'", "'y'", "'12'"],
            vec![(text("0"), 0), (text("12.0"), 0), (text("12"), 1), (text("12abc"), 0)],
        ),
        ("TEXT", vec!["'x'", "'0'"], vec![(text("0"), 1), (text("0e0"), 0), (text(""), 0)]),
        (
            "ENUM('a','b','0','1')",
            vec!["'a'", "'b'", "'0'", "'1'"],
            vec![(text("0"), 1), (text("1"), 1), (text("2"), 0), (text(""), 0)],
        ),
        (
            "SET('a','b')",
            vec!["'a'", "'b'", "'a,b'", "''"],
            vec![
                (Bound::Array(vec![text("a")]), 1),
                (Bound::Array(vec![]), 1),
                (Bound::Array(vec![text("b"), text("a")]), 1),
            ],
        ),
        (
            "VARBINARY(20)",
            vec!["'abc'", "'0'", "'1'"],
            vec![(bytes("0"), 1), (bytes(""), 0), (bytes("ABC"), 0), (bytes("1.0"), 0)],
        ),
        (
            "BIT(8)",
            vec!["0", "1", "48"],
            vec![(Bound::Integer(0), 1), (Bound::Integer(48), 1), (Bound::Integer(2), 0)],
        ),
        (
            "INT",
            vec!["0", "1", "12"],
            vec![(Bound::Integer(0), 1), (Bound::Integer(-1), 0), (Bound::Integer(i128::from(u64::MAX)), 0)],
        ),
        (
            "BIGINT",
            vec!["9007199254740993", "9007199254740992", "-1"],
            vec![
                (Bound::Integer(9_007_199_254_740_993), 1),
                (Bound::Integer(9_007_199_254_740_992), 1),
                (Bound::Integer(i128::from(u64::MAX)), 0),
            ],
        ),
        (
            "BIGINT UNSIGNED",
            vec!["18446744073709551615", "18446744073709551614"],
            vec![(Bound::Integer(i128::from(u64::MAX)), 1), (Bound::Integer(-1), 0)],
        ),
        (
            "DECIMAL(30,0)",
            vec!["9007199254740993", "9007199254740992"],
            vec![(text("9007199254740993"), 1), (text("0"), 0)],
        ),
        (
            "DECIMAL(10,2)",
            vec!["0.10", "0.00"],
            vec![(text("0.1"), 1), (text("0"), 1), (text("0.100000000000000001"), 0)],
        ),
        ("FLOAT", vec!["0.1", "0.2"], vec![(Bound::Float(0.1), 1), (Bound::Float(0.0), 0)]),
        (
            "DOUBLE",
            vec!["0.1", "0.30000000000000004"],
            vec![(Bound::Float(0.3), 0), (Bound::Float(0.1 + 0.2), 1)],
        ),
        (
            "DATE",
            vec!["'2024-01-01'", "'2024-01-02'"],
            vec![(text("2024-01-01"), 1), (text("0001-01-01"), 0)],
        ),
        (
            "DATETIME(6)",
            vec!["'2024-01-01 00:00:00'", "'2024-01-01 00:00:00.000001'"],
            vec![(text("2024-01-01T00:00:00"), 1), (text("2024-01-01T00:00:00.000001"), 1)],
        ),
        (
            "TIME",
            vec!["'00:00:00'", "'12:00:00'", "'-12:00:00'"],
            vec![(text("00:00:00"), 1), (text("-12:00:00"), 1), (text("24:00:00"), 0)],
        ),
        ("YEAR", vec!["2000", "1901"], vec![(Bound::Integer(2000), 1), (Bound::Integer(0), 0)]),
        ("TINYINT(1)", vec!["0", "1", "0"], vec![(Bound::Boolean(true), 1), (Bound::Boolean(false), 2)]),
        ("JSON", vec!["'0'", "'\"0\"'", "'null'"], vec![(text("0"), 1), (text("false"), 0)]),
        (
            "UUID",
            vec!["'123e4567-e89b-12d3-a456-426655440000'"],
            vec![
                (text("00000000-0000-0000-0000-000000000000"), 0),
                (text("123E4567-E89B-12D3-A456-426655440000"), 1),
            ],
        ),
    ]
}

#[tokio::test]
async fn no_argument_matches_a_row_that_is_not_equal_to_it() {
    let server = mariadb().await;
    fresh_database(&server, "live_coercion").await;
    let pairs = pairs();
    for (at, (native, rows, _)) in pairs.iter().enumerate() {
        let create = format!("CREATE TABLE t{at} (id INT PRIMARY KEY AUTO_INCREMENT, v {native})");
        let values: Vec<_> = rows.iter().map(|value| format!("({value})")).collect();
        let fill = format!("INSERT INTO t{at} (v) VALUES {} ", values.join(", "));
        let keep = "SET SESSION autocommit = 1";
        set_up(&server, "live_coercion", &[&create, keep, &fill]).await;
    }
    let catalog = catalog(&server, "live_coercion").await;
    let mut connection = reader(&server, "live_coercion").await;
    let mut asked = 0;
    for (at, (native, _, arguments)) in pairs.iter().enumerate() {
        let read = read_by(catalog.object(&format!("t{at}")).unwrap(), "v");
        for (argument, equal) in arguments {
            let found = connection.read(&read, &[argument.clone()], soon()).await.unwrap();
            assert_eq!(found.rows.len(), *equal, "{native} = {argument:?}");
            asked += 1;
        }
    }
    assert!(asked >= 30, "{asked}");
}
