//! What happens when the disk, the file or another release does not play along.

use super::*;
use crate::storage::Expects;
use crate::storage::conformance::{acme, append, commit, fill, key};
use events::CommandId;

async fn run(backend: &Sqlite, statement: &str) {
    let mut connection = backend.connection().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.expect("runs");
    connection.close().await.expect("closes");
}

#[tokio::test]
async fn a_full_disk_refuses_writes_until_there_is_room_and_loses_nothing() {
    let backend = Sqlite::new();
    let store = backend.open().await;
    append(&*store, commit(&acme(), "before", vec![key("a")])).await;
    let limit = |pages: u32| {
        store.writer.alone(move |connection| {
            Box::pin(async move {
                let pragma = format!("PRAGMA max_page_count = {pages}");
                sqlx::raw_sql(sqlx::AssertSqlSafe(pragma)).execute(connection).await.map_err(unavailable)?;
                Ok(())
            })
        })
    };
    limit(1).await.expect("the file cannot grow any more");
    let large =
        || commit(&acme(), "large", vec![crate::storage::conformance::agent("x", &"n".repeat(200_000))]);
    let refused = store.append(large()).await.err();
    assert!(matches!(refused, Some(AppendError::Store(StoreError::Unavailable(_)))), "{refused:?}");
    assert_eq!(store.state(&acme()).await.expect("reads go on").head, Seq(1));

    // The lost transaction's connection was given up, and its limit with it: there is room again.
    let committed = append(&*store, large()).await;
    assert!(!committed.replayed);
    assert_eq!(committed.events[0].seq, Seq(2));
    assert_eq!(store.verify(&acme()).await.expect("verifies").first_bad, None);
}

#[tokio::test]
async fn another_process_that_holds_the_lock_too_long_makes_writes_unavailable_and_not_lost() {
    let backend = Sqlite::new();
    let store = backend.open().await;
    let mut other = backend.connection().await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.expect("locks");
    let refused = store.append(commit(&acme(), "one", vec![key("a")])).await.err();
    assert!(matches!(refused, Some(AppendError::Store(StoreError::Unavailable(_)))), "{refused:?}");
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.expect("lets go");
    assert!(!append(&*store, commit(&acme(), "one", vec![key("a")])).await.replayed);
}

#[tokio::test]
async fn a_log_that_cannot_be_decoded_fails_closed_and_alone() {
    let backend = Sqlite::new();
    let store = backend.open().await;
    let other = OrganizationId::from("other");
    fill(&*store, &acme(), &[2]).await;
    fill(&*store, &other, &[2]).await;
    drop(store);
    // As a newer release would write it: chained well, of a type that is not known here.
    backend.tamper(&acme(), Tamper::Insert { after: Seq(2) }).await;
    run(&backend, "UPDATE commits SET body = replace(body, 'ScopingChanged', 'ScopingForgot') WHERE seq = 3")
        .await;
    let mut connection = backend.connection().await;
    let row = sqlx::query("SELECT prev_hash, body FROM commits WHERE seq = 3")
        .fetch_one(&mut connection)
        .await
        .expect("the commit");
    let (prev, body): (Vec<u8>, String) = (row.get(0), row.get(1));
    let prev = prev.as_slice().try_into().expect("a hash");
    let hash = events::json::chain(&acme(), Seq(3), prev, &body.as_bytes()[1..body.len() - 1]);
    for statement in ["UPDATE commits SET hash = ? WHERE seq = 3", "UPDATE heads SET hash = ? WHERE seq = 3"]
    {
        sqlx::query(statement).bind(hash.as_slice()).execute(&mut connection).await.expect("runs");
    }

    let store = backend.open().await;
    assert_eq!(store.verify(&acme()).await.expect("verifies").first_bad, None, "it is nobody's forgery");
    let refused = store.state(&acme()).await.err();
    let Some(StoreError::Corrupt { seq: Seq(3), reason }) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("ScopingForgot"), "{reason}");
    assert!(store.warm_state(&acme()).is_none());
    let (bad, good) = tokio::join!(
        store.append(commit(&acme(), "more", vec![key("a")])),
        store.append(commit(&other, "more", vec![key("b")])),
    );
    assert!(matches!(bad.err(), Some(AppendError::Store(StoreError::Corrupt { seq: Seq(3), .. }))));
    assert!(good.is_ok());
}

