//! Keys that were looked up in vain: who tries one after another is guessing whose data is there.
//!
//! Each call and each caller has a budget of them. What was found costs nothing, the same key again costs nothing more,
//! and a key that comes from the call's context or the binding is nobody's guess.

use super::execute::{CallContext, given};
use super::outcome::{Answer, Outcome};
use crate::clock;
use crate::endpoint::Context;
use domain::arguments::{Bound, key_of};
use domain::limits::{CALL_MISSES_KEPT, CALLER_MISSES_KEPT};
use events::skill::{Definition, Parameter, Source};
use futures_util::future::join_all;
use infra::storage::misses::Budget;
use jiff::SignedDuration;
use std::time::{Duration, Instant};

/// What a call looks up, and who calls.
pub struct Lookup<'a> {
    pub context: &'a Context,
    pub caller: &'a CallContext,
    pub definition: &'a Definition,
    pub binds: &'a [Bound],
    /// Whoever runs a draft may write skills, and need not guess.
    pub is_draft: bool,
}

impl Lookup<'_> {
    /// Runs it unless a budget is used up, and counts a key that it does not find.
    pub async fn guarded(&self, deadline: Instant, running: impl Future<Output = Answer>) -> Answer {
        let Some(key) = self.guessed() else { return running.await };
        if self.is_used_up() {
            return exceeded();
        }
        let answer = running.await;
        // Boxed, so that what is found is not moved with room for what is not.
        if answer.outcome != Outcome::NotFound || Box::pin(self.count(key, deadline)).await {
            return answer;
        }
        Answer { database: answer.database, ..exceeded() }
    }

    fn guessed(&self) -> Option<(&Parameter, &Bound)> {
        let is_guess = |(key, _): &(&Parameter, _)| key.source == Source::Model && !self.is_draft;
        key_of(&self.definition.statement, self.binds).filter(is_guess)
    }

    fn is_used_up(&self) -> bool {
        let (misses, now) = (&self.context.services.misses, clock::now());
        misses.is_any_used_up(now) && self.budgets().any(|budget| misses.is_used_up(&budget, now))
    }

    /// Whether there was room for it in every budget. A store that fails must not fail the call.
    async fn count(&self, (key, value): (&Parameter, &Bound), deadline: Instant) -> bool {
        let (services, statement) = (&self.context.services, &self.definition.statement);
        let (object, value) = (statement.object.as_bytes(), format!("{value:?}"));
        let kind = self.definition.kind.as_str().as_bytes();
        let key = self.hashed(&[b"missed", kind, object, key.column.as_bytes(), value.as_bytes()]);
        let (budgets, now) = (self.budgets().collect::<Vec<_>>(), clock::now());
        let counting = join_all(budgets.iter().map(|budget| services.misses.count(budget, key, now)));
        let Ok(counted) = tokio::time::timeout_at(deadline.into(), counting).await else {
            tracing::warn!("a miss could not be counted before the call's deadline");
            return true;
        };
        counted.into_iter().fold(true, |fits, one| {
            fits & one.unwrap_or_else(|error| {
                tracing::warn!(%error, "a miss could not be counted");
                true
            })
        })
    }

    /// None without a call's id and a number that calls.
    fn budgets(&self) -> impl Iterator<Item = Budget> {
        let config = &self.context.services.config;
        let call = given(self.caller.call_id.as_ref()).map(|id| {
            self.budget(&[b"misses of a call", id.as_bytes()], config.misses_per_call, CALL_MISSES_KEPT)
        });
        // What is no number is refused where one is needed.
        let phone = self.caller.phone().ok().flatten();
        let caller = phone.map(|phone| {
            let name = [b"misses of a caller", phone.as_bytes()];
            self.budget(&name, config.misses_per_caller, CALLER_MISSES_KEPT)
        });
        call.into_iter().chain(caller)
    }

    fn budget(&self, of: &[&[u8]], most: u32, kept: Duration) -> Budget {
        Budget {
            organization: self.context.caller.organization.clone(),
            name: self.hashed(of),
            most: most as usize,
            within: SignedDuration::try_from(kept).unwrap_or(SignedDuration::MAX),
        }
    }

    fn hashed(&self, of: &[&[u8]]) -> u128 {
        let organization = self.context.caller.organization.as_str().as_bytes();
        let mut parts = vec![organization, self.context.path("agentId").as_bytes()];
        parts.extend(of);
        self.context.services.short_keyed_hash(&parts)
    }
}

fn exceeded() -> Answer {
    let say = "I have looked several times without finding anything, so I cannot look any further right now.";
    Answer::refused("enumeration_budget_exceeded", say)
}
