//! What an assistant makes of a goal, within its deadline and its rounds.

use super::wish::{Checked, Wish};
use crate::problem::Problem;
use domain::catalog::Catalog;
use domain::drafting::Candidate;
use domain::limits::ASSISTANT_REPAIRS;
use infra::assistants::answer::Judged;
use infra::assistants::offer::Offer;
use infra::assistants::{Assistant, AssistantError, Refused};
use std::time::Instant;
use tokio::time::timeout_at;

pub enum Assisted {
    NotConfigured,
    Proposed {
        checked: Box<Checked>,
        provider: &'static str,
        model: String,
    },
    /// A phrase that completes "because …".
    Unused(String),
}

impl Wish {
    pub(super) async fn assisted(
        &self,
        visible: &Catalog,
        shortlist: Vec<Candidate>,
    ) -> Result<Assisted, Problem> {
        let Some(assistant) = self.services.assistant.clone() else { return Ok(Assisted::NotConfigured) };
        let deadline = Instant::now() + self.services.config.assistant.timeout;
        let objects: Vec<String> = shortlist.into_iter().map(|candidate| candidate.object).collect();
        let offer = Offer::new(visible, self.state.blocked(self.kind), &objects, self.allow_write);
        if offer.is_empty() {
            return Ok(Assisted::Unused("nothing in the schema comes near enough to the goal".to_owned()));
        }
        let Some(_turn) = self.services.assists.try_take(self.state.id.clone()) else {
            return Ok(Assisted::Unused("it is busy with other goals".to_owned()));
        };
        let rounds = timeout_at(deadline.into(), self.rounds(assistant.as_ref(), &offer, deadline));
        let assisted =
            rounds.await.unwrap_or_else(|_elapsed| Ok(Assisted::Unused(AssistantError::Late.to_string())))?;
        if let Assisted::Unused(reason) = &assisted {
            tracing::warn!(provider = assistant.provider(), reason, "the assistant was not used");
        }
        Ok(assisted)
    }

    /// Asks, and asks again with what is wrong.
    async fn rounds(
        &self,
        assistant: &dyn Assistant,
        offer: &Offer,
        deadline: Instant,
    ) -> Result<Assisted, Problem> {
        let mut brief = offer.brief(&self.goal);
        let mut last = None;
        for _ in 0..=ASSISTANT_REPAIRS {
            let answer = match assistant.propose(&brief, deadline).await {
                Ok(answer) => answer,
                // Another time it may come out well.
                Err(AssistantError::Malformed) => {
                    last = Some(AssistantError::Malformed);
                    continue;
                }
                Err(error) => return Ok(Assisted::Unused(error.to_string())),
            };
            last = None;
            let errors = match offer.judge(&answer) {
                Judged::Nothing => {
                    return Ok(Assisted::Unused("it found nothing that serves the goal".to_owned()));
                }
                Judged::Refused(errors) => errors,
                Judged::Proposed(proposal) => match self.check(&proposal).await? {
                    Ok(checked) => {
                        let (provider, model) = (assistant.provider(), assistant.model().to_owned());
                        return Ok(Assisted::Proposed { checked: Box::new(checked), provider, model });
                    }
                    Err(errors) => errors,
                },
            };
            brief.refused.push(Refused::new(answer, &errors));
        }
        let refused = || "its proposals did not pass the checks of a binding".to_owned();
        Ok(Assisted::Unused(last.map_or_else(refused, |error| error.to_string())))
    }
}
