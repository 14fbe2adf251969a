use super::*;

fn with(text: &str, role: Role) -> Vec<String> {
    let meaning = Meaning::read(text);
    meaning.with(&[role]).filter(|(_, word)| !word.initials).map(|(_, word)| word.text.clone()).collect()
}

#[test]
fn vocabulary_is_sorted_for_the_search_in_it() {
    assert!(EMPTY.is_sorted());
}

#[test]
fn the_verb_says_what_is_wanted() {
    for (text, wanted) in [
        ("look up a client by their account number", Wanted::Read),
        ("add a note to a customer's file", Wanted::Insert),
        ("let callers book an appointment", Wanted::Insert),
        ("let callers ask to reschedule their appointment", Wanted::Update),
        ("change a client's mobile phone number", Wanted::Update),
        ("delete all orders", Wanted::Removal),
        ("What are the changes of an order?", Wanted::Read),
        ("when is the next booking", Wanted::Read),
        ("I want to update my email address", Wanted::Update),
        ("order status for an order number", Wanted::Read),
        ("order a product", Wanted::Insert),
    ] {
        assert_eq!(Meaning::read(text).wanted, wanted, "{text}");
    }
}

#[test]
fn roles_follow_the_sentence() {
    let text = "what is the outstanding balance on a loan by account number";
    assert_eq!(with(text, Role::Head), ["outstanding", "balance"]);
    assert_eq!(with(text, Role::Tail), ["loan"]);
    assert_eq!(with(text, Role::Key), ["account", "number"]);
    assert_eq!(
        with("Find id of candidates whose assessment code is <value>", Role::Key),
        ["assessment", "code"]
    );
}

#[test]
fn the_callers_own_rows_are_told_from_those_of_others() {
    for own in
        ["let callers ask when their next appointment is", "what is my balance", "callers check their orders"]
    {
        assert!(Meaning::read(own).own, "{own}");
    }
    for other in ["look up a client by their account number", "find the invoices of a patient"] {
        assert!(!Meaning::read(other).own, "{other}");
    }
}

#[test]
fn any_text_is_read() {
    for text in ["", "\"", "<", "< >", "'; DROP TABLE x; --", "\u{0}\u{1}", "日本語 の 予約", "a\u{301}"]
    {
        Meaning::read(text);
    }
}
