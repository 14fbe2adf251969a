//! What is in the folder, and who may see it.

use super::*;
use crate::sealing::Sealed;
use crate::storage::CredentialStore;
use crate::storage::conformance::{acme, append, commit, fill, key};
use crate::storage::directory::Directory;
use events::IntegrationKind;
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn found(folder: &Path, needle: &[u8]) -> Vec<String> {
    let files = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    files
        .filter(|path| fs::read(path).expect("a file").windows(needle.len()).any(|window| window == needle))
        .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
        .collect()
}

#[tokio::test]
async fn shredded_credentials_are_in_no_file_any_more() {
    let backend = Sqlite::new();
    let store = backend.open().await;
    // Longer than a page, so that parts of it lie on pages of their own.
    let pattern = |text: &str| text.repeat(600).into_bytes();
    let gone = Sealed { wrapped_key: pattern("<a key to shred>"), body: pattern("<a body to shred>") };
    let kept = Sealed { wrapped_key: pattern("<a key to keep>"), body: pattern("<a body to keep>") };
    for (version, sealed) in [(1, &gone), (2, &gone), (4, &kept)] {
        store.put(&acme(), IntegrationKind::Postgres, version, sealed).await.expect("put");
    }
    // In the database file itself, and not only in the write-ahead log.
    store.writer.alone(|connection| Box::pin(credentials::overwrite(connection))).await.expect("checkpoint");
    store.put(&acme(), IntegrationKind::Postgres, 3, &gone).await.expect("put");
    let folder = backend.0.path();
    for needle in ["<a key to shred>", "<a body to shred>"] {
        let files = found(folder, needle.as_bytes());
        assert!(files.iter().any(|file| file == "bindery.db"), "{files:?}");
        assert!(files.iter().any(|file| file == "bindery.db-wal"), "{files:?}");
    }

    let shredded = store.shred(&acme(), IntegrationKind::Postgres, 3).await;
    assert_eq!(shredded, Ok(vec![1, 2, 3]));
    for part in ["<a key to shred>", "<a body to shred>", "key to shred", "to shred"] {
        assert_eq!(found(folder, part.as_bytes()), Vec::<String>::new(), "{part}");
    }
    assert_eq!(found(folder, b"<a key to keep>"), ["bindery.db"]);
    assert!(store.get(&acme(), IntegrationKind::Postgres, 4).await.expect("reads") == Some(kept));
}

#[tokio::test]
async fn an_erased_name_is_in_no_file_any_more() {
    let backend = Sqlite::new();
    let store = backend.open().await;
    let (folder, key) = (backend.0.path(), KeyId::from("k1"));
    store.rename(&acme(), &key, Some("<a name to change>")).await.expect("named");
    assert!(!found(folder, b"<a name to change>").is_empty());
    store.rename(&acme(), &key, Some("<a name to erase>")).await.expect("renamed");
    assert_eq!(found(folder, b"name to change"), Vec::<String>::new());
    assert!(!found(folder, b"<a name to erase>").is_empty());
    store.rename(&acme(), &key, None).await.expect("erased");
    assert_eq!(found(folder, b"name to erase"), Vec::<String>::new());
}

#[tokio::test]
async fn shredding_that_a_reader_holds_up_names_the_versions_when_it_is_asked_again() {
    let backend = Sqlite::new();
    let store = backend.open().await;
    let sealed = Sealed { wrapped_key: b"<a key to shred>".to_vec(), body: b"x".to_vec() };
    store.put(&acme(), IntegrationKind::Mysql, 1, &sealed).await.expect("put");
    let mut reader = backend.connection().await;
    sqlx::raw_sql("BEGIN; SELECT count(*) FROM heads").execute(&mut reader).await.expect("reads");

    // Waits for the reader as long as any statement waits for a lock, then says so.
    let refused = store.shred(&acme(), IntegrationKind::Mysql, 1).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(store.get(&acme(), IntegrationKind::Mysql, 1).await.expect("reads").is_none());
    sqlx::raw_sql("ROLLBACK").execute(&mut reader).await.expect("ends");
    assert_eq!(store.shred(&acme(), IntegrationKind::Mysql, 1).await, Ok(vec![1]));
    assert_eq!(found(backend.0.path(), b"<a key to shred>"), Vec::<String>::new());
}

