use super::*;
use crate::catalog::fixture::shape;
use jiff::tz::Offset;
use proptest::prelude::*;
use serde_json::json;

fn native(field_type: FieldType, native_type: &str) -> Shape {
    Shape { native_type: native_type.to_owned(), ..shape(field_type) }
}

fn fit(shape: &Shape, value: Value) -> Result<Bound, &'static str> {
    convert(IntegrationKind::Postgres, shape, &value).map_err(|unfit| unfit.code)
}

fn as_text(shape: &Shape, value: Value) -> String {
    match fit(shape, value.clone()) {
        Ok(Bound::Text(text)) => text,
        other => panic!("{value} gave {other:?}"),
    }
}

fn parameter(name: &str, source: Source, shape: Shape) -> Parameter {
    Parameter {
        name: name.to_owned(),
        source,
        required: true,
        nullable: false,
        description: None,
        value: None,
        column: name.to_owned(),
        shape,
    }
}

fn statement(action: Action, parameters: Vec<Parameter>, binds: Vec<Bind>) -> Statement {
    Statement {
        dialect: IntegrationKind::Postgres,
        action,
        object: "patients".into(),
        text: String::new(),
        hash: String::new(),
        parameters,
        binds,
        columns: Vec::new(),
        limit: 5,
        touches: Vec::new(),
        uses_index: None,
        estimated_rows: None,
        side_effects: Vec::new(),
    }
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn integers_are_judged_by_their_columns_bytes_and_sign() {
    let small = Shape { integer_bytes: Some(2), ..shape(FieldType::Integer) };
    assert_eq!(fit(&small, json!(32767)), Ok(Bound::Integer(32767)));
    assert_eq!(fit(&small, json!(-32768)), Ok(Bound::Integer(-32768)));
    assert_eq!(fit(&small, json!(32768)), Err("out_of_range"));
    let unsigned = Shape { integer_bytes: Some(8), unsigned: true, ..shape(FieldType::Bigint) };
    assert_eq!(fit(&unsigned, json!(u64::MAX)), Ok(Bound::Integer(i128::from(u64::MAX))));
    assert_eq!(fit(&unsigned, json!(-1)), Err("out_of_range"));
    assert_eq!(fit(&shape(FieldType::Integer), json!(3.0)), Ok(Bound::Integer(3)));
    assert_eq!(fit(&shape(FieldType::Integer), json!(3.5)), Err("invalid_type"));
    assert_eq!(
        fit(&shape(FieldType::Integer), json!("3")),
        Err("invalid_type"),
        "only a bigint may be a string"
    );
    assert_eq!(fit(&shape(FieldType::Integer), json!(true)), Err("invalid_type"));
}

#[test]
fn a_bigint_may_be_a_string_of_digits_and_nothing_else() {
    let bigint = shape(FieldType::Bigint);
    assert_eq!(fit(&bigint, json!("9223372036854775807")), Ok(Bound::Integer(i128::from(i64::MAX))));
    assert_eq!(fit(&bigint, json!("9223372036854775808")), Err("out_of_range"));
    assert_eq!(fit(&bigint, json!("9".repeat(60))), Err("out_of_range"));
    for text in ["", "-", "+1", "1 ", "1e3", "0x10", "1 OR 1=1", "١"] {
        assert_eq!(fit(&bigint, json!(text)), Err("invalid_format"), "{text}");
    }
}

#[test]
fn decimals_become_canonical_text_and_are_never_rounded() {
    let money = Shape { precision: Some((6, 2)), ..shape(FieldType::Decimal) };
    let pairs = [
        (json!(19.99), "19.99"),
        (json!("0019.900"), "19.9"),
        (json!(-0.5), "-0.5"),
        (json!("-0.00"), "0"),
        (json!(7), "7"),
        (json!("1e3"), "1000"),
        (json!("12.5E-1"), "1.25"),
    ];
    for (given, canonical) in pairs {
        assert_eq!(as_text(&money, given.clone()), canonical, "{given}");
    }
    assert_eq!(fit(&money, json!("1.234")), Err("out_of_range"));
    assert_eq!(fit(&money, json!("10000")), Err("out_of_range"));
    assert_eq!(fit(&money, json!("9999.99")), Ok(Bound::Text("9999.99".into())));
    for text in ["NaN", "Infinity", "", ".", "1.", ".5", "1_000", "--1", "1e", "1e99999"] {
        assert!(matches!(fit(&money, json!(text)), Err("invalid_format" | "out_of_range")), "{text}");
    }
    let free = shape(FieldType::Decimal);
    assert_eq!(fit(&free, json!("1".repeat(1001))), Err("out_of_range"));
    assert_eq!(fit(&free, json!(0.30000000000000004)), Err("invalid_type"), "a double lost digits already");
    assert_eq!(as_text(&free, json!("0.30000000000000004")), "0.30000000000000004");
}

#[test]
fn dates_and_times_are_checked_by_the_calendar() {
    let date = shape(FieldType::Date);
    assert_eq!(as_text(&date, json!("2024-02-29")), "2024-02-29");
    for text in ["2023-02-29", "2024-2-9", "20240229", "0000-01-01", "2024-02-29T00:00:00", "tomorrow"] {
        assert_eq!(fit(&date, json!(text)), Err("invalid_format"), "{text}");
    }
    let time = shape(FieldType::Time);
    assert_eq!(as_text(&time, json!("14:30")), "14:30:00");
    assert_eq!(as_text(&time, json!("14:30:05.250")), "14:30:05.25");
    for text in ["24:00:00", "14:60", "2pm", "14:30:00Z", "14:30:00+02:00"] {
        assert_eq!(fit(&time, json!(text)), Err("invalid_format"), "{text}");
    }
    let zoned = native(FieldType::Time, "time with time zone");
    assert_eq!(as_text(&zoned, json!("14:30:00-05:30")), "14:30:00-05:30");
    assert_eq!(fit(&zoned, json!("14:30:00")), Err("invalid_format"));
}

#[test]
fn a_timestamp_with_a_zone_is_converted_to_utc_and_one_without_is_taken_as_it_is() {
    let plain = native(FieldType::Timestamp, "timestamp without time zone");
    assert_eq!(as_text(&plain, json!("2026-05-31T23:30:00-02:00")), "2026-06-01T01:30:00");
    assert_eq!(as_text(&plain, json!("2026-05-31 23:30:00")), "2026-05-31T23:30:00");
    let zoned = native(FieldType::Timestamptz, "timestamp with time zone");
    assert_eq!(as_text(&zoned, json!("2026-05-31T23:30:00.1+02:00")), "2026-05-31T21:30:00.1Z");
    assert_eq!(as_text(&zoned, json!("2026-05-31t23:30:00z")), "2026-05-31T23:30:00Z");
    for text in [
        "2026-05-31T23:30:00",
        "2026-05-31T23:30:60Z",
        "2026-05-31T23:30:00+0200",
        "9999-12-31T23:59:59-01:00",
    ] {
        assert_eq!(fit(&zoned, json!(text)), Err("invalid_format"), "{text}");
    }
}

#[test]
fn digits_of_a_second_that_the_column_would_round_are_refused() {
    let whole = native(FieldType::Timestamp, "datetime");
    let mysql = |shape: &Shape, text: &str| {
        convert(IntegrationKind::Mysql, shape, &json!(text)).map_err(|unfit| unfit.code)
    };
    assert_eq!(mysql(&whole, "2026-05-31T23:59:59.6"), Err("out_of_range"));
    assert_eq!(mysql(&whole, "2026-05-31T23:59:59.000"), Ok(Bound::Text("2026-05-31T23:59:59".into())));
    let three = native(FieldType::Timestamp, "datetime(3)");
    assert!(mysql(&three, "2026-05-31T23:59:59.123").is_ok());
    let micro = native(FieldType::Timestamp, "timestamp without time zone");
    assert_eq!(fit(&micro, json!("2026-05-31T23:59:59.1234567")), Err("out_of_range"));
    let counted = native(FieldType::Timestamptz, "timestamp");
    assert_eq!(mysql(&counted, "2038-01-19T03:14:08Z"), Err("out_of_range"));
    assert!(mysql(&counted, "2038-01-19T03:14:07Z").is_ok());
}

#[test]
fn intervals_of_both_notations_become_the_same_text() {
    let interval = shape(FieldType::Interval);
    let pairs = [
        ("PT1H30M", "PT1H30M"),
        ("1 hour 30 minutes", "PT1H30M"),
        ("01:30:00", "PT1H30M"),
        ("P1Y2M3DT4H5M6.5S", "P1Y2M3DT4H5M6.5S"),
        ("14 mons -1 day", "P1Y2M-1D"),
        ("-00:00:00.5", "PT-0.5S"),
        ("P2W", "P14D"),
        ("-P1D", "P-1D"),
        ("0 seconds", "PT0S"),
        ("90 min", "PT1H30M"),
    ];
    for (given, canonical) in pairs {
        assert_eq!(as_text(&interval, json!(given)), canonical, "{given}");
    }
    for text in
        ["", "P", "PT", "P1", "1", "day", "1.5 days", "1 fortnight", "1:2:3:4", "00:99:00", "P1D;--", "P1H"]
    {
        assert_eq!(fit(&interval, json!(text)), Err("invalid_format"), "{text}");
    }
    assert_eq!(fit(&interval, json!("3000000000 days")), Err("out_of_range"));
}

#[test]
fn strings_are_counted_in_characters_and_hold_no_nul() {
    let short = Shape { max_length: Some(3), ..shape(FieldType::String) };
    assert_eq!(as_text(&short, json!("äöü")), "äöü");
    assert_eq!(fit(&short, json!("äöüß")), Err("too_long"));
    assert_eq!(fit(&short, json!("a\0b")), Err("invalid_format"));
    assert_eq!(fit(&short, json!(12)), Err("invalid_type"));
    assert_eq!(fit(&shape(FieldType::Json), json!({ "a": ["b\0"] })), Err("invalid_format"));
}

#[test]
fn uuid_binary_enum_set_and_array_follow_their_shapes() {
    let id = "67E55044-10B1-426F-9247-BB680E5FE0C8";
    assert_eq!(as_text(&shape(FieldType::Uuid), json!(id)), id.to_lowercase());
    assert_eq!(fit(&shape(FieldType::Uuid), json!(format!("{{{id}}}"))), Err("invalid_format"));
    let bytes = Shape { max_length: Some(2), ..shape(FieldType::Binary) };
    assert_eq!(fit(&bytes, json!("AP8=")), Ok(Bound::Binary(vec![0, 255])));
    assert_eq!(fit(&bytes, json!("AP8A")), Err("too_long"));
    assert_eq!(fit(&bytes, json!("not base64")), Err("invalid_format"));
    let mood = Shape { enum_values: vec!["sad".into(), "glad".into()], ..shape(FieldType::Enum) };
    assert_eq!(as_text(&mood, json!("glad")), "glad");
    assert_eq!(fit(&mood, json!("GLAD")), Err("not_a_member"));
    let set = Shape { set: true, field_type: FieldType::Array, ..mood.clone() };
    let members = Bound::Array(vec![Bound::Text("sad".into()), Bound::Text("glad".into())]);
    assert_eq!(fit(&set, json!(["glad", "sad", "glad"])), Ok(members));
    assert_eq!(fit(&set, json!(["mad"])), Err("not_a_member"));
    let array = Shape { element: Some(Box::new(shape(FieldType::Integer))), ..shape(FieldType::Array) };
    assert_eq!(fit(&array, json!([1, null])), Ok(Bound::Array(vec![Bound::Integer(1), Bound::Null])));
    assert_eq!(fit(&array, json!([[1]])), Err("invalid_type"));
    assert_eq!(fit(&shape(FieldType::Boolean), json!(1)), Err("invalid_type"));
    assert_eq!(fit(&shape(FieldType::Other), json!("x")), Err("invalid_type"));
}

#[test]
fn everything_wrong_is_reported_at_once_and_no_value_is_repeated() {
    let statement = statement(
        Action::Insert,
        vec![
            parameter("age", Source::Model, shape(FieldType::Integer)),
            parameter("name", Source::Model, shape(FieldType::String)),
            parameter("caller_phone", Source::Caller, shape(FieldType::String)),
            Parameter {
                value: Some(json!("web")),
                ..parameter("origin", Source::Constant, shape(FieldType::String))
            },
        ],
        (0..4).map(|parameter| Bind::Value { parameter }).collect(),
    );
    let arguments = map(json!({
        "age": "secret-4711", "naem": "secret-4712", "caller_phone": "secret-4713", "origin": "secret-4714"
    }));
    let errors = bind(&statement, &arguments, &map(json!({ "caller_phone": null }))).unwrap_err();
    let found: Vec<(&str, &str)> = errors.iter().map(|error| (error.field.as_str(), error.code)).collect();
    assert_eq!(
        found,
        [
            ("age", "invalid_type"),
            ("name", "missing_argument"),
            ("caller_phone", "caller_value_missing"),
            ("caller_phone", "not_from_model"),
            ("naem", "unknown_argument"),
            ("origin", "not_from_model"),
        ]
    );
    assert_eq!(errors[4].nearest[0], "name");
    assert!(!serde_json::to_string(&errors).unwrap().contains("471"));
    let bound =
        bind(&statement, &map(json!({ "age": 3, "name": "Ada" })), &map(json!({ "caller_phone": "+1" })));
    let text = |text: &str| Bound::Text(text.to_owned());
    assert_eq!(bound, Ok(vec![Bound::Integer(3), text("Ada"), text("+1"), text("web")]));
}

#[test]
fn null_is_a_value_only_where_the_column_takes_it() {
    let nullable = Parameter { nullable: true, ..parameter("note", Source::Model, shape(FieldType::String)) };
    let strict = parameter("name", Source::Model, shape(FieldType::String));
    let statement = statement(
        Action::Insert,
        vec![nullable, strict],
        vec![Bind::Value { parameter: 0 }, Bind::Value { parameter: 1 }],
    );
    let errors = bind(&statement, &map(json!({ "note": null, "name": null })), &Map::new()).unwrap_err();
    assert_eq!((errors.len(), errors[0].code), (1, "null_not_allowed"));
}

#[test]
fn an_optional_value_is_given_or_left_alone_and_an_update_changes_something() {
    let optional = |name| Parameter {
        required: false,
        nullable: true,
        ..parameter(name, Source::Model, shape(FieldType::String))
    };
    let statement = statement(
        Action::Update,
        vec![parameter("id", Source::Model, shape(FieldType::Bigint)), optional("phone"), optional("note")],
        vec![
            Bind::Given { parameter: 1 },
            Bind::Value { parameter: 1 },
            Bind::Given { parameter: 2 },
            Bind::Value { parameter: 2 },
            Bind::Value { parameter: 0 },
        ],
    );
    let (given, left) = (Bound::Boolean(true), Bound::Boolean(false));
    let written = Bound::Text("late".into());
    let expected = [left, Bound::Null, given, written, Bound::Integer(7)];
    for left_out in
        [json!({ "id": "7", "note": "late" }), json!({ "id": "7", "note": "late", "phone": null })]
    {
        assert_eq!(bind(&statement, &map(left_out), &Map::new()).unwrap(), expected);
    }
    for nothing in [json!({ "id": 7 }), json!({ "id": 7, "phone": null, "note": null })] {
        let errors = bind(&statement, &map(nothing), &Map::new()).unwrap_err();
        assert_eq!(errors[0].code, "nothing_to_change");
    }
}

#[test]
fn an_update_empties_a_column_by_a_required_argument_that_is_null() {
    let note = Parameter { nullable: true, ..parameter("note", Source::Model, shape(FieldType::String)) };
    let id = parameter("id", Source::Model, shape(FieldType::Bigint));
    let binds = vec![Bind::Value { parameter: 1 }, Bind::Value { parameter: 0 }];
    let statement = statement(Action::Update, vec![id, note], binds);
    let bound = bind(&statement, &map(json!({ "id": 7, "note": null })), &Map::new()).unwrap();
    assert_eq!(bound, [Bound::Null, Bound::Integer(7)]);
    let errors = bind(&statement, &map(json!({ "id": null, "note": null })), &Map::new()).unwrap_err();
    assert_eq!((errors.len(), errors[0].code), (1, "null_not_allowed"));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[-+0-9.:PTZeE dayhourmins]{0,24}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| proptest::collection::vec(inner, 0..3).prop_map(Value::from))
}

