//! What every sealer keeps.

use super::{Purpose, SealContext, SealError, Sealed, Sealer};
use events::{IntegrationKind, OrganizationId};

fn context() -> SealContext {
    SealContext::credentials(&OrganizationId::from("acme"), IntegrationKind::Postgres, 1)
}

async fn refused(sealer: &dyn Sealer, context: &SealContext, sealed: &Sealed) {
    let opened = sealer.open(context, sealed).await.map(|plain| plain.to_vec());
    assert_eq!(opened, Err(SealError::DoesNotOpen), "{context:?}");
}

pub async fn what_was_sealed_opens(sealer: &dyn Sealer) {
    for plain in [b"".as_slice(), b"x", &[7; 100_000]] {
        let sealed = sealer.seal(&context(), plain).await.expect("seals");
        let opened = sealer.open(&context(), &sealed).await.expect("opens");
        assert_eq!(opened.as_slice(), plain);
    }
}

pub async fn equal_plaintexts_are_sealed_differently(sealer: &dyn Sealer) {
    let one = sealer.seal(&context(), b"same").await.expect("seals");
    let two = sealer.seal(&context(), b"same").await.expect("seals");
    assert_ne!(one.wrapped_key, two.wrapped_key);
    assert_ne!(one.body, two.body);
}

pub async fn the_plaintext_is_not_in_the_record(sealer: &dyn Sealer) {
    let plain = b"a password that is long enough to be found";
    let sealed = sealer.seal(&context(), plain).await.expect("seals");
    for part in [&sealed.wrapped_key, &sealed.body] {
        assert!(part.windows(8).all(|window| !plain.windows(8).any(|of_plain| of_plain == window)));
    }
}

pub async fn another_organization_connection_version_or_purpose_does_not_open_it(sealer: &dyn Sealer) {
    let sealed = sealer.seal(&context(), b"secret").await.expect("seals");
    let others = [
        SealContext { organization: "other".into(), ..context() },
        SealContext { connection: "mysql".into(), ..context() },
        SealContext { version: 2, ..context() },
        SealContext { purpose: Purpose::IdempotentAnswer, ..context() },
        // The same letters, cut elsewhere.
        SealContext { organization: "acmep".into(), connection: "ostgres".into(), ..context() },
    ];
    for other in others {
        refused(sealer, &other, &sealed).await;
    }
}

pub async fn a_record_with_any_bit_flipped_does_not_open(sealer: &dyn Sealer) {
    let sealed = sealer.seal(&context(), b"secret").await.expect("seals");
    for bit in 0..sealed.body.len() * 8 {
        let mut changed = sealed.clone();
        changed.body[bit / 8] ^= 1 << (bit % 8);
        refused(sealer, &context(), &changed).await;
    }
    for bit in 0..sealed.wrapped_key.len() * 8 {
        let mut changed = sealed.clone();
        changed.wrapped_key[bit / 8] ^= 1 << (bit % 8);
        refused(sealer, &context(), &changed).await;
    }
}

pub async fn a_record_that_was_cut_off_at_any_byte_does_not_open(sealer: &dyn Sealer) {
    let sealed = sealer.seal(&context(), b"secret").await.expect("seals");
    for length in 0..sealed.body.len() {
        let body = sealed.body[..length].to_vec();
        refused(sealer, &context(), &Sealed { body, ..sealed.clone() }).await;
    }
    for length in 0..sealed.wrapped_key.len() {
        let wrapped_key = sealed.wrapped_key[..length].to_vec();
        refused(sealer, &context(), &Sealed { wrapped_key, ..sealed.clone() }).await;
    }
}

pub async fn parts_of_two_records_do_not_open_together(sealer: &dyn Sealer) {
    let one = sealer.seal(&context(), b"one").await.expect("seals");
    let two = sealer.seal(&context(), b"two").await.expect("seals");
    refused(sealer, &context(), &Sealed { wrapped_key: one.wrapped_key, body: two.body }).await;
}

/// Wants `$sealer` to be an expression that makes a sealer.
#[macro_export]
macro_rules! sealer_conformance {
    ($sealer:expr) => {
        $crate::sealer_conformance!(@each $sealer;
            what_was_sealed_opens
            equal_plaintexts_are_sealed_differently
            the_plaintext_is_not_in_the_record
            another_organization_connection_version_or_purpose_does_not_open_it
            a_record_with_any_bit_flipped_does_not_open
            a_record_that_was_cut_off_at_any_byte_does_not_open
            parts_of_two_records_do_not_open_together
        );
    };
    (@each $sealer:expr; $($name:ident)*) => {$(
        #[tokio::test]
        async fn $name() {
            let sealer = $sealer;
            $crate::sealing::conformance::$name(&sealer).await;
        }
    )*};
}
