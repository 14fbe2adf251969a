//! What every sealer keeps.

use super::{Purpose, SealContext, SealError, Sealed, Sealer};
use events::{IntegrationKind, OrganizationId};

fn context() -> SealContext {
    SealContext::credentials(&OrganizationId::from("acme"), IntegrationKind::Postgres, 1)
}

/// A record of each purpose, for sealers that treat them differently.
fn contexts() -> [SealContext; 2] {
    [context(), SealContext { purpose: Purpose::IdempotentAnswer, ..context() }]
}

async fn refused(sealer: &dyn Sealer, context: &SealContext, sealed: &Sealed) {
    let opened = sealer.open(context, sealed).await.map(|plain| plain.to_vec());
    assert_eq!(opened, Err(SealError::DoesNotOpen), "{context:?}");
}

pub async fn what_was_sealed_opens(sealer: &dyn Sealer) {
    for context in contexts() {
        for plain in [b"".as_slice(), b"x", &[7; 100_000]] {
            let sealed = sealer.seal(&context, plain).await.expect("seals");
            let opened = sealer.open(&context, &sealed).await.expect("opens");
            assert_eq!(opened.as_slice(), plain);
        }
    }
}

pub async fn equal_plaintexts_are_sealed_differently(sealer: &dyn Sealer) {
    for context in contexts() {
        let one = sealer.seal(&context, b"same").await.expect("seals");
        let two = sealer.seal(&context, b"same").await.expect("seals");
        assert_ne!(one.body, two.body);
    }
}

pub async fn every_record_of_credentials_has_a_data_key_of_its_own(sealer: &dyn Sealer) {
    let one = sealer.seal(&context(), b"one").await.expect("seals");
    let two = sealer.seal(&context(), b"two").await.expect("seals");
    assert_ne!(one.wrapped_key, two.wrapped_key);
    refused(sealer, &context(), &Sealed { wrapped_key: one.wrapped_key, body: two.body }).await;
}

pub async fn the_plaintext_is_not_in_the_record(sealer: &dyn Sealer) {
    let plain = b"a password that is long enough to be found";
    for context in contexts() {
        let sealed = sealer.seal(&context, plain).await.expect("seals");
        for part in [&sealed.wrapped_key, &sealed.body] {
            assert!(part.windows(8).all(|window| !plain.windows(8).any(|of_plain| of_plain == window)));
        }
    }
}

pub async fn another_organization_connection_version_or_purpose_does_not_open_it(sealer: &dyn Sealer) {
    let [credentials, answer] = contexts();
    for (own, other_purpose) in [(&credentials, &answer), (&answer, &credentials)] {
        let sealed = sealer.seal(own, b"secret").await.expect("seals");
        let others = [
            other_purpose.clone(),
            SealContext { organization: "other".into(), ..own.clone() },
            SealContext { connection: "mysql".into(), ..own.clone() },
            SealContext { version: 2, ..own.clone() },
            // The same letters, cut elsewhere.
            SealContext { organization: "acmep".into(), connection: "ostgres".into(), ..own.clone() },
        ];
        for other in &others {
            refused(sealer, other, &sealed).await;
        }
        // Nor when the data key is in memory.
        sealer.open(own, &sealed).await.expect("opens");
        for other in &others {
            refused(sealer, other, &sealed).await;
        }
    }
}

pub async fn a_record_with_any_bit_flipped_does_not_open(sealer: &dyn Sealer) {
    for context in contexts() {
        let sealed = sealer.seal(&context, b"secret").await.expect("seals");
        for bit in 0..sealed.body.len() * 8 {
            let mut changed = sealed.clone();
            changed.body[bit / 8] ^= 1 << (bit % 8);
            refused(sealer, &context, &changed).await;
        }
        for bit in 0..sealed.wrapped_key.len() * 8 {
            let mut changed = sealed.clone();
            changed.wrapped_key[bit / 8] ^= 1 << (bit % 8);
            refused(sealer, &context, &changed).await;
        }
    }
}

pub async fn a_record_that_was_cut_off_at_any_byte_does_not_open(sealer: &dyn Sealer) {
    for context in contexts() {
        let sealed = sealer.seal(&context, b"secret").await.expect("seals");
        for length in 0..sealed.body.len() {
            let body = sealed.body[..length].to_vec();
            refused(sealer, &context, &Sealed { body, ..sealed.clone() }).await;
        }
        for length in 0..sealed.wrapped_key.len() {
            let wrapped_key = sealed.wrapped_key[..length].to_vec();
            refused(sealer, &context, &Sealed { wrapped_key, ..sealed.clone() }).await;
        }
    }
}

/// Shredding is the destruction of the wrapped key. It holds although the sealer has just opened the record.
pub async fn a_shredded_record_never_opens(sealer: &dyn Sealer) {
    for context in contexts() {
        let sealed = sealer.seal(&context, b"secret").await.expect("seals");
        sealer.open(&context, &sealed).await.expect("opens");
        sealer.forget(&context);
        for left in [Vec::new(), vec![0; sealed.wrapped_key.len()]] {
            refused(sealer, &context, &Sealed { wrapped_key: left, ..sealed.clone() }).await;
        }
    }
}

/// Wants `$sealer` to be an expression that makes a sealer.
#[macro_export]
macro_rules! sealer_conformance {
    ($sealer:expr) => {
        $crate::sealer_conformance!(@each $sealer;
            what_was_sealed_opens
            equal_plaintexts_are_sealed_differently
            every_record_of_credentials_has_a_data_key_of_its_own
            the_plaintext_is_not_in_the_record
            another_organization_connection_version_or_purpose_does_not_open_it
            a_record_with_any_bit_flipped_does_not_open
            a_record_that_was_cut_off_at_any_byte_does_not_open
            a_shredded_record_never_opens
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
