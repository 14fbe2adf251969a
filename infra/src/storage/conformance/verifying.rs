use super::*;
use crate::storage::replay::PAGE;

/// Commits end at 2, 5, 6, 8 and 10.
const SIZES: [usize; 5] = [2, 3, 1, 2, 2];

async fn expect<B: Backend>(backend: &B, tamper: Tamper, first_bad: u64) {
    expect_in(backend, &SIZES, tamper, first_bad).await;
}

/// Tampers with a log that held until then, and checks that the first bad `seq` is named.
async fn expect_in<B: Backend>(backend: &B, sizes: &[usize], tamper: Tamper, first_bad: u64) {
    let store = backend.open().await;
    fill(&*store, &acme(), sizes).await;
    fill(&*store, &"other".into(), &SIZES).await;
    let before = store.verify(&acme()).await.expect("verifies");
    assert_eq!((before.events, before.first_bad), (sizes.iter().sum::<usize>() as u64, None));

    backend.tamper(&acme(), tamper.clone()).await;
    let after = store.verify(&acme()).await.expect("verifies");
    assert_eq!(after.first_bad, Some(Seq(first_bad)), "{tamper:?}");
    assert_eq!(store.verify(&"other".into()).await.expect("verifies").first_bad, None);

    // A process that starts now must not serve what it cannot believe, unless its documents tell it all.
    let fresh = backend.open().await;
    assert_eq!(fresh.verify(&acme()).await.expect("verifies").first_bad, Some(Seq(first_bad)));
}

pub async fn a_log_that_nobody_touched_holds<B: Backend>(backend: &B) {
    let store = backend.open().await;
    let empty = store.verify(&acme()).await.expect("verifies");
    assert_eq!((empty.events, empty.head, empty.head_hash, empty.first_bad), (0, Seq(0), [0; 32], None));
    fill(&*store, &acme(), &SIZES).await;
    let verified = store.verify(&acme()).await.expect("verifies");
    let last = store.read(&acme(), Seq(9), 1).await.expect("reads").remove(0);
    assert_eq!(verified.head_hash, last.hash);
    assert_eq!((verified.events, verified.head, verified.first_bad), (10, Seq(10), None));
}

pub async fn a_flipped_byte_is_named<B: Backend>(backend: &B) {
    expect(backend, Tamper::FlipByte(Seq(5)), 3).await;
    let refused = backend.open().await.read(&acme(), Seq(0), 100).await;
    assert!(matches!(refused, Err(crate::storage::StoreError::Corrupt { seq: Seq(3), .. })), "{refused:?}");
}

/// Pages are read ahead of the one that is hashed.
pub async fn a_change_far_down_a_long_log_is_named<B: Backend>(backend: &B) {
    expect_in(backend, &[1; PAGE + 40], Tamper::FlipByte(Seq(PAGE as u64 + 20)), PAGE as u64 + 20).await;
}

pub async fn a_changed_time_is_named<B: Backend>(backend: &B) {
    expect(backend, Tamper::ChangeTime(Seq(8)), 7).await;
}

pub async fn a_removed_commit_is_named<B: Backend>(backend: &B) {
    expect(backend, Tamper::Remove(Seq(5)), 3).await;
    for after in [0, 2, 3] {
        let refused = backend.open().await.read(&acme(), Seq(after), 100).await;
        assert!(matches!(refused, Err(crate::storage::StoreError::Corrupt { .. })), "{refused:?}");
    }
}

pub async fn a_removed_end_is_named<B: Backend>(backend: &B) {
    expect(backend, Tamper::Remove(Seq(10)), 9).await;
}

pub async fn an_inserted_commit_is_named<B: Backend>(backend: &B) {
    expect(backend, Tamper::Insert { after: Seq(5) }, 7).await;
}

pub async fn a_commit_put_behind_the_head_is_named<B: Backend>(backend: &B) {
    expect(backend, Tamper::Append(Seq(10)), 11).await;
}

pub async fn commits_that_changed_places_are_named<B: Backend>(backend: &B) {
    expect(backend, Tamper::Swap(Seq(8), Seq(10)), 7).await;
}

pub async fn a_foreign_commit_is_named<B: Backend>(backend: &B) {
    expect(backend, Tamper::Foreign("other".into(), Seq(6)), 6).await;
}
