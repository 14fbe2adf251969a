//! How long data keys are kept, seen by what is asked of KMS.

use super::*;

#[tokio::test]
async fn a_record_that_is_opened_again_is_not_asked_for_again_until_five_minutes_are_over() {
    let maker = Bench::new().await;
    let sealed = maker.sealer.seal(&credentials(1), b"secret").await.expect("seals");
    let bench = maker.cold().await;
    for _ in 0..3 {
        assert_eq!(bench.opens(&credentials(1), &sealed).await, Ok(b"secret".to_vec()));
    }
    assert_eq!(bench.unwrapped(), 1);
    bench.passes(DATA_KEY_KEPT - Duration::from_secs(1));
    bench.opens(&credentials(1), &sealed).await.expect("opens");
    assert_eq!(bench.unwrapped(), 1);
    bench.passes(Duration::from_secs(1));
    bench.opens(&credentials(1), &sealed).await.expect("opens");
    assert_eq!(bench.unwrapped(), 2, "its use did not prolong its time");
}

#[tokio::test]
async fn a_clock_that_was_put_back_prolongs_nothing() {
    let bench = Bench::new().await;
    let sealed = bench.sealer.seal(&credentials(1), b"secret").await.expect("seals");
    bench.opens(&credentials(1), &sealed).await.expect("opens");
    *bench.now.lock().expect("not poisoned") -= SignedDuration::from_secs(1);
    bench.opens(&credentials(1), &sealed).await.expect("opens");
    assert_eq!(bench.unwrapped(), 2);
}

#[tokio::test]
async fn what_only_seals_credentials_never_unwraps() {
    let bench = Bench::new().await;
    bench.sealer.seal(&credentials(1), b"one").await.expect("seals");
    bench.sealer.seal(&credentials(2), b"two").await.expect("seals");
    assert_eq!((bench.made(), bench.unwrapped()), (2, 0));
    assert_eq!(bench.sealer.opened.count(), 0, "what was sealed is not kept");
}

#[tokio::test]
async fn forgetting_wipes_the_keys_of_a_connection_up_to_a_version_and_no_others() {
    let bench = Bench::new().await;
    let mysql = SealContext::credentials(&"acme".into(), IntegrationKind::Mysql, 1);
    let other = SealContext { organization: "other".into(), ..credentials(1) };
    let contexts = [credentials(1), credentials(2), credentials(3), mysql, other];
    let mut records = Vec::new();
    for context in contexts {
        let sealed = bench.sealer.seal(&context, b"secret").await.expect("seals");
        bench.opens(&context, &sealed).await.expect("opens");
        records.push((context, sealed));
    }
    assert_eq!(bench.unwrapped(), 5);
    bench.sealer.forget(&credentials(2));
    for (context, sealed) in &records[2..] {
        bench.opens(context, sealed).await.expect("opens");
    }
    assert_eq!(bench.unwrapped(), 5, "newer and other ones are kept");
    for (context, sealed) in &records[..2] {
        bench.opens(context, sealed).await.expect("opens");
    }
    assert_eq!(bench.unwrapped(), 7);
}

#[tokio::test]
async fn the_answers_of_an_organization_share_a_data_key_for_five_minutes() {
    let bench = Bench::new().await;
    let mut sealed = Vec::new();
    for slot in ["a", "b", "c"] {
        sealed.push(bench.sealer.seal(&answer("acme", slot), slot.as_bytes()).await.expect("seals"));
    }
    assert_eq!(bench.made(), 1);
    bench.sealer.seal(&answer("other", "a"), b"a").await.expect("seals");
    assert_eq!(bench.made(), 2, "another organization has another key");
    for (slot, sealed) in ["a", "b", "c"].iter().zip(&sealed) {
        assert_eq!(bench.opens(&answer("acme", slot), sealed).await, Ok(slot.as_bytes().to_vec()));
    }
    assert_eq!(bench.unwrapped(), 0, "who made the key need not ask for it");
    let elsewhere = bench.cold().await;
    for (slot, sealed) in ["a", "b", "c"].iter().zip(&sealed) {
        assert_eq!(elsewhere.opens(&answer("acme", slot), sealed).await, Ok(slot.as_bytes().to_vec()));
    }
    assert_eq!(elsewhere.unwrapped(), 1, "one key opens them all");
    bench.passes(DATA_KEY_KEPT);
    bench.sealer.seal(&answer("acme", "d"), b"d").await.expect("seals");
    assert_eq!(bench.made(), 3);
}

#[tokio::test]
async fn what_was_prepared_can_be_sealed_for_as_long_as_a_statement_may_run() {
    let bench = Bench::new().await;
    bench.sealer.prepare(&answer("acme", "a")).await.expect("prepares");
    bench.sealer.prepare(&answer("acme", "b")).await.expect("prepares");
    assert_eq!(bench.made(), 1);
    bench.passes(DATA_KEY_KEPT - Duration::from_secs(10));
    bench.sealer.prepare(&answer("acme", "c")).await.expect("prepares");
    assert_eq!(bench.made(), 2, "ten seconds would not be enough");
    bench.wire.set(Line::Cut);
    bench.passes(domain::limits::STATEMENT_TIMEOUT_HARD);
    bench.sealer.seal(&answer("acme", "c"), b"c").await.expect("seals");
}

#[tokio::test]
async fn no_more_data_keys_are_kept_than_the_limit_and_the_oldest_goes_first() {
    let clock = Arc::new(Mutex::new("2026-11-05T12:00:00Z".parse::<Timestamp>().expect("a time")));
    let read = clock.clone();
    let keys: DataKeys<usize, Bytes32> = DataKeys::new(Arc::new(move || *read.lock().expect("not poisoned")));
    for name in 0..=DATA_KEYS_MAX {
        *clock.lock().expect("not poisoned") += SignedDuration::from_millis(1);
        keys.put(name, Zeroizing::new([0; 32]));
    }
    assert_eq!(keys.count(), DATA_KEYS_MAX);
    assert!(keys.get(&0).is_none());
    assert!(keys.get(&1).is_some() && keys.get(&DATA_KEYS_MAX).is_some());
}