#[tokio::test]
async fn nobody_else_can_read_the_files() {
    let backend = Sqlite::new();
    let folder = backend.0.path().join("data");
    let store = SqliteStore::open(&folder).await.expect("opens");
    append(&*store, commit(&acme(), "one", vec![key("a")])).await;
    let _lock = SqliteStore::lock_for_serving(&folder).expect("locks");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o7777;
    assert_eq!(mode(&folder), 0o700);
    for file in ["bindery.db", "bindery.db-wal", "bindery.db-shm", "serving.lock"] {
        assert_eq!(mode(&folder.join(file)), 0o600, "{file}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_folder_may_be_opened_by_several_at_once() {
    for _ in 0..10 {
        let backend = Arc::new(Sqlite::new());
        let open = || {
            let backend = backend.clone();
            tokio::spawn(async move { backend.open().await })
        };
        let opening = [open(), open(), open(), open()];
        for (at, opened) in opening.into_iter().enumerate() {
            let store = opened.await.expect("opens");
            append(&*store, commit(&acme(), &format!("{at}"), vec![key(&format!("k{at}"))])).await;
        }
    }
}

#[tokio::test]
async fn the_connection_that_writes_syncs_every_commit_and_overwrites_what_it_deletes() {
    let backend = Sqlite::new();
    let store = backend.open().await;
    let settings = store.writer.alone(|connection| {
        Box::pin(async move {
            let mut found = Vec::new();
            for pragma in ["PRAGMA synchronous", "PRAGMA secure_delete"] {
                let value: i64 =
                    sqlx::query_scalar(pragma).fetch_one(&mut *connection).await.map_err(unavailable)?;
                found.push(value);
            }
            let journal: String =
                sqlx::query_scalar("PRAGMA journal_mode").fetch_one(connection).await.map_err(unavailable)?;
            Ok((found, journal))
        })
    });
    const FULL: i64 = 2;
    const ON: i64 = 1;
    assert_eq!(settings.await.expect("asks"), (vec![FULL, ON], "wal".to_owned()));
}

#[tokio::test]
async fn two_servers_cannot_share_a_folder_but_a_server_and_a_command_can() {
    let backend = Sqlite::new();
    let lock = SqliteStore::lock_for_serving(backend.0.path()).expect("the first");
    let refused = SqliteStore::lock_for_serving(backend.0.path()).expect_err("the second");
    assert!(matches!(&refused, LockError::Taken(folder) if folder == backend.0.path()), "{refused}");
    let store = backend.open().await;
    append(&*store, commit(&acme(), "mint", vec![key("a")])).await;
    drop(lock);
    SqliteStore::lock_for_serving(backend.0.path()).expect("the next");
}

#[tokio::test]
async fn the_log_refuses_to_be_changed_removed_or_replaced() {
    let backend = Sqlite::new();
    let store = backend.open().await;
    fill(&*store, &acme(), &[2, 3, 1]).await;
    let mut connection = backend.connection().await;
    for statement in [
        "UPDATE commits SET body = '[]'",
        "UPDATE commits SET recorded_at = 0 WHERE seq = 2",
        "DELETE FROM commits WHERE seq = 6",
        "INSERT OR REPLACE INTO commits SELECT organization, seq, 0, prev_hash, hash, body FROM commits WHERE seq = 5",
        "INSERT INTO commits SELECT organization, 4, recorded_at, prev_hash, hash, body FROM commits WHERE seq = 5",
    ] {
        let refused = sqlx::raw_sql(statement).execute(&mut connection).await.expect_err("refused");
        assert!(refused.to_string().contains("append-only"), "{statement}: {refused}");
    }
    assert_eq!(store.verify(&acme()).await.expect("verifies").first_bad, None);
}

#[tokio::test]
async fn a_file_of_a_newer_release_is_refused() {
    let backend = Sqlite::new();
    drop(backend.open().await);
    let mut connection = backend.connection().await;
    sqlx::raw_sql("PRAGMA user_version = 99").execute(&mut connection).await.expect("set");
    let refused = SqliteStore::open(backend.0.path()).await.err();
    assert!(matches!(&refused, Some(StoreError::Unavailable(text)) if text.contains("newer")), "{refused:?}");
}
