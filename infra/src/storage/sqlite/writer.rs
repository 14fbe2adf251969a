//! The one task that writes. It takes what has queued up into one transaction, so that many writes share one fsync.

use super::append::{self, Appended, Failure, Group};
use super::schema;
use super::schema::unavailable;
use super::warm::Warm;
use crate::storage::{AppendError, Commit, Committed, StoreError};
use crate::telemetry::{Measured, tell};
use events::{CommandId, OrganizationId};
use futures_util::future::BoxFuture;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

/// Writes that share a transaction: enough for one fsync to be cheap, few enough for the first not to wait long.
const GROUP: usize = 64;
/// Writes that may wait before callers are held back.
const QUEUE: usize = 1024;

type Outcome = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
type InGroup =
    Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<Outcome, StoreError>> + Send>;
type Alone =
    Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<(), StoreError>> + Send>;

enum Job {
    Append(Box<Commit>, oneshot::Sender<Result<Committed, AppendError>>),
    InGroup(InGroup),
    Alone(Alone),
}

#[derive(Clone)]
pub struct Writer(mpsc::Sender<Job>);

impl Writer {
    /// The task ends when the last handle is dropped and the queue is empty.
    pub fn start(path: PathBuf, warm: Arc<Warm>) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        tokio::spawn(Task { path, warm, connection: None }.run(queue));
        Self(jobs)
    }

    pub async fn append(&self, commit: Commit) -> Result<Committed, AppendError> {
        let (answer, answered) = oneshot::channel();
        self.send(Job::Append(Box::new(commit), answer)).await?;
        answered.await.map_err(|_| stopped())?
    }

    /// Runs the steps in a transaction that other writes may share. The answer comes after it is committed.
    pub async fn write<T: Send + 'static>(
        &self,
        steps: impl for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, StoreError>>
        + Send
        + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: InGroup = Box::new(move |connection| {
            Box::pin(async move {
                match steps(connection).await {
                    Ok(value) => Ok(Box::new(move |outcome: Result<(), StoreError>| {
                        // Whoever asked may have gone; what is written stays written.
                        let _ = answer.send(outcome.map(|()| value));
                    }) as Outcome),
                    Err(error) => {
                        let _ = answer.send(Err(error.clone()));
                        Err(error)
                    }
                }
            })
        });
        self.send(Job::InGroup(job)).await?;
        answered.await.map_err(|_| stopped())?
    }

    /// Runs the steps outside of any transaction, between two groups.
    pub async fn alone<T: Send + 'static>(
        &self,
        steps: impl for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, StoreError>>
        + Send
        + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: Alone = Box::new(move |connection| {
            Box::pin(async move {
                let outcome = steps(connection).await;
                let lost = outcome.as_ref().err().cloned();
                let _ = answer.send(outcome);
                lost.map_or(Ok(()), Err)
            })
        });
        self.send(Job::Alone(job)).await?;
        answered.await.map_err(|_| stopped())?
    }

    async fn send(&self, job: Job) -> Result<(), StoreError> {
        self.0.send(job).await.map_err(|_| stopped())
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the transaction was given up, or the store is closing".to_owned())
}

/// Runs steps in a transaction of their own.
pub async fn transaction<'c, T>(
    connection: &'c mut SqliteConnection,
    steps: impl for<'t> FnOnce(&'t mut SqliteConnection) -> BoxFuture<'t, Result<T, StoreError>>,
) -> Result<T, StoreError> {
    begin(connection).await?;
    match steps(connection).await {
        Ok(value) => {
            sqlx::query("COMMIT").execute(&mut *connection).await.map_err(unavailable)?;
            Ok(value)
        }
        Err(error) => {
            sqlx::query("ROLLBACK").execute(&mut *connection).await.map_err(unavailable)?;
            Err(error)
        }
    }
}

async fn begin(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("BEGIN IMMEDIATE").execute(connection).await.map_err(unavailable)?;
    Ok(())
}

