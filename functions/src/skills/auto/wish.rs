//! From a goal to proposals that passed the checks of a binding.

use super::assisted::Assisted;
use crate::problem::{Code, Problem};
use crate::services::Services;
use crate::skills::binding::{BindingRequest, compile};
use crate::skills::plan::{Asked, explain};
use domain::drafting::{self, Goal, NoBinding, Proposal};
use domain::limits::PROPOSALS;
use domain::{FieldError, Organization};
use events::IntegrationKind;
use futures_util::future::join_all;
use std::sync::Arc;

/// What somebody wants an agent to do, and on what.
pub struct Wish {
    pub services: Arc<Services>,
    pub state: Arc<Organization>,
    pub agent: String,
    pub kind: IntegrationKind,
    pub goal: String,
    pub allow_write: bool,
}

/// A proposal that passed.
pub struct Checked {
    pub request: BindingRequest,
    /// Of its statement.
    pub hash: String,
    /// What the database said of it.
    pub asked: Asked,
    pub confidence: f32,
    pub rationale: Vec<String>,
}

pub struct Found {
    pub best: Checked,
    pub alternatives: Vec<Checked>,
    /// Provider and model of the service that thought of the best; None when it was the drafter.
    pub assistant: Option<(&'static str, String)>,
}

impl Wish {
    /// # Errors
    /// 422 with the nearest objects when nothing serves the goal.
    pub async fn propose(&self) -> Result<Found, Problem> {
        self.state.agent(&self.agent)?;
        self.state.connection(self.kind)?;
        let view = self.services.visible(&self.state, self.kind).await?;
        let (text, allow_write) = (self.goal.clone(), self.allow_write);
        let thought = view.clone().with_index(move |index| {
            let goal = Goal { text: &text, allow_write };
            (drafting::shortlist(index, &goal), drafting::draft(index, &goal))
        });
        let (shortlist, drafted) = thought.await?;
        let (assisted, drafted) =
            tokio::join!(self.assisted(&view.catalog, shortlist), self.drafted(drafted));
        let (drafted, note) = match (assisted?, drafted) {
            (Assisted::Proposed { checked, provider, model }, drafted) => {
                let mut alternatives = drafted.unwrap_or_default();
                alternatives.retain(|drafted| drafted.hash != checked.hash);
                alternatives.truncate(PROPOSALS - 1);
                return Ok(Found { best: *checked, alternatives, assistant: Some((provider, model)) });
            }
            (Assisted::Unused(reason), drafted) => {
                (drafted, Some(format!("The assistant was not used, because {reason}.")))
            }
            (Assisted::NotConfigured, drafted) => (drafted, None),
        };
        let mut alternatives = drafted.map_err(|problem| with_note(problem, note.as_deref()))?;
        let mut best = alternatives.remove(0);
        best.rationale.extend(note);
        Ok(Found { best, alternatives, assistant: None })
    }

    /// Those of the drafter's proposals that pass, of which there is at least one.
    async fn drafted(&self, drafted: Result<Vec<Proposal>, NoBinding>) -> Result<Vec<Checked>, Problem> {
        let drafted = drafted.map_err(|none| no_binding(none.reason.sentence().to_owned(), none.nearest))?;
        let (mut passed, mut refused) = (Vec::new(), None);
        for checked in join_all(drafted.iter().map(|proposal| self.check(proposal))).await {
            match checked? {
                Ok(checked) => passed.push(checked),
                Err(errors) => refused = refused.or(errors.into_iter().next()),
            }
        }
        match refused {
            Some(error) if passed.is_empty() => {
                let objects = drafted.iter().filter_map(|it| it.request.operation.rsplit_once('.'));
                let mut nearest: Vec<String> = objects.map(|(object, _)| object.to_owned()).collect();
                nearest.dedup();
                Err(no_binding(format!("What comes nearest cannot be bound: {}", error.message), nearest))
            }
            Some(_) | None => Ok(passed),
        }
    }

    /// Puts a proposal, whoever thought of it, to the very checks of a binding, and to the wish's own bounds.
    ///
    /// # Errors
    /// What keeps every proposal from being checked; within, what is wrong with this one.
    pub(super) async fn check(
        &self,
        proposal: &Proposal,
    ) -> Result<Result<Checked, Vec<FieldError>>, Problem> {
        let request = BindingRequest::from(proposal);
        let compiled = compile(&self.services, &self.state, &self.agent, self.kind, &request).await;
        let definition = match compiled {
            Ok(definition) => definition,
            Err(problem) => return refused(problem),
        };
        if definition.statement.action.is_write() && !self.allow_write {
            let message = "this goal may not change rows: allowWrite is not set";
            let error = FieldError::new("operation", "operation_not_allowed", message);
            return Ok(Err(vec![error]));
        }
        match explain(&self.services, &self.state, self.kind, &definition.statement).await {
            Ok(asked) => Ok(Ok(Checked {
                request: BindingRequest::of(&definition),
                hash: definition.statement.hash.clone(),
                asked,
                confidence: proposal.confidence,
                rationale: proposal.rationale.clone(),
            })),
            Err(problem) => refused(problem),
        }
    }
}

/// A refusal of the binding is one of this proposal; everything else concerns all.
fn refused<T>(problem: Problem) -> Result<Result<T, Vec<FieldError>>, Problem> {
    if problem.code.status() == http::StatusCode::UNPROCESSABLE_ENTITY {
        Ok(Err(problem.errors))
    } else {
        Err(problem)
    }
}

fn no_binding(message: String, nearest: Vec<String>) -> Problem {
    let error = FieldError::new("goal", Code::NoBindingFound.as_str(), message).nearest(nearest);
    Problem::fields(Code::NoBindingFound, vec![error])
}

/// Where there is no rationale, the detail says what became of the assistant.
fn with_note(mut problem: Problem, note: Option<&str>) -> Problem {
    if let Some(note) = note.filter(|_| problem.code == Code::NoBindingFound) {
        problem.detail = format!("{} {note}", problem.detail);
    }
    problem
}