fn any_shape() -> impl Strategy<Value = Shape> {
    let types = [
        FieldType::String,
        FieldType::Integer,
        FieldType::Bigint,
        FieldType::Decimal,
        FieldType::Float,
        FieldType::Boolean,
        FieldType::Date,
        FieldType::Time,
        FieldType::Timestamp,
        FieldType::Timestamptz,
        FieldType::Interval,
        FieldType::Uuid,
        FieldType::Json,
        FieldType::Binary,
        FieldType::Enum,
        FieldType::Array,
        FieldType::Other,
    ];
    (proptest::sample::select(types.to_vec()), any::<bool>(), proptest::option::of(0u64..9)).prop_map(
        |(field_type, unsigned, max_length)| Shape {
            unsigned,
            max_length,
            enum_values: vec!["day".into()],
            element: Some(Box::new(shape(FieldType::Interval))),
            ..shape(field_type)
        },
    )
}

proptest! {
    #[test]
    fn no_value_makes_the_judge_panic_and_what_it_takes_it_takes_again(shape in any_shape(), value in any_json()) {
        for kind in IntegrationKind::ALL {
            if let Ok(Bound::Text(text)) = convert(kind, &shape, &value)
                && shape.field_type != FieldType::Json
            {
                // Canonical text is its own canonical text.
                let again = convert(kind, &shape, &Value::from(text.clone())).unwrap();
                prop_assert_eq!(again, Bound::Text(text));
            }
        }
    }

    #[test]
    fn a_decimal_keeps_its_value(units in any::<i64>(), scale in 0usize..12) {
        let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let point = if scale > 0 { "." } else { "" };
        let sign = if units < 0 { "-" } else { "" };
        let text = as_text(&shape(FieldType::Decimal), json!(format!("{sign}{whole}{point}{fraction}")));
        let (kept, after) = text.split_once('.').unwrap_or((&text, ""));
        let back: i64 = format!("{kept}{after:0<scale$}").parse().unwrap();
        prop_assert_eq!(back, if kept.starts_with('-') && units == 0 { 0 } else { units });
    }

    #[test]
    fn a_zone_moves_the_clock_by_its_offset(second in 0i64..4_000_000_000, minutes in -840i64..=840) {
        let at = jiff::Timestamp::from_second(second).unwrap();
        let offset = Offset::from_seconds((minutes * 60) as i32).unwrap();
        let local = offset.to_datetime(at);
        let sign = if minutes < 0 { '-' } else { '+' };
        let zone = format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
        let text = as_text(&native(FieldType::Timestamptz, "timestamp with time zone"), json!(format!("{local}{zone}")));
        prop_assert_eq!(text, at.to_string());
    }
}
