//! The state beside the log: one document a subject, and the checkpoint that says how far they go.
//!
//! Documents are written in the transaction that appends, so they are never behind. They are only taken when the
//! code that folded them is the code that runs; otherwise the log is folded again.

use super::reader;
use super::schema::unavailable;
use crate::storage::StoreError;
use crate::storage::documents::{Compared, FINGERPRINT, in_order, kind_named};
use crate::storage::judging::minted;
use crate::storage::replay::Rows;
use domain::Organization;
use domain::organization::Document;
use events::{KeyId, OrganizationId, Recorded, Seq, Subject};
use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Row, Sqlite};
use std::collections::BTreeSet;
use std::sync::Arc;

pub struct Loaded {
    pub state: Arc<Organization>,
    /// The documents are those of this state and of this code.
    pub current: bool,
}

/// The state at the head, from documents where they can be trusted. To be called inside a transaction.
pub async fn load(
    connection: &mut SqliteConnection,
    organization: &OrganizationId,
) -> Result<Loaded, StoreError> {
    let head = connection.head(organization).await?;
    let checkpoint = checkpoint(connection, organization).await?;
    if let Some(at) = checkpoint.filter(|at| *at <= head.seq) {
        let documents = stored(connection, organization).await?;
        match Organization::from_documents(organization.clone(), at, documents) {
            Ok(state) if at == head.seq => return Ok(Loaded { state, current: true }),
            Ok(state) => {
                let mut state = Arc::unwrap_or_clone(state);
                reader::fold(connection, &mut state).await?;
                return Ok(Loaded { state: Arc::new(state), current: false });
            }
            Err(reason) => {
                tracing::warn!(%organization, reason, "documents cannot be read; folding the log again");
            }
        }
    }
    let mut state = Organization::empty(organization.clone());
    reader::fold(connection, &mut state).await?;
    Ok(Loaded { state: Arc::new(state), current: head.seq == Seq(0) })
}

/// How far the documents go, if this code folded them.
pub async fn checkpoint(
    connection: &mut SqliteConnection,
    organization: &OrganizationId,
) -> Result<Option<Seq>, StoreError> {
    let row = sqlx::query("SELECT seq FROM checkpoints WHERE organization = ? AND fingerprint = ?")
        .bind(organization.as_str())
        .bind(FINGERPRINT)
        .fetch_optional(connection)
        .await
        .map_err(unavailable)?;
    row.map(|row| reader::seq(&row, 0)).transpose()
}

/// The greatest distance between a log's head and how far its documents go; all of it where another release wrote them.
pub async fn lag(connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    let row = sqlx::query(
        "SELECT COALESCE(MAX(heads.seq - COALESCE(checkpoints.seq, 0)), 0) FROM heads
         LEFT JOIN checkpoints
         ON checkpoints.organization = heads.organization AND checkpoints.fingerprint = ?",
    )
    .bind(FINGERPRINT)
    .fetch_one(connection)
    .await
    .map_err(unavailable)?;
    let lag: i64 = row.try_get(0).map_err(unavailable)?;
    Ok(u64::try_from(lag).unwrap_or(0))
}

pub async fn set_checkpoint(
    connection: &mut SqliteConnection,
    organization: &OrganizationId,
    seq: Seq,
) -> Result<(), StoreError> {
    sqlx::query("INSERT OR REPLACE INTO checkpoints (organization, seq, fingerprint) VALUES (?, ?, ?)")
        .bind(organization.as_str())
        .bind(seq.0 as i64)
        .bind(FINGERPRINT)
        .execute(connection)
        .await
        .map_err(unavailable)?;
    Ok(())
}

/// Writes what the state says of these subjects.
pub async fn write(
    connection: &mut SqliteConnection,
    state: &Organization,
    subjects: &BTreeSet<Subject>,
) -> Result<(), StoreError> {
    let mut found = Vec::with_capacity(subjects.len());
    for subject in subjects {
        match state.document(subject) {
            Some(document) => found.push(document),
            None => {
                sqlx::query("DELETE FROM documents WHERE organization = ? AND kind = ? AND id = ?")
                    .bind(state.id.as_str())
                    .bind(subject.kind.as_str())
                    .bind(&subject.id)
                    .execute(&mut *connection)
                    .await
                    .map_err(unavailable)?;
            }
        }
    }
    insert(connection, &state.id, &found).await
}

