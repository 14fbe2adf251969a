use super::*;
use rlibphonenumber::PhoneNumberType;

fn number(written: &str, region: Option<&str>) -> Option<String> {
    in_e164(written, region).unwrap_or_else(|error| panic!("{written}: {error:?}")).map(Cow::into_owned)
}

fn refused(written: &str, region: Option<&str>) -> (String, &'static str) {
    let error = in_e164(written, region).expect_err(written);
    let told = written.len() > 4 && error.message.contains(written);
    assert!(!told, "a message never repeats what may be somebody's number");
    (error.field, error.code)
}

#[test]
fn a_number_is_the_same_however_it_was_written() {
    for written in [
        "+493012345678",
        "+49 30 12345678",
        "+49 (0)30 1234-5678",
        "+4903012345678",
        "00493012345678",
        "0049 30 12345678",
        "tel:+49-30-12345678",
        "tel:+49-30-12345678;ext=12",
        "tel:030-12345678;phone-context=+49",
        "sip:+493012345678@host.example",
        "sip:+493012345678@host.example:5060;user=phone?subject=x",
        "SIPS:%2B493012345678@[2001:db8::1]",
        "sip:+493012345678;npdi@host.example;transport=tcp",
        "sip:00493012345678@host.example",
        "\"Ada <1>\" <sip:+493012345678@host.example>;tag=a6c85cf",
        "<tel:+493012345678>",
        "+493012345678@host.example",
        "+４９ ３０ 12345678",
        " +493012345678 ",
    ] {
        assert_eq!(number(written, None).as_deref(), Some("+493012345678"), "{written}");
    }
    assert_eq!(number("+1 800 FLOWERS", None).as_deref(), Some("+18003569377"));
}

#[test]
fn a_number_without_a_country_is_one_of_the_region_it_was_dialled_in() {
    for (written, region, is) in [
        ("030 12345678", "DE", "+493012345678"),
        ("03012345678", "de", "+493012345678"),
        ("(202) 555-0142", "US", "+12025550142"),
        ("sip:2025550142@host.example", "US", "+12025550142"),
        ("011 49 30 12345678", "US", "+493012345678"),
        ("0049 30 12345678", "US", "+493012345678"),
        ("06 12345678", "IT", "+390612345678"),
        ("+493012345678", "US", "+493012345678"),
        ("+49 30 12345678", "Germany", "+493012345678"),
    ] {
        assert_eq!(number(written, Some(region)).as_deref(), Some(is), "{written} in {region}");
    }
}

#[test]
fn whoever_withholds_a_number_has_none() {
    for written in [
        "anonymous",
        "Anonymous",
        "Restricted",
        "Unavailable",
        "unknown",
        "PRIVATE NUMBER",
        "No Caller ID",
        "out-of-area",
        "sip:anonymous@anonymous.invalid",
        "sip:c8oqz84zk7z@privacy.invalid;user=phone",
        "\"Anonymous\" <sip:anonymous@10.0.0.1>;tag=1",
        "tel:unavailable",
        // ANONYMOUS and UNKNOWN on a telephone's keys.
        "+266696687",
        "+8656696",
        "sip:+266696687@host.example",
        // Calls from an application.
        "sip:ada.lovelace@example.com",
        "client1@example.com",
    ] {
        assert_eq!(number(written, None), None, "{written}");
        assert_eq!(number(written, Some("DE")), None, "{written}");
    }
}

#[test]
fn what_is_no_number_is_refused_with_what_to_send() {
    let phone = |code| ("context.callerPhone".to_owned(), code);
    for written in [
        "Ada",
        "+",
        "+1234",
        "1001",
        "+0123456789",
        "+999 0123 456 789",
        "sip:@",
        "+49 30 1234 5678 9012 3456",
    ] {
        assert_eq!(refused(written, None), phone("not_a_phone_number"), "{written}");
    }
    assert_eq!(refused(&"9".repeat(1000), Some("DE")), phone("not_a_phone_number"));
    for written in ["03012345678", "(202) 555-0142", "493087654321"] {
        assert_eq!(refused(written, None), phone("no_country_code"), "{written}");
    }
    for region in ["XX", "Germany", "4", "001", "ZZ"] {
        let field = "context.callerRegion".to_owned();
        assert_eq!(refused("03012345678", Some(region)), (field, "unknown_region"), "{region}");
    }
}

/// What is taken as it stands, without the library, is what the library would have made of it.
#[test]
fn the_short_way_and_the_library_agree_about_numbers_of_every_region() {
    let kinds = [
        PhoneNumberType::FixedLine,
        PhoneNumberType::Mobile,
        PhoneNumberType::TollFree,
        PhoneNumberType::PremiumRate,
        PhoneNumberType::SharedCost,
        PhoneNumberType::VoIP,
        PhoneNumberType::PersonalNumber,
        PhoneNumberType::UAN,
    ];
    let (mut short, mut all) = (0, 0);
    for region in PHONE_NUMBER_UTIL.get_supported_regions() {
        for kind in kinds {
            let example = PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region, kind);
            let Ok(example) = example else { continue };
            let text = PHONE_NUMBER_UTIL.format(&example, PhoneNumberFormat::E164).into_owned();
            assert_eq!(possible(&text, None).as_ref(), Some(&text));
            assert_eq!(number(&text, None), Some(text.clone()));
            let spelled = PHONE_NUMBER_UTIL.format(&example, PhoneNumberFormat::RFC3966);
            assert_eq!(number(&spelled, None), Some(text.clone()), "{spelled}");
            all += 1;
            short += usize::from(is_e164(&text));
        }
    }
    assert!(all > 800 && short * 10 > all * 9, "{short} of {all} go the short way");
}