#[tokio::test]
async fn what_another_process_writes_and_nobody_can_read_is_not_served_from_memory_any_more() {
    let backend = Sqlite::new();
    let store = backend.open().await;
    fill(&*store, &acme(), &[2]).await;
    assert!(store.warm_state(&acme()).is_some());
    backend.tamper(&acme(), Tamper::Insert { after: Seq(2) }).await;
    run(&backend, "UPDATE commits SET body = replace(body, 'blocked', 'blokked') WHERE seq = 3").await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while store.warm_state(&acme()).is_some() {
        assert!(std::time::Instant::now() < deadline, "still served");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(matches!(store.state(&acme()).await, Err(StoreError::Corrupt { seq: Seq(3), .. })));
}

#[tokio::test]
async fn documents_that_other_code_folded_are_not_trusted_and_written_anew() {
    let backend = Sqlite::new();
    let store = backend.open().await;
    append(&*store, commit(&acme(), "one", vec![key("a"), key("b")])).await;
    let right = store.state(&acme()).await.expect("a state");
    drop(store);
    let spoil = "UPDATE documents SET body = replace(body, 'agents:read', 'agents:write');
         UPDATE checkpoints SET fingerprint = 'other code'";
    run(&backend, spoil).await;

    let store = backend.open().await;
    assert_eq!(*store.state(&acme()).await.expect("a state"), *right);
    assert!(store.compare_projections(&acme()).await.expect("compares").equal, "written anew by reading");
    drop(store);

    run(&backend, spoil).await;
    let store = backend.open().await;
    append(&*store, commit(&acme(), "two", vec![key("c")])).await;
    assert!(store.compare_projections(&acme()).await.expect("compares").equal, "written anew by appending");
}

#[tokio::test]
async fn a_document_that_was_changed_is_noticed_by_comparing_and_mended_by_rebuilding() {
    let backend = Sqlite::new();
    let store = backend.open().await;
    append(&*store, commit(&acme(), "one", vec![key("a"), key("b")])).await;
    assert!(store.compare_projections(&acme()).await.expect("compares").equal);
    run(
        &backend,
        "UPDATE documents SET body = replace(body, 'agents:read', 'agents:write'); DELETE FROM keys",
    )
    .await;
    let compared = store.compare_projections(&acme()).await.expect("compares");
    assert_eq!(compared, Compared { equal: false, documents: 2, head: Seq(2) });
    assert!(!store.rebuild_projections(&acme()).await.expect("rebuilds").equal);
    assert!(store.rebuild_projections(&acme()).await.expect("rebuilds").equal);
    assert_eq!(store.organization_of_key(&"b".into()).await, Ok(Some(acme())));
}

#[tokio::test]
async fn documents_that_cannot_be_read_are_folded_again() {
    let backend = Sqlite::new();
    let store = backend.open().await;
    append(&*store, commit(&acme(), "one", vec![key("a")])).await;
    let right = store.state(&acme()).await.expect("a state");
    drop(store);
    run(&backend, "UPDATE documents SET body = '{}'").await;
    let store = backend.open().await;
    assert_eq!(*store.state(&acme()).await.expect("a state"), *right);
    assert!(store.compare_projections(&acme()).await.expect("compares").equal);
}

#[tokio::test]
async fn command_ids_are_kept_until_they_are_old_enough() {
    let backend = Sqlite::new();
    let store = backend.open().await;
    let mut old = commit(&acme(), "old", vec![key("a")]);
    old.now = crate::storage::conformance::noon() - jiff::SignedDuration::from_hours(24 * 8);
    append(&*store, old).await;
    append(&*store, commit(&acme(), "new", vec![key("b")])).await;
    let week = jiff::SignedDuration::from_hours(24 * 7);
    assert_eq!(store.expire_commands(crate::storage::conformance::noon() - week).await, Ok(1));
    let known =
        async |id: &str| store.committed(&acme(), &CommandId::from(id)).await.expect("asks").is_some();
    assert!(!known("old").await);
    assert!(known("new").await);
}

#[tokio::test]
async fn a_log_that_became_shorter_is_not_written_to() {
    let backend = Sqlite::new();
    let store = backend.open().await;
    fill(&*store, &acme(), &[2, 2]).await;
    backend.tamper(&acme(), Tamper::Remove(Seq(4))).await;
    run(&backend, "UPDATE heads SET seq = 2").await;
    let mut next = commit(&acme(), "next", vec![key("a")]);
    next.expects = Expects::Streams(Vec::new());
    let refused = store.append(next).await.err();
    assert!(
        matches!(refused, Some(AppendError::Store(StoreError::Corrupt { seq: Seq(3), .. }))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn memory_is_not_trusted_when_the_head_was_not_confirmed_for_too_long() {
    let backend = Sqlite::new();
    let trusted = std::time::Duration::from_millis(1000);
    let store = SqliteStore::open_trusting(backend.0.path(), trusted).await.expect("opens");
    fill(&*store, &acme(), &[2]).await;
    assert!(store.warm_state(&acme()).is_some());
    // Nothing can be read through this table any more, whatever asks for it.
    run(&backend, "ALTER TABLE heads RENAME TO gone").await;
    let deadline = std::time::Instant::now() + trusted * 3;
    while store.warm_state(&acme()).is_some() {
        assert!(std::time::Instant::now() < deadline, "still trusted");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(matches!(store.state(&acme()).await, Err(StoreError::Unavailable(_))));
    run(&backend, "ALTER TABLE gone RENAME TO heads").await;
    assert_eq!(store.state(&acme()).await.expect("reads the file").head, Seq(2));
}
