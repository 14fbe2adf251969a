//! What metrics are made of.

use super::*;
use crate::sealing::Sealed;
use crate::storage::conformance::{acme, append, commit, key, noon};
use crate::storage::{AnswerSlot, AnswerStore, Settlement};

#[tokio::test]
async fn documents_lag_only_where_another_release_has_folded_them() {
    let backend = Sqlite::new();
    let store = backend.open().await;
    assert_eq!(store.documents_lag().await, Ok(0), "an empty store has nothing behind it");
    append(&*store, commit(&acme(), "one", vec![key("a"), key("b")])).await;
    assert_eq!(store.documents_lag().await, Ok(0));
    let mut connection = backend.connection().await;
    sqlx::query("UPDATE checkpoints SET fingerprint = 'another'")
        .execute(&mut connection)
        .await
        .expect("done");
    assert_eq!(store.documents_lag().await, Ok(2));
    store.rebuild_projections(&acme()).await.expect("folds");
    assert_eq!(store.documents_lag().await, Ok(0));
}

#[tokio::test]
async fn a_write_in_doubt_is_one_however_many_slots_it_has() {
    let backend = Sqlite::new();
    let store = backend.open().await;
    let slot = |key: &str, write: &str| AnswerSlot {
        organization: acme(),
        key: format!("call:{key}"),
        body_hash: write.to_owned(),
    };
    let evidence = |text: &str| Sealed { wrapped_key: b"key".to_vec(), body: text.as_bytes().to_vec() };
    let (first, second) = ([slot("a", "w"), slot("b", "w"), slot("c", "w")], [slot("d", "x")]);
    for (slots, text) in [(&first[..], "of the first"), (&second, "of the second")] {
        store.begin(slots, noon()).await.expect("begins");
        store.mark(slots, &evidence(text)).await.expect("marks");
        assert_eq!(store.open_doubts().await, Ok(u64::from(text == "of the second")), "it runs");
        let settlement = if text == "of the first" { Settlement::InDoubt } else { Settlement::ForAPerson };
        assert!(store.settle(slots, &evidence(text), settlement).await.expect("settles"));
    }
    assert_eq!(store.open_doubts().await, Ok(2));
    assert!(store.settle(&first, &evidence("of the first"), Settlement::Nothing).await.expect("settles"));
    assert_eq!(store.open_doubts().await, Ok(1));
}
