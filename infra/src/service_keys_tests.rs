use super::*;
use crate::emulators::wire::{Line, Wire};
use crate::emulators::{MARGIN, impatient_sdk_config, moto, sdk_config};
use domain::limits::AWS_OPERATION_TIMEOUT;
use std::time::Duration;

struct Bench {
    config: SdkConfig,
    wire: Wire,
    client: Client,
    prefix: String,
}

/// As `GenerateSecretString` would make it.
fn random() -> String {
    format!("{0}{0}", uuid::Uuid::new_v4().simple())
}

impl Bench {
    /// Nothing is there yet.
    async fn empty() -> Self {
        let direct = sdk_config(&moto().url).await;
        let (config, wire) = Wire::through(&direct);
        Self { config, wire, client: Client::new(&direct), prefix: format!("bindery-{}", random()) }
    }

    async fn new() -> Self {
        let bench = Self::empty().await;
        bench.create("api-key-pepper", &random()).await;
        bench.create("signing-keys", &random()).await;
        bench
    }

    async fn create(&self, name: &str, text: &str) {
        let name = format!("{}/{name}", self.prefix);
        self.client.create_secret().name(name).secret_string(text).send().await.expect("a secret");
    }

    async fn rotate_pepper(&self) {
        let name = format!("{}/api-key-pepper", self.prefix);
        self.client.put_secret_value().secret_id(name).secret_string(random()).send().await.expect("put");
    }

    async fn load(&self) -> (SecretPeppers, SigningKeys) {
        load(&self.config, &self.prefix).await.expect("loads")
    }

    fn read(&self) -> usize {
        self.wire.sent("GetSecretValue")
    }
}

fn after(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

#[tokio::test]
async fn equal_secrets_give_equal_keys_to_every_process_and_each_use_has_its_own() {
    let bench = Bench::new().await;
    let (one, signing) = bench.load().await;
    let (two, signing_again) = bench.load().await;
    assert!(*one.known() == *two.known());
    assert!(one.known().previous.is_none(), "it was never rotated");
    assert!(signing.cursor_key == signing_again.cursor_key && signing.hash_key == signing_again.hash_key);
    assert!(signing.webhook_key == signing_again.webhook_key);
    assert!(signing.cursor_key != signing.hash_key && signing.webhook_key != signing.hash_key);
    assert!(signing.webhook_key != signing.cursor_key);
    let (elsewhere, other) = Bench::new().await.load().await;
    assert!(one.known().current != elsewhere.known().current && signing.hash_key != other.hash_key);
}

#[tokio::test]
async fn a_rotation_keeps_the_pepper_before_and_the_next_one_drops_it() {
    let bench = Bench::new().await;
    let (peppers, _) = bench.load().await;
    let first = peppers.known().current.clone();
    bench.rotate_pepper().await;
    let second = peppers.latest_at(after(60)).await;
    assert!(second.current != first && second.previous == Some(first.clone()));
    assert!(*bench.load().await.0.known() == *second, "a new process reads the same");
    bench.rotate_pepper().await;
    let third = peppers.latest_at(after(120)).await;
    assert!(third.previous.as_ref() == Some(&second.current));
    assert!(third.current != first && third.current != second.current);
}

#[tokio::test]
async fn the_secret_is_read_at_most_once_a_minute_however_often_it_is_asked_for() {
    let bench = Bench::new().await;
    let (peppers, _) = bench.load().await;
    let at_start = bench.read();
    bench.rotate_pepper().await;
    let known = peppers.known();
    assert!(Arc::ptr_eq(&known, &peppers.latest().await), "the last read is no minute ago");
    assert_eq!(bench.read(), at_start);
    // All who ask at once get what one of them reads.
    let (peppers, late) = (Arc::new(peppers), after(60));
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let peppers = peppers.clone();
            tokio::spawn(async move { peppers.latest_at(late).await })
        })
        .collect();
    for task in tasks {
        assert!(!Arc::ptr_eq(&known, &task.await.expect("ends")));
    }
    assert_eq!(bench.read(), at_start + 2, "the current and the previous one");
}

#[tokio::test]
async fn while_it_cannot_be_read_what_is_known_stays_and_it_is_not_asked_for_more_often() {
    let bench = Bench::new().await;
    let (peppers, _) = bench.load().await;
    let known = peppers.known();
    bench.wire.set(Line::Answers("InternalServiceErrorX"));
    assert!(Arc::ptr_eq(&known, &peppers.latest_at(after(60)).await));
    let tried = bench.read();
    assert!(Arc::ptr_eq(&known, &peppers.latest_at(after(119)).await));
    assert_eq!(bench.read(), tried);
    bench.wire.set(Line::Open);
    bench.rotate_pepper().await;
    assert!(peppers.latest_at(after(121)).await.previous.as_ref() == Some(&known.current));
}

#[tokio::test]
async fn what_is_missing_too_short_or_out_of_reach_is_named() {
    let bench = Bench::empty().await;
    let (pepper, signing) =
        (format!("{}/api-key-pepper", bench.prefix), format!("{}/signing-keys", bench.prefix));
    let refused = async || load(&bench.config, &bench.prefix).await.err();
    bench.create("signing-keys", &random()).await;
    assert_eq!(refused().await, Some(ServiceKeysError::Missing(pepper.clone())));
    bench.create("api-key-pepper", &"x".repeat(31)).await;
    assert_eq!(refused().await, Some(ServiceKeysError::TooShort(pepper)));
    bench.rotate_pepper().await;
    assert!(bench.load().await.0.known().previous.is_none(), "the short one never was in force");
    bench.wire.set(Line::Answers("AccessDeniedException"));
    let unavailable = refused().await.expect("is refused");
    assert!(matches!(unavailable, ServiceKeysError::Unavailable { .. }), "{unavailable:?}");
    let said = unavailable.to_string();
    assert!(said.contains(&signing) && said.contains("AccessDeniedException"), "{said}");
}

#[tokio::test]
async fn a_key_that_does_not_match_is_not_kept_waiting_by_a_silent_secrets_manager() {
    let bench = Bench::new().await;
    let (config, wire) = Wire::through(&impatient_sdk_config(&moto().url).await);
    let (peppers, _) = load(&config, &bench.prefix).await.expect("loads");
    let known = peppers.known();
    wire.set(Line::Silent);
    let since = Instant::now();
    assert!(Arc::ptr_eq(&known, &peppers.latest_at(after(60)).await));
    assert!(since.elapsed() < AWS_OPERATION_TIMEOUT + MARGIN, "{:?}", since.elapsed());
}
