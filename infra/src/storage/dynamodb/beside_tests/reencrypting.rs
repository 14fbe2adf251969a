use super::reencrypt::{Reencrypted, reencrypt};
use super::*;
use crate::emulators::wire::{Line, Wire};
use crate::sealing::kms::{KmsKeys, KmsSealer};
use crate::sealing::{SealContext, SealError, Sealed, Sealer};
use crate::storage::CredentialStore;
use aws_config::SdkConfig;
use events::IntegrationKind::{self, Mysql, Postgres};

async fn kms() -> SdkConfig {
    sdk_config(&moto().url).await
}

async fn new_key() -> String {
    let made = aws_sdk_kms::Client::new(&kms().await).create_key().send().await.expect("a key");
    made.key_metadata.expect("described").key_id
}

fn sealer(config: &SdkConfig, credentials: &str) -> KmsSealer {
    let keys = KmsKeys { credentials: credentials.to_owned(), answers: credentials.to_owned() };
    KmsSealer::new(config, keys)
}

async fn put(
    store: &DynamoStore,
    sealer: &KmsSealer,
    organization: &str,
    kind: IntegrationKind,
    version: u32,
) -> Sealed {
    let organization = organization.into();
    let context = SealContext::credentials(&organization, kind, version);
    let sealed = sealer.seal(&context, b"secret").await.expect("seals");
    assert_eq!(store.put(&organization, kind, version, &sealed).await, Ok(true));
    sealed
}

async fn get(store: &DynamoStore, organization: &str, kind: IntegrationKind, version: u32) -> Option<Sealed> {
    CredentialStore::get(store, &organization.into(), kind, version).await.expect("reads")
}

#[tokio::test]
async fn every_record_moves_to_the_new_key_without_its_plaintext_and_opens_under_it_alone() {
    let (old_key, new_key) = (new_key().await, new_key().await);
    let store = store(&names().await).await;
    let records = [("acme", Postgres, 1), ("acme", Postgres, 2), ("acme", Mysql, 1), ("other", Postgres, 1)];
    let mut before = Vec::new();
    for (organization, kind, version) in records {
        before.push(put(&store, &sealer(&kms().await, &old_key), organization, kind, version).await);
    }
    let (config, wire) = Wire::through(&kms().await);
    let moving = sealer(&config, &new_key);
    let all = Reencrypted { rewrapped: 4, ..Reencrypted::default() };
    assert_eq!(reencrypt(&store, &moving).await, Ok(all));
    assert_eq!((wire.sent("ReEncrypt"), wire.sent("Decrypt"), wire.sent("GenerateDataKey")), (4, 0, 0));
    assert_eq!(reencrypt(&store, &moving).await, Ok(Reencrypted::default()), "nothing is due any more");
    assert_eq!(wire.sent("ReEncrypt"), 4);

    let client = aws_sdk_kms::Client::new(&kms().await);
    client.disable_key().key_id(&old_key).send().await.expect("disabled");
    client.schedule_key_deletion().key_id(&old_key).send().await.expect("it goes");
    for ((organization, kind, version), before) in records.into_iter().zip(before) {
        let now = get(&store, organization, kind, version).await.expect("there");
        assert!(now.body == before.body && now.wrapped_key != before.wrapped_key);
        let context = SealContext::credentials(&organization.into(), kind, version);
        let opened = sealer(&kms().await, &new_key).open(&context, &now).await.expect("opens");
        assert_eq!(opened.as_slice(), b"secret");
        let elsewhere = SealContext { version: 9, ..context };
        let moved = sealer(&kms().await, &new_key).open(&elsewhere, &now).await.map(|_| ());
        assert_eq!(moved, Err(SealError::DoesNotOpen), "it is bound as it was");
    }
}

#[tokio::test]
async fn a_record_that_is_shredded_or_replaced_meanwhile_is_left_as_it_is() {
    let key = new_key().await;
    let store = store(&names().await).await;
    let sealer = sealer(&kms().await, &key);
    put(&store, &sealer, "acme", Postgres, 1).await;
    put(&store, &sealer, "acme", Postgres, 2).await;
    let under = sealer.wraps_under().await.expect("says");
    let (due, _) = store.due_for_reencryption(&under, None).await.expect("a page");
    assert_eq!(due.len(), 2);
    assert_eq!(store.shred(&"acme".into(), Postgres, 1).await, Ok(vec![1]));
    let mut replaced = Vec::new();
    for due in &due {
        let rewrapped = sealer.rewrap(&due.context, &due.wrapped_key).await.expect("wraps");
        let taken = store.replace_wrapped_key(due, rewrapped.wrapped_key, &rewrapped.under).await;
        replaced.push((due.context.version, taken.expect("answers")));
    }
    replaced.sort_unstable();
    assert_eq!(replaced, [(1, false), (2, true)]);
    assert!(get(&store, "acme", Postgres, 1).await.is_none(), "what was shredded stays shredded");
    let again = store.replace_wrapped_key(&due[1], b"x".to_vec(), &under).await;
    assert_eq!(again, Ok(false), "a second sweeper does not undo the first");
}

#[tokio::test]
async fn a_record_that_was_changed_is_counted_and_stops_nothing() {
    let key = new_key().await;
    let store = store(&names().await).await;
    let sealer = sealer(&kms().await, &key);
    let sealed = put(&store, &sealer, "acme", Postgres, 1).await;
    put(&store, &sealer, "acme", Postgres, 3).await;
    // The record of version 1, moved to 2: KMS does not unwrap it there.
    assert_eq!(store.put(&"acme".into(), Postgres, 2, &sealed).await, Ok(true));
    let swept = reencrypt(&store, &sealer).await;
    assert_eq!(swept, Ok(Reencrypted { rewrapped: 2, gone: 0, refused: 1 }));
    assert!(get(&store, "acme", Postgres, 2).await == Some(sealed));
}

#[tokio::test]
async fn a_sweep_that_was_cut_off_goes_on_where_it_was() {
    let (old_key, new_key) = (new_key().await, new_key().await);
    let store = store(&names().await).await;
    for version in 1..=3 {
        put(&store, &sealer(&kms().await, &old_key), "acme", Postgres, version).await;
    }
    let (config, wire) = Wire::through(&kms().await);
    let moving = sealer(&config, &new_key);
    let under = moving.wraps_under().await.expect("says");
    let (due, _) = store.due_for_reencryption(&under, None).await.expect("a page");
    let first = moving.rewrap(&due[0].context, &due[0].wrapped_key).await.expect("wraps");
    assert_eq!(store.replace_wrapped_key(&due[0], first.wrapped_key, &first.under).await, Ok(true));
    wire.set(Line::Cut);
    assert!(reencrypt(&store, &moving).await.is_err());
    wire.set(Line::Open);
    let rest = Reencrypted { rewrapped: 2, ..Reencrypted::default() };
    assert_eq!(reencrypt(&store, &moving).await, Ok(rest));
}
