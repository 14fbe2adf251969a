//! What goes in and what comes out.

use super::*;
use infra::databases::error::Fault;
use serde_json::{Value, json};

#[tokio::test]
async fn every_type_comes_back_as_the_contract_writes_it() {
    let credentials = database(
        "CREATE TYPE mood AS ENUM ('sad', 'it''s \"ok\"');
         CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
         CREATE DOMAIN emails AS email[];
         SET IntervalStyle = 'postgres';",
    );
    let connection = reader(&credentials).await;
    let cases = [
        ("true", json!(true)),
        ("7::int2", json!(7)),
        ("(-2147483648)::int4", json!(-2147483648i64)),
        ("9223372036854775807::int8", json!("9223372036854775807")),
        ("1234567890.0123456789::numeric", json!("1234567890.0123456789")),
        ("'-0.00010'::numeric", json!("-0.00010")),
        ("'1e20'::numeric", json!("100000000000000000000")),
        ("'NaN'::numeric", json!("NaN")),
        ("'-Infinity'::numeric", json!("-Infinity")),
        ("0.1::float4", json!(0.1)),
        ("1e300::float8", json!(1e300)),
        ("'Infinity'::float8", json!("Infinity")),
        ("'a'::varchar(5)", json!("a")),
        ("'a'::char(3)", json!("a  ")),
        ("'2024-02-29'::date", json!("2024-02-29")),
        ("'infinity'::date", json!("infinity")),
        ("'0044-03-15 BC'::date", json!("0044-03-15 BC")),
        ("'12345-06-07'::date", json!("12345-06-07")),
        ("'23:59:59.5'::time", json!("23:59:59.5")),
        ("'24:00'::time", json!("24:00:00")),
        ("'2024-01-02 03:04:05.123456'::timestamp", json!("2024-01-02T03:04:05.123456")),
        ("'2024-01-02 03:04:05+05:30'::timestamptz", json!("2024-01-01T21:34:05Z")),
        ("'-infinity'::timestamptz", json!("-infinity")),
        ("'1 year 2 mons -3 days 04:05:06.7'::interval", json!("P1Y2M-3DT4H5M6.7S")),
        ("'-1 year -1 mon -00:00:00.5'::interval", json!("P-1Y-1MT-0.5S")),
        ("'0'::interval", json!("PT0S")),
        ("'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid", json!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
        ("'it''s \"ok\"'::public.mood", json!("it's \"ok\"")),
        ("'{\"a\": [1, null]}'::json", json!({"a": [1, null]})),
        ("'{\"a\": 1}'::jsonb", json!({"a": 1})),
        ("'\\xdeadbeef'::bytea", json!("3q2+7w==")),
        ("'{1,NULL,3}'::int4[]", json!([1, null, 3])),
        ("'{{a,b},{c,d}}'::text[]", json!([["a", "b"], ["c", "d"]])),
        ("'[2:3]={1,2}'::int8[]", json!(["1", "2"])),
        ("'{}'::text[]", json!([])),
        ("ARRAY['sad']::public.mood[]", json!(["sad"])),
        ("'a@b'::public.email", json!("a@b")),
        ("ARRAY['a@b']::public.emails", json!(["a@b"])),
        ("NULL::int4", Value::Null),
        ("(inet '10.0.0.1')::text", json!("10.0.0.1/32")),
    ];
    for (expression, expected) in cases {
        let rows = connection.read(&read_statement(&format!("SELECT {expression}"), 0, 5), &[], soon()).await;
        assert_eq!(rows.map(|rows| rows.rows), Ok(vec![vec![expected]]), "{expression}");
    }
    // What text would have been needed for is a changed schema, not a crash.
    let error =
        connection.read(&read_statement("SELECT 'a'::tsvector", 0, 5), &[], soon()).await.unwrap_err();
    assert_eq!(error.fault, Fault::SchemaMismatch);
}

#[tokio::test]
async fn arguments_arrive_as_they_were_given() {
    let credentials = database("CREATE TYPE mood AS ENUM ('sad', 'it''s \"ok\"')");
    let connection = reader(&credentials).await;
    let nasty = "'; DROP TABLE t; -- \" \\ {} , NULL é\n\t$1";
    let cases = [
        ("text", text(nasty), json!(nasty)),
        ("text", Bound::Null, Value::Null),
        ("bool", Bound::Boolean(false), json!(false)),
        ("int2", Bound::Integer(-7), json!(-7)),
        ("int8", Bound::Integer(i64::MIN.into()), json!(i64::MIN.to_string())),
        ("numeric", text("0.10"), json!("0.10")),
        ("float8", Bound::Float(0.1), json!(0.1)),
        ("float8", Bound::Float(f64::MAX), json!(f64::MAX)),
        ("float8", Bound::Float(f64::NEG_INFINITY), json!("-Infinity")),
        ("date", text("2024-02-29"), json!("2024-02-29")),
        ("timestamp", text("2024-02-29T01:02:03"), json!("2024-02-29T01:02:03")),
        ("timestamptz", text("2024-02-29T01:02:03Z"), json!("2024-02-29T01:02:03Z")),
        ("interval", text("P1DT2H"), json!("P1DT2H")),
        ("uuid", text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), json!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
        ("public.mood", text("it's \"ok\""), json!("it's \"ok\"")),
        ("jsonb", text("{\"a\":1}"), json!({"a": 1})),
        ("bytea", Bound::Binary(vec![0, 1, 255]), json!("AAH/")),
        (
            "text[]",
            Bound::Array(vec![text(nasty), Bound::Null, text("NULL"), text("")]),
            json!([nasty, null, "NULL", ""]),
        ),
        ("public.mood[]", Bound::Array(vec![text("it's \"ok\"")]), json!(["it's \"ok\""])),
        ("bytea[]", Bound::Array(vec![Bound::Binary(vec![92, 34])]), json!(["XCI="])),
        ("int4[]", Bound::Array(Vec::new()), json!([])),
    ];
    for (cast, bound, expected) in cases {
        let statement = read_statement(&format!("SELECT $1::{cast}"), 1, 5);
        let rows = connection.read(&statement, std::slice::from_ref(&bound), soon()).await;
        assert_eq!(rows.map(|rows| rows.rows), Ok(vec![vec![expected]]), "{cast} {bound:?}");
    }
    let error =
        connection.read(&read_statement("SELECT $1::int4", 1, 5), &[text("x")], soon()).await.unwrap_err();
    assert_eq!((error.fault, error.sqlstate), (Fault::ConstraintViolated, Some(*b"22P02")));
    assert!(connection.is_usable());
}
