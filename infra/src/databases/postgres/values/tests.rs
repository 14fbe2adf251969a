use super::*;
use serde_json::json;

fn groups(weight: i16, sign: u16, scale: i16, groups: &[i16]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend((groups.len() as i16).to_be_bytes());
    bytes.extend(weight.to_be_bytes());
    bytes.extend(sign.to_be_bytes());
    bytes.extend(scale.to_be_bytes());
    for group in groups {
        bytes.extend(group.to_be_bytes());
    }
    bytes
}

#[test]
fn numerics_keep_every_digit_and_their_scale() {
    let cases = [
        (groups(0, 0, 0, &[]), "0"),
        (groups(0, 0, 2, &[]), "0.00"),
        (groups(0, 0, 0, &[7]), "7"),
        (groups(1, 0, 0, &[1, 0]), "10000"),
        (groups(2, 0, 0, &[1]), "100000000"),
        (groups(0, 0x4000, 2, &[12, 3400]), "-12.34"),
        (groups(-1, 0, 4, &[1]), "0.0001"),
        (groups(-2, 0, 8, &[5000]), "0.00005000"),
        (groups(0, 0xC000, 0, &[]), "NaN"),
        (groups(0, 0xD000, 0, &[]), "Infinity"),
        (groups(0, 0xF000, 0, &[]), "-Infinity"),
    ];
    for (bytes, expected) in cases {
        assert_eq!(numbers::numeric(&bytes).as_deref(), Ok(expected));
    }
}

#[test]
fn a_numeric_that_lies_about_itself_is_refused() {
    let mut short = groups(0, 0, 0, &[1, 2]);
    short.pop();
    assert_eq!(numbers::numeric(&short), Err(Unreadable::Malformed));
    assert_eq!(numbers::numeric(&groups(0, 0, 0, &[10_000])), Err(Unreadable::Malformed));
    assert_eq!(numbers::numeric(&groups(0, 0x1234, 0, &[])), Err(Unreadable::Malformed));
}

#[test]
fn dates_agree_with_the_calendar_on_every_day_of_a_thousand_years() {
    let epoch = jiff::civil::date(2000, 1, 1);
    for days in -150_000..250_000 {
        let expected = epoch.checked_add(jiff::Span::new().days(days)).unwrap();
        assert_eq!(times::date(days), expected.to_string());
    }
}

#[test]
fn dates_outside_of_four_digits_are_written_as_the_engine_writes_them() {
    assert_eq!(times::date(-730_119), "0001-01-01");
    assert_eq!(times::date(-730_120), "0001-12-31 BC");
    assert_eq!(times::date(2_921_940), "10000-01-01");
    assert_eq!(times::date(i32::MAX), "infinity");
    assert_eq!(times::timestamp(i64::MIN, "Z"), "-infinity");
}

#[test]
fn instants_before_the_epoch_count_backwards() {
    assert_eq!(times::timestamp(-1, "Z"), "1999-12-31T23:59:59.999999Z");
    assert_eq!(times::timestamp(1_500_000, ""), "2000-01-01T00:00:01.5");
    assert_eq!(times::time(86_400_000_000).as_deref(), Ok("24:00:00"));
}

#[test]
fn each_part_of_an_interval_has_its_own_sign() {
    let interval = |micros: i64, days: i32, months: i32| {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&micros.to_be_bytes());
        bytes[8..12].copy_from_slice(&days.to_be_bytes());
        bytes[12..].copy_from_slice(&months.to_be_bytes());
        times::interval(bytes).unwrap()
    };
    assert_eq!(interval(0, 0, 0), "PT0S");
    assert_eq!(interval(14_706_789_000, 3, 14), "P1Y2M3DT4H5M6.789S");
    assert_eq!(interval(-500_000, 3, -14), "P-1Y-2M3DT-0.5S");
    assert_eq!(interval(-3_600_000_000, 0, 0), "PT-1H");
    assert_eq!(interval(i64::MAX, i32::MAX, i32::MAX), "infinity");
}

fn array_bytes(lengths: &[i32], items: &[Option<i32>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend((lengths.len() as i32).to_be_bytes());
    bytes.extend(0i32.to_be_bytes());
    bytes.extend(23i32.to_be_bytes());
    for length in lengths {
        bytes.extend(length.to_be_bytes());
        bytes.extend(1i32.to_be_bytes());
    }
    for item in items {
        match item {
            Some(item) => {
                bytes.extend(4i32.to_be_bytes());
                bytes.extend(item.to_be_bytes());
            }
            None => bytes.extend((-1i32).to_be_bytes()),
        }
    }
    bytes
}

#[test]
fn arrays_nest_by_their_dimensions() {
    let flat = array_bytes(&[3], &[Some(1), None, Some(3)]);
    assert_eq!(decode(&Type::INT4_ARRAY, Raw(Some(&flat))), Ok(json!([1, null, 3])));
    let square = array_bytes(&[2, 2], &[Some(1), Some(2), Some(3), Some(4)]);
    assert_eq!(decode(&Type::INT4_ARRAY, Raw(Some(&square))), Ok(json!([[1, 2], [3, 4]])));
    assert_eq!(decode(&Type::INT4_ARRAY, Raw(Some(&array_bytes(&[], &[])))), Ok(json!([])));
}

#[test]
fn an_array_that_claims_more_than_it_holds_is_refused() {
    let lies = [
        array_bytes(&[i32::MAX], &[Some(1)]),
        array_bytes(&[i32::MAX, 0], &[]),
        array_bytes(&[-1], &[]),
        array_bytes(&[1], &[Some(1), Some(2)]),
        array_bytes(&[1; 7], &[Some(1)]),
        vec![0, 0],
    ];
    for bytes in lies {
        assert_eq!(decode(&Type::INT4_ARRAY, Raw(Some(&bytes))), Err(Unreadable::Malformed));
    }
}

#[test]
fn scalars_are_written_as_the_contract_says() {
    let cases = [
        (Type::BOOL, vec![1], json!(true)),
        (Type::INT4, (-5i32).to_be_bytes().to_vec(), json!(-5)),
        (Type::INT8, i64::MAX.to_be_bytes().to_vec(), json!("9223372036854775807")),
        (Type::FLOAT4, 0.1f32.to_be_bytes().to_vec(), json!(0.1)),
        (Type::FLOAT8, f64::NAN.to_be_bytes().to_vec(), json!("NaN")),
        (Type::FLOAT8, f64::NEG_INFINITY.to_be_bytes().to_vec(), json!("-Infinity")),
        (Type::TEXT, "héllo".as_bytes().to_vec(), json!("héllo")),
        (Type::BYTEA, vec![0, 255], json!("AP8=")),
        (Type::JSONB, b"\x01{\"a\":[1,2]}".to_vec(), json!({"a": [1, 2]})),
        (Type::JSON, b"1e999".to_vec(), json!("1e999")),
        (Type::UUID, vec![0x11; 16], json!("11111111-1111-1111-1111-111111111111")),
    ];
    for (kind, bytes, expected) in cases {
        assert_eq!(decode(&kind, Raw(Some(&bytes))), Ok(expected), "{kind}");
    }
    assert_eq!(decode(&Type::INT4, Raw(None)), Ok(Value::Null));
    assert_eq!(decode(&Type::INT4, Raw(Some(&[1]))), Err(Unreadable::Malformed));
    assert_eq!(decode(&Type::TEXT, Raw(Some(&[0xff]))), Err(Unreadable::Malformed));
    assert_eq!(decode(&Type::TS_VECTOR, Raw(Some(&[0]))), Err(Unreadable::UnknownType));
}
