//! What happens to commits inside one transaction: each is decided on its own, documents are written once at the end.

use super::documents;
use super::reader;
use super::schema::unavailable;
use super::warm::Warm;
use crate::storage::chain::{self, Head, Row};
use crate::storage::judging::{foreign_key, judge, minted};
use crate::storage::replay::{self, Rows};
use crate::storage::{AppendError, Commit, StoreError};
use domain::Organization;
use events::{CommandId, OrganizationId, Recorded, Seq, Subject};
use sqlx::sqlite::SqliteConnection;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Why a commit was not taken.
pub enum Failure {
    /// It was looked at and nothing was written; the transaction goes on.
    Refused(AppendError),
    /// The transaction is lost.
    Lost(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            // Of one organization; found while reading, so the others' commits stand.
            StoreError::Corrupt { .. } => Failure::Refused(AppendError::Store(error)),
            StoreError::Unavailable(_) => Failure::Lost(error),
        }
    }
}

/// What stands in the log for a command, as soon as the transaction is committed.
pub struct Appended {
    pub organization: OrganizationId,
    pub command_id: CommandId,
    pub events: Vec<Recorded>,
    pub replayed: bool,
}

/// The organizations that one transaction has touched.
#[derive(Default)]
pub struct Group {
    tails: HashMap<OrganizationId, Tail>,
}

/// The end of one organization's log as this transaction sees it.
struct Tail {
    head: Head,
    state: Organization,
    /// Subjects whose documents are older than `state`.
    changed: BTreeSet<Subject>,
    /// The stored documents are not of this code, or end before this transaction: all are written anew.
    all: bool,
    appended: bool,
}

impl Group {
    pub async fn append(
        &mut self,
        connection: &mut SqliteConnection,
        warm: &Warm,
        commit: Commit,
    ) -> Result<Appended, Failure> {
        let organization = commit.organization.clone();
        let command_id = commit.command_id.clone();
        let tail = self.tail(connection, warm, &organization).await?;
        if let Some(events) = stored(connection, &organization, &command_id).await? {
            return Ok(Appended { organization, command_id, events, replayed: true });
        }
        judge(&tail.state, &commit.expects).map_err(Failure::Refused)?;
        let (row, events) = chain::stamp(&tail.head, commit).map_err(Failure::Refused)?;
        refuse_foreign_keys(connection, &events).await?;

        // The fold comes first: what it cannot take must not be written.
        let mut state = tail.state.clone();
        let mut changed = Vec::new();
        for event in &events {
            changed.extend(replay::apply(&mut state, event)?);
        }
        write(connection, &organization, &command_id, &row, &events).await.map_err(Failure::Lost)?;
        tail.state = state;
        tail.changed.extend(changed);
        tail.head = Head { seq: row.seq, hash: row.hash, recorded_at: row.recorded_at };
        tail.appended = true;
        Ok(Appended { organization, command_id, events, replayed: false })
    }

    /// Heads, documents and checkpoints of what was appended.
    pub async fn flush(&mut self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        for (organization, tail) in self.tails.iter().filter(|(_, tail)| tail.appended) {
            sqlx::query(
                "INSERT OR REPLACE INTO heads (organization, seq, hash, recorded_at) VALUES (?, ?, ?, ?)",
            )
            .bind(organization.as_str())
            .bind(tail.head.seq.0 as i64)
            .bind(tail.head.hash.as_slice())
            .bind(tail.head.recorded_at.as_microsecond())
            .execute(&mut *connection)
            .await
            .map_err(unavailable)?;
            if tail.all {
                documents::write_all(connection, &tail.state).await?;
            } else {
                documents::write(connection, &tail.state, &tail.changed).await?;
            }
            documents::set_checkpoint(connection, organization, tail.head.seq).await?;
        }
        Ok(())
    }

    /// To be called after the transaction was committed.
    pub fn publish(self, warm: &Warm) -> HashMap<OrganizationId, Arc<Organization>> {
        let states: HashMap<_, _> =
            self.tails.into_iter().map(|(organization, tail)| (organization, Arc::new(tail.state))).collect();
        for state in states.values().filter(|state| state.head > Seq(0)) {
            warm.publish(state.clone());
        }
        states
    }

    /// Another process may have appended since the state in memory was folded: it catches up here.
    async fn tail(
        &mut self,
        connection: &mut SqliteConnection,
        warm: &Warm,
        organization: &OrganizationId,
    ) -> Result<&mut Tail, StoreError> {
        if !self.tails.contains_key(organization) {
            let head = connection.head(organization).await?;
            let (state, current) = match warm.get(organization) {
                Some(state) => {
                    let mut state = Arc::unwrap_or_clone(state);
                    if state.head > head.seq {
                        let reason =
                            format!("the log ended at {} before and ends at {} now", state.head, head.seq);
                        return Err(StoreError::Corrupt { seq: Seq(head.seq.0 + 1), reason });
                    }
                    if state.head < head.seq {
                        reader::fold(connection, &mut state).await?;
                    }
                    let current = documents::checkpoint(connection, organization).await? == Some(head.seq);
                    (state, current)
                }
                None => {
                    let loaded = documents::load(connection, organization).await?;
                    (Arc::unwrap_or_clone(loaded.state), loaded.current)
                }
            };
            let tail = Tail { head, state, changed: BTreeSet::new(), all: !current, appended: false };
            self.tails.insert(organization.clone(), tail);
        }
        self.tails.get_mut(organization).ok_or_else(|| reader::damaged("the organization was just put there"))
    }
}

/// The events of an earlier commit with this command id.
pub async fn stored(
    connection: &mut SqliteConnection,
    organization: &OrganizationId,
    command_id: &CommandId,
) -> Result<Option<Vec<Recorded>>, StoreError> {
    let Some((first, last)) = reader::command(connection, organization, command_id).await? else {
        return Ok(None);
    };
    let count = usize::try_from(last.0 - first.0 + 1).unwrap_or(usize::MAX);
    replay::events(connection, organization, Seq(first.0 - 1), count).await.map(Some)
}

async fn refuse_foreign_keys(connection: &mut SqliteConnection, events: &[Recorded]) -> Result<(), Failure> {
    for (organization, key) in minted(events) {
        let owner = reader::organization_of_key(connection, key).await?;
        if owner.is_some_and(|owner| owner != *organization) {
            return Err(Failure::Refused(foreign_key(key)));
        }
    }
    Ok(())
}

async fn write(
    connection: &mut SqliteConnection,
    organization: &OrganizationId,
    command_id: &CommandId,
    row: &Row,
    events: &[Recorded],
) -> Result<(), StoreError> {
    let body = std::str::from_utf8(&row.body).map_err(|_| reader::damaged("JSON that is not UTF-8"))?;
    sqlx::query(
        "INSERT INTO commits (organization, seq, recorded_at, prev_hash, hash, body) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(organization.as_str())
    .bind(row.seq.0 as i64)
    .bind(row.recorded_at.as_microsecond())
    .bind(row.prev_hash.as_slice())
    .bind(row.hash.as_slice())
    .bind(body)
    .execute(&mut *connection)
    .await
    .map_err(unavailable)?;
    sqlx::query(
        "INSERT INTO commands (organization, command_id, first_seq, last_seq, recorded_at) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(organization.as_str())
    .bind(command_id.as_str())
    .bind((row.seq.0 + 1 - events.len() as u64) as i64)
    .bind(row.seq.0 as i64)
    .bind(row.recorded_at.as_microsecond())
    .execute(&mut *connection)
    .await
    .map_err(unavailable)?;
    documents::index_keys(connection, events).await
}
