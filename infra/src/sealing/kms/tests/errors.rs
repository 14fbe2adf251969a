//! What KMS refuses, and what it leaves unanswered.

use super::*;
use crate::emulators::MARGIN;

#[tokio::test]
async fn while_kms_is_down_what_is_warm_opens_and_what_is_cold_is_unavailable_in_time() {
    let maker = Bench::new().await;
    let warm = maker.sealer.seal(&credentials(1), b"warm").await.expect("seals");
    let cold = maker.sealer.seal(&credentials(2), b"cold").await.expect("seals");
    let kept = maker.sealer.seal(&answer("acme", "a"), b"kept").await.expect("seals");
    let bench = maker.cold().await;
    bench.opens(&credentials(1), &warm).await.expect("opens");
    bench.sealer.seal(&answer("acme", "b"), b"b").await.expect("seals");
    bench.opens(&answer("acme", "a"), &kept).await.expect("opens");

    bench.wire.set(Line::Cut);
    let since = Instant::now();
    assert_eq!(bench.opens(&credentials(1), &warm).await, Ok(b"warm".to_vec()));
    assert_eq!(bench.opens(&answer("acme", "a"), &kept).await, Ok(b"kept".to_vec()));
    bench.sealer.prepare(&answer("acme", "c")).await.expect("is prepared");
    let own = bench.sealer.seal(&answer("acme", "c"), b"c").await.expect("seals");
    assert_eq!(bench.opens(&answer("acme", "c"), &own).await, Ok(b"c".to_vec()));
    assert_eq!(bench.opens(&credentials(2), &cold).await, Err(SealError::Unavailable));
    assert!(bench.sealer.seal(&credentials(3), b"x").await.is_err());
    assert_eq!(bench.sealer.prepare(&answer("other", "a")).await, Err(SealError::Unavailable));
    assert!(since.elapsed() < 3 * (AWS_OPERATION_TIMEOUT + MARGIN));

    // What is left of a key's time is used as long as a write can end within it.
    bench.passes(DATA_KEY_KEPT - Duration::from_secs(10));
    bench.sealer.prepare(&answer("acme", "d")).await.expect("is prepared");
    bench.passes(Duration::from_secs(10) - STATEMENT_TIMEOUT - AWS_OPERATION_TIMEOUT);
    assert_eq!(bench.sealer.prepare(&answer("acme", "d")).await, Err(SealError::Unavailable), "too little");
    bench.passes(STATEMENT_TIMEOUT + AWS_OPERATION_TIMEOUT);
    assert_eq!(bench.sealer.prepare(&answer("acme", "d")).await, Err(SealError::Unavailable));
    assert_eq!(bench.opens(&credentials(1), &warm).await, Err(SealError::Unavailable));

    bench.wire.set(Line::Open);
    assert_eq!(bench.opens(&credentials(2), &cold).await, Ok(b"cold".to_vec()));
    bench.sealer.prepare(&answer("acme", "d")).await.expect("prepares");
}

#[tokio::test]
async fn only_what_tells_of_the_record_reads_as_a_record_that_does_not_open() {
    let bench = Bench::new().await;
    let sealed = bench.sealer.seal(&credentials(1), b"secret").await.expect("seals");
    let codes = [
        ("InvalidCiphertextException", SealError::DoesNotOpen),
        ("IncorrectKeyException", SealError::DoesNotOpen),
        ("AccessDeniedException", SealError::DoesNotOpen),
        ("NotFoundException", SealError::DoesNotOpen),
        ("DisabledException", SealError::Unavailable),
        ("KMSInvalidStateException", SealError::Unavailable),
        ("KeyUnavailableException", SealError::Unavailable),
        ("DependencyTimeoutException", SealError::Unavailable),
        ("KMSInternalException", SealError::Unavailable),
        ("LimitExceededException", SealError::Unavailable),
        ("ThrottlingException", SealError::Unavailable),
        ("ExpiredTokenException", SealError::Unavailable),
        ("SomethingNew", SealError::Unavailable),
    ];
    for (code, meaning) in codes {
        bench.wire.set(Line::Answers(code));
        assert_eq!(bench.opens(&credentials(1), &sealed).await, Err(meaning), "{code}");
        let made = bench.sealer.seal(&credentials(2), b"x").await.map(|_| ());
        assert_eq!(made, Err(SealError::Unavailable), "{code}");
    }
    bench.wire.set(Line::Open);
    assert_eq!(bench.opens(&credentials(1), &sealed).await, Ok(b"secret".to_vec()));
}

#[tokio::test]
async fn a_key_of_another_purpose_does_not_open_it() {
    let bench = Bench::new().await;
    // Wrapped under the key of answers, in the place of credentials: KMS would unwrap it, but the context is bound.
    let answers = answer("acme", "postgres");
    let sealed = bench.sealer.seal(&answers, b"secret").await.expect("seals");
    let as_credentials = bench.cold().await.opens(&credentials(1), &sealed).await;
    assert_eq!(as_credentials, Err(SealError::DoesNotOpen));
}
