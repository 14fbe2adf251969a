use super::*;
use crate::storage::conformance::{acme, blocks, commit, key, noon};
use events::integration::{CredentialsShredded, Disconnected};
use events::{IntegrationKind, Subject, SubjectKind};

fn row(head: &Head, ids: &[&str]) -> Row {
    stamp(head, commit(&acme(), "one", ids.iter().map(|id| key(id)).collect())).expect("fits").0
}

fn broken(row: &Row) -> Option<Seq> {
    Chain::after(&acme(), Head::START).follow(row).err().map(|broken| broken.seq)
}

#[test]
fn a_row_follows_from_its_bytes() {
    let row = row(&Head::START, &["a", "b"]);
    assert_eq!(broken(&row), None);
    assert_eq!((row.seq, row.prev_hash), (Seq(2), [0; 32]));
}

#[test]
fn every_flipped_bit_of_a_row_is_noticed() {
    let row = row(&Head::START, &["a", "b"]);
    for bit in 0..row.body.len() * 8 {
        let mut changed = row.clone();
        changed.body[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(broken(&changed), Some(Seq(1)), "bit {bit}");
    }
}

#[test]
fn a_blank_between_events_is_a_byte_that_no_hash_covers() {
    let row = row(&Head::START, &["a", "b"]);
    let text = String::from_utf8(row.body.clone()).expect("JSON");
    for changed in [text.replacen("},{", "}, {", 1), format!(" {text}"), format!("{text}\n"), "[]".to_owned()]
    {
        assert_ne!(changed, text);
        assert_eq!(broken(&Row { body: changed.into_bytes(), ..row.clone() }), Some(Seq(1)));
    }
}

#[test]
fn positions_times_and_hashes_beside_the_bytes_are_checked_too() {
    let row = row(&Head::START, &["a", "b"]);
    let other = [9; 32];
    let later = noon() + jiff::SignedDuration::from_secs(1);
    let changed = [
        Row { seq: Seq(3), ..row.clone() },
        Row { seq: Seq(1), ..row.clone() },
        Row { prev_hash: other, ..row.clone() },
        Row { hash: other, ..row.clone() },
        Row { recorded_at: later, ..row.clone() },
    ];
    for row in changed {
        assert_eq!(broken(&row), Some(Seq(1)), "{row:?}");
    }
}

#[test]
fn a_verifier_compares_the_end_with_the_head() {
    let row = row(&Head::START, &["a", "b"]);
    let head = Head { seq: row.seq, hash: row.hash, recorded_at: row.recorded_at };
    let acme = acme();
    let first_bad = |head: &Head| {
        let mut verifier = Verifier::new(&acme);
        assert!(verifier.take(std::slice::from_ref(&row)));
        verifier.finish(head).first_bad
    };
    assert_eq!(first_bad(&head), None);
    assert_eq!(first_bad(&Head { hash: [9; 32], ..head }), Some(Seq(2)));
    assert_eq!(first_bad(&Head { seq: Seq(5), ..head }), Some(Seq(3)), "cut off");
    assert_eq!(first_bad(&Head::START), Some(Seq(1)), "never acknowledged");
}

#[test]
fn what_follows_names_the_first_event_of_its_commit_and_the_rest_what_the_command_answers_to() {
    let kind = IntegrationKind::Postgres;
    let integration = || Subject::new(SubjectKind::Integration, kind);
    let shredded = CredentialsShredded { kind, credential_versions: vec![1] };
    let events = vec![
        (integration(), Disconnected { kind }.into()),
        blocks("patients"),
        (integration(), shredded.into()),
    ];
    let earlier = EventId::from("evt_earlier");
    let caused = Commit { cause: Some(earlier.clone()), ..commit(&acme(), "caused", events.clone()) };
    for (commit, cause) in [(commit(&acme(), "asked for", events), None), (caused, Some(earlier))] {
        let (row, recorded) = stamp(&Head::START, commit).expect("it fits");
        let first = Some(recorded[0].id.clone());
        let causes: Vec<_> = recorded.iter().map(|event| event.cause.clone()).collect();
        assert_eq!(causes, [cause.clone(), cause, first]);
        let read = Chain::after(&acme(), Head::START).decode(&row).expect("it decodes");
        assert_eq!(read, recorded);
    }
}