struct Task {
    path: PathBuf,
    warm: Arc<Warm>,
    /// None after a transaction was lost: what state it was left in is not worth finding out.
    connection: Option<SqliteConnection>,
}

/// What is answered when the transaction has ended.
enum Waiting {
    Append(Appended, oneshot::Sender<Result<Committed, AppendError>>),
    Write(Outcome),
}

impl Waiting {
    /// Nothing of the transaction happened.
    fn give_up(self, error: &StoreError) {
        match self {
            Waiting::Append(_, answer) => {
                let _ = answer.send(Err(error.clone().into()));
            }
            Waiting::Write(outcome) => outcome(Err(error.clone())),
        }
    }
}

impl Task {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut jobs = VecDeque::new();
        let mut taken = Vec::with_capacity(GROUP);
        while queue.recv_many(&mut taken, GROUP).await > 0 {
            jobs.extend(taken.drain(..));
            while !jobs.is_empty() {
                if let Err(error) = self.group(&mut jobs).await {
                    tracing::error!(%error, "a transaction was lost");
                    self.disconnect().await;
                }
            }
        }
        self.disconnect().await;
    }

    async fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => schema::connect(&self.path).await?,
        };
        Ok(self.connection.insert(connection))
    }

    async fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Rolls back what is open and lets go of the lock before anything else is tried.
            let _ = connection.close().await;
        }
    }

    /// Takes jobs from the front until one has to run alone or the transaction is lost. Every job taken is answered.
    async fn group(&mut self, jobs: &mut VecDeque<Job>) -> Result<(), StoreError> {
        if let Some(Job::Alone(_)) = jobs.front() {
            return match (self.connection().await, jobs.pop_front()) {
                (Ok(connection), Some(Job::Alone(steps))) => steps(connection).await,
                (Err(error), _) => Err(error),
                (Ok(_), Some(Job::Append(..) | Job::InGroup(_)) | None) => Ok(()),
            };
        }
        let warm = self.warm.clone();
        let mut group = Group::default();
        let mut waiting = Vec::new();
        let queued = jobs.len();
        if let Err(error) = self.fill(&mut group, &warm, jobs, &mut waiting).await {
            for waiting in waiting {
                waiting.give_up(&error);
            }
            if jobs.len() == queued {
                // Not even a transaction could be begun. Dropping a job tells its caller.
                jobs.clear();
            }
            return Err(error);
        }
        let connection = self.connection().await?;
        let started = Instant::now();
        let committed = sqlx::query("COMMIT").execute(connection).await.map_err(unavailable);
        tell(Measured::Committed { took: started.elapsed() });
        if let Err(error) = committed {
            // It may have happened all the same: nobody is told before the log was asked.
            self.disconnect().await;
            for waiting in waiting {
                self.settle(waiting, &error).await;
            }
            return Err(error);
        }
        let states = group.publish(&warm);
        for waiting in waiting {
            match waiting {
                Waiting::Append(appended, answer) => {
                    let state = states.get(&appended.organization).cloned();
                    let Appended { events, replayed, .. } = appended;
                    let committed = state.map(|state| Committed { events, replayed, state });
                    let _ = answer.send(committed.ok_or_else(|| stopped().into()));
                }
                Waiting::Write(outcome) => outcome(Ok(())),
            }
        }
        Ok(())
    }

    async fn fill(
        &mut self,
        group: &mut Group,
        warm: &Warm,
        jobs: &mut VecDeque<Job>,
        waiting: &mut Vec<Waiting>,
    ) -> Result<(), StoreError> {
        let connection = self.connection().await?;
        begin(connection).await?;
        while let Some(job) = jobs.pop_front() {
            match job {
                Job::Append(commit, answer) => match group.append(connection, warm, *commit).await {
                    Ok(appended) => waiting.push(Waiting::Append(appended, answer)),
                    Err(Failure::Refused(refused)) => {
                        let _ = answer.send(Err(refused));
                    }
                    Err(Failure::Lost(error)) => {
                        let _ = answer.send(Err(error.clone().into()));
                        return Err(error);
                    }
                },
                Job::InGroup(steps) => waiting.push(Waiting::Write(steps(connection).await?)),
                Job::Alone(_) => {
                    jobs.push_front(job);
                    break;
                }
            }
        }
        group.flush(connection).await
    }

    /// The commit's own answer was lost. The log says whether it happened.
    async fn settle(&mut self, waiting: Waiting, error: &StoreError) {
        match waiting {
            Waiting::Write(outcome) => outcome(Err(error.clone())),
            Waiting::Append(appended, answer) => {
                let found = self.find(&appended.organization, &appended.command_id).await;
                let _ = answer.send(match found {
                    Ok(Some(settled)) => Ok(Committed { replayed: appended.replayed, ..settled }),
                    Ok(None) => Err(error.clone().into()),
                    Err(error) => Err(error.into()),
                });
            }
        }
    }

    /// What stands in the log for this command.
    async fn find(
        &mut self,
        organization: &OrganizationId,
        command_id: &CommandId,
    ) -> Result<Option<Committed>, StoreError> {
        let warm = self.warm.clone();
        let connection = self.connection().await?;
        let Some(events) = append::stored(connection, organization, command_id).await? else {
            return Ok(None);
        };
        let state = super::documents::load(connection, organization).await?.state;
        warm.publish(state.clone());
        Ok(Some(Committed { events, replayed: true, state }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::EventLog;
    use crate::storage::conformance::{acme, append, commit, key};
    use crate::storage::sqlite::SqliteStore;
    use events::Seq;

    #[tokio::test]
    async fn a_commit_that_did_not_happen_is_unavailable_and_the_next_one_is_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(folder.path()).await.expect("opens");
        append(&*store, commit(&acme(), "before", vec![key("a")])).await;
        let fail = store.writer.alone(|connection| {
            Box::pin(async move {
                connection.lock_handle().await.map_err(unavailable)?.set_commit_hook(|| false);
                Ok(())
            })
        });
        fail.await.expect("the next commit fails");
        let refused = store.append(commit(&acme(), "lost", vec![key("b")])).await.err();
        assert!(matches!(refused, Some(AppendError::Store(StoreError::Unavailable(_)))), "{refused:?}");
        assert_eq!(store.warm_state(&acme()).map(|state| state.head), Some(Seq(1)));

        let committed = append(&*store, commit(&acme(), "lost", vec![key("b")])).await;
        assert_eq!((committed.replayed, committed.events[0].seq), (false, Seq(2)));
    }

    #[tokio::test]
    async fn a_commit_that_happened_although_its_answer_was_lost_is_answered_from_the_log() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(folder.path()).await.expect("opens");
        let committed = append(&*store, commit(&acme(), "happened", vec![key("a"), key("b")])).await;

        let lost = StoreError::Unavailable("the answer of COMMIT".to_owned());
        let warm = Arc::new(Warm::default());
        let mut task = Task { path: folder.path().join(schema::FILE), warm: warm.clone(), connection: None };
        let mut settled = async |command: &str| {
            let (answer, answered) = oneshot::channel();
            let appended = Appended {
                organization: acme(),
                command_id: command.into(),
                events: committed.events.clone(),
                replayed: false,
            };
            task.settle(Waiting::Append(appended, answer), &lost).await;
            answered.await.expect("answers")
        };
        let found = settled("happened").await.expect("it happened");
        assert_eq!((found.events, found.replayed), (committed.events.clone(), false));
        assert_eq!(found.state.head, Seq(2));
        assert_eq!(settled("did not happen").await.err(), Some(lost.clone().into()));
        assert_eq!(warm.get(&acme()).map(|state| state.head), Some(Seq(2)));
    }
}
