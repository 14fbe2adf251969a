//! From a decision to a commit.

use crate::clock;
use crate::endpoint::{Context, Reply};
use crate::problem::Problem;
use crate::random;
use crate::services::Turns;
use domain::Organization;
use domain::organization::{Decision, Reads};
use events::{Actor, CommandId, EventId, OrganizationId, Recorded, RequestId, Seq};
use infra::storage::{AppendError, Commit, Committed, EventLog, Expects};
use std::future::Future;
use std::sync::Arc;

/// How often a decision is made again because others moved what it relied on. Each round somebody else succeeded.
const ROUNDS: usize = 50;

/// Who asks for a change, and under which id it is remembered.
pub struct Command<'a> {
    pub organization: &'a OrganizationId,
    pub id: CommandId,
    pub actor: Actor,
    pub request_id: RequestId,
    /// The event that it answers to, when no request asked for it.
    pub cause: Option<EventId>,
}

/// What a command came to. Handlers answer from this and not from what they sent, so that a repetition whose first
/// answer was lost gives the same.
#[derive(Debug)]
pub struct Decided {
    pub events: Vec<Recorded>,
    pub state: Arc<Organization>,
}

impl Decided {
    /// The position after which the change is visible.
    pub fn position(&self) -> Seq {
        self.events.last().map_or(self.state.head, |last| last.seq)
    }

    /// The answer to a change.
    pub fn reply(&self, reply: Reply) -> Reply {
        reply.position(self.position())
    }

    /// The subject's id of the first event with this name.
    pub fn id_of(&self, event: &str) -> Option<&str> {
        self.events.iter().find(|it| it.event.name() == event).map(|it| it.subject.id.as_str())
    }
}

/// Decides on the current state and appends, again when somebody else was faster: then in line with the others of
/// `turns`, which one process shares.
///
/// # Errors
/// The decision's refusal, or 503 when the log cannot be used.
pub async fn decide<F, Fut>(
    log: &dyn EventLog,
    turns: Option<&Turns>,
    command: Command<'_>,
    decision: F,
) -> Result<Decided, Problem>
where
    F: Fn(Arc<Organization>) -> Fut,
    Fut: Future<Output = Result<Decision, Problem>>,
{
    if let Some(Committed { events, state, .. }) = log.committed(command.organization, &command.id).await? {
        return Ok(Decided { events, state });
    }
    let mut round = 0;
    let mut turn = None;
    loop {
        round += 1;
        let state = log.state(command.organization).await?;
        let Decision { reads, events } = decision(state.clone()).await?;
        if events.is_empty() {
            return Ok(Decided { events: Vec::new(), state });
        }
        let expects = match reads {
            Reads::Everything => Expects::Head(state.head),
            Reads::Streams(streams) => Expects::Streams(
                streams
                    .into_iter()
                    .map(|stream| {
                        let version = state.version(&stream);
                        (stream, version)
                    })
                    .collect(),
            ),
        };
        let commit = Commit {
            organization: command.organization.clone(),
            command_id: command.id.clone(),
            actor: command.actor.clone(),
            request_id: command.request_id.clone(),
            cause: command.cause.clone(),
            now: clock::now(),
            expects,
            events,
        };
        match log.append(commit).await {
            Ok(Committed { events, state, .. }) => return Ok(Decided { events, state }),
            Err(AppendError::StreamMoved { .. } | AppendError::HeadMoved { .. }) if round < ROUNDS => {
                if let (None, Some(turns)) = (&turn, turns) {
                    turn = Some(turns.take(command.organization.clone()).await);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

impl Context {
    /// The same for as long as the request lives.
    pub fn command_id(&self) -> &CommandId {
        self.command_id.get_or_init(random::command_id)
    }

    /// [`decide`] in the name of this request.
    pub async fn decide<F, Fut>(&self, decision: F) -> Result<Decided, Problem>
    where
        F: Fn(Arc<Organization>) -> Fut,
        Fut: Future<Output = Result<Decision, Problem>>,
    {
        let command = Command {
            organization: &self.caller.organization,
            id: self.command_id().clone(),
            actor: self.caller.actor(),
            request_id: self.request_id.clone(),
            cause: None,
        };
        decide(self.services.log.as_ref(), Some(&self.services.turns), command, decision).await
    }
}