/// Throws all documents away and writes those of `state`.
pub async fn write_all(connection: &mut SqliteConnection, state: &Organization) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM documents WHERE organization = ?")
        .bind(state.id.as_str())
        .execute(&mut *connection)
        .await
        .map_err(unavailable)?;
    insert(connection, &state.id, &state.documents()).await
}

async fn insert(
    connection: &mut SqliteConnection,
    organization: &OrganizationId,
    documents: &[Document],
) -> Result<(), StoreError> {
    // Five values a row; SQLite takes 32,766 in one statement, and a statement of 50 rows is reused from the cache
    // while a commit's remainder is prepared anew.
    const ROWS: usize = 50;
    for chunk in documents.chunks(ROWS) {
        let mut statement = QueryBuilder::<Sqlite>::new(
            "INSERT OR REPLACE INTO documents (organization, kind, id, version, body) ",
        );
        statement.push_values(chunk, |mut row, document| {
            row.push_bind(organization.as_str())
                .push_bind(document.subject.kind.as_str())
                .push_bind(&document.subject.id)
                .push_bind(document.version.0 as i64)
                .push_bind(&document.body);
        });
        statement.build().execute(&mut *connection).await.map_err(unavailable)?;
    }
    Ok(())
}

/// In the order of subjects.
pub async fn stored(
    connection: &mut SqliteConnection,
    organization: &OrganizationId,
) -> Result<Vec<Document>, StoreError> {
    let rows = sqlx::query("SELECT kind, id, version, body FROM documents WHERE organization = ?")
        .bind(organization.as_str())
        .fetch_all(connection)
        .await
        .map_err(unavailable)?;
    let documents = rows
        .iter()
        .map(|row| {
            let kind: &str = row.try_get(0).map_err(unavailable)?;
            Ok(Document {
                subject: Subject { kind: kind_named(kind)?, id: row.try_get(1).map_err(unavailable)? },
                version: reader::seq(row, 2)?,
                body: row.try_get(3).map_err(unavailable)?,
            })
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    Ok(in_order(documents))
}

/// Remembers whose keys were minted.
pub async fn index_keys(connection: &mut SqliteConnection, events: &[Recorded]) -> Result<(), StoreError> {
    for (organization, key) in minted(events) {
        index_key(connection, organization, key).await?;
    }
    Ok(())
}

async fn index_key(
    connection: &mut SqliteConnection,
    organization: &OrganizationId,
    key: &KeyId,
) -> Result<(), StoreError> {
    sqlx::query("INSERT OR IGNORE INTO keys (key_id, organization) VALUES (?, ?)")
        .bind(key.as_str())
        .bind(organization.as_str())
        .execute(connection)
        .await
        .map_err(unavailable)?;
    Ok(())
}

/// Folds what the state lacks of the log, and compares. To be called inside a transaction.
pub async fn compare(
    connection: &mut SqliteConnection,
    mut state: Organization,
) -> Result<(Compared, Arc<Organization>), StoreError> {
    reader::fold(connection, &mut state).await?;
    let checkpoint = checkpoint(connection, &state.id).await?.unwrap_or_default();
    let documents = in_order(state.documents());
    let equal = checkpoint == state.head && stored(connection, &state.id).await? == documents;
    Ok((Compared { equal, documents: documents.len(), head: state.head }, Arc::new(state)))
}

/// The same, and puts the folded ones in place of those that stood there. To be called inside a transaction.
pub async fn rebuild(
    connection: &mut SqliteConnection,
    state: Organization,
) -> Result<(Compared, Arc<Organization>), StoreError> {
    let (compared, state) = compare(connection, state).await?;
    write_all(connection, &state).await?;
    if state.head > Seq(0) {
        set_checkpoint(connection, &state.id, state.head).await?;
    }
    sqlx::query("DELETE FROM keys WHERE organization = ?")
        .bind(state.id.as_str())
        .execute(&mut *connection)
        .await
        .map_err(unavailable)?;
    for key in state.keys.keys() {
        index_key(connection, &state.id, key).await?;
    }
    Ok((compared, state))
}
