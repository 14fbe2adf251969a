//! A write that is asked for again has one effect.
//!
//! It is recognized by its `Idempotency-Key`, by (`callId`, `toolCallId`), and by (`callId`, skill, arguments): a
//! caller who interrupts makes the model repeat the call under a new tool-call id. The record is durable before
//! the statement is sent.

use super::doubts::{CallName, Doubt, Found, Record};
use super::execute::{CallRequest, given};
use super::outcome::{Answer, Outcome};
use crate::clock;
use crate::endpoint::{Context, Reply};
use crate::idempotency;
use crate::problem::{Code, Problem};
use crate::services::Services;
use domain::arguments::{Bound, key_of};
use events::skill::{Action, Bind, Definition};
use events::{IntegrationKind, SkillId};
use futures_util::FutureExt;
use infra::sealing::Sealed;
use infra::storage::{AnswerSlot, AnswerState, Begun, Voided};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between the first two looks of a repetition whether the first try has finished; then twice as long each time.
const POLL: Duration = Duration::from_millis(25);
const POLL_MAX: Duration = Duration::from_millis(400);

/// Slots of live writes: one that a process left running when it died is in doubt.
pub const CALL_PREFIX: &str = "call:";
const HEADER: &str = "call:h:";

/// The ways in which one write can be recognized. None at all for a write that runs once per request.
pub struct Repeats {
    slots: Vec<AnswerSlot>,
    /// What this write makes void: earlier writes to the same row in the same call. Without it, a repetition by
    /// arguments would reach across them, and changing a row back would do nothing.
    voided: Option<Voided>,
}

/// What is known of a write before it runs.
pub enum Known {
    New,
    Answered(Reply),
    /// The same idempotency key or tool call, with other arguments.
    Other(Answer),
}

impl Repeats {
    /// A write is the same when skill and values are, whatever version of the skill serves it: "7" and 7 are.
    pub fn of(
        context: &Context,
        skill: &SkillId,
        definition: &Definition,
        binds: &[Bound],
        request: &CallRequest,
    ) -> Result<Self, Problem> {
        let services = &context.services;
        let agent = context.path("agentId").as_bytes();
        let organization = &context.caller.organization;
        let values = named_values(definition, binds);
        let write = services.keyed_hash(&[agent, skill.as_str().as_bytes(), values.as_bytes()]);
        let slot =
            |key: String| AnswerSlot { organization: organization.clone(), key, body_hash: write.clone() };
        let mut repeats = Self { slots: Vec::new(), voided: None };
        if let Some(key) = idempotency::key_of(&context.headers)? {
            let hash = services.keyed_hash(&[agent, b"header", key.as_bytes()]);
            repeats.slots.push(slot(format!("{HEADER}{hash}")));
        }
        if let Some(call) = given(request.context.call_id.as_ref()) {
            if let Some(tool_call) = given(request.context.tool_call_id.as_ref()) {
                let parts = [agent, b"tool", call.as_bytes(), tool_call.as_bytes()];
                repeats.slots.push(slot(format!("{CALL_PREFIX}t:{}", services.keyed_hash(&parts))));
            }
            let row = row_of(definition, binds).unwrap_or_else(|| write.clone());
            let object = definition.statement.object.as_bytes();
            let parts = [agent, b"row", call.as_bytes(), object, row.as_bytes()];
            let prefix = format!("{CALL_PREFIX}r:{}:", services.keyed_hash(&parts));
            let own = format!("{prefix}{write}");
            repeats.slots.push(slot(own.clone()));
            repeats.voided = Some(Voided { organization: organization.clone(), prefix, except: own });
        }
        Ok(repeats)
    }

    pub fn slots(&self) -> &[AnswerSlot] {
        &self.slots
    }

    /// Whether there is anything to recognize this write by.
    pub fn is_repeatable(&self) -> bool {
        !self.slots.is_empty()
    }

    /// Whether this write was answered before. Asked first of all: what was done is done, whatever has changed
    /// since in version, scoping or connection.
    ///
    /// One that is in doubt is asked about first.
    pub async fn known(&self, services: &Arc<Services>, deadline: Instant) -> Result<Known, Problem> {
        loop {
            match services.answers.peek(&self.slots, clock::now()).await? {
                Begun::Fresh | Begun::Running => return Ok(Known::New),
                begun @ Begun::Finished { state: AnswerState::InDoubt, .. } => {
                    match self.judge(services, begun, deadline).await? {
                        Known::New => {}
                        known => return Ok(known),
                    }
                }
                begun => return self.judge(services, begun, deadline).await,
            }
        }
    }

    /// `New` when it is to be looked again.
    async fn judge(
        &self,
        services: &Arc<Services>,
        begun: Begun,
        deadline: Instant,
    ) -> Result<Known, Problem> {
        match begun {
            Begun::Fresh | Begun::Running => Ok(Known::New),
            Begun::Finished { state: AnswerState::InDoubt, sealed } => {
                let organization = &self.slots[0].organization;
                let found = match Doubt::open(services, organization, &sealed).await? {
                    Some(doubt) => services.find_out_by(&doubt, deadline).await?,
                    None => Found::ForAPerson,
                };
                Ok(match found {
                    Found::Settled => Known::New,
                    Found::Open | Found::ForAPerson => Known::Other(Answer::in_doubt()),
                })
            }
            Begun::Finished { state: AnswerState::Done, sealed } => {
                // Sealed once for each slot, so it opens with the first of them that has it.
                for slot in &self.slots {
                    if let Ok(reply) = idempotency::open(services, slot, &sealed).await {
                        return Ok(Known::Answered(reply));
                    }
                }
                Err(Problem::internal())
            }
            Begun::OtherBody if self.slots[0].key.starts_with(HEADER) => {
                let detail = "this Idempotency-Key came with other arguments before; use a new key";
                Err(Problem::new(Code::IdempotencyKeyReused, detail))
            }
            Begun::OtherBody => {
                let say = "That does not match what you asked for before, so I did not change anything.";
                Ok(Known::Other(Answer::refused("tool_call_id_reused", say)))
            }
        }
    }

    /// Runs the write unless it ran or runs already.
    pub async fn once(
        &self,
        services: &Arc<Services>,
        kind: IntegrationKind,
        call: Option<CallName>,
        deadline: Instant,
        run: impl AsyncFnOnce(Option<&Record<'_>>) -> Answer,
        body: &(dyn Fn(&Answer) -> Reply + Sync),
    ) -> Result<Reply, Problem> {
        // When its answer could not be sealed, the customer's database is not touched.
        if let Some(slot) = self.slots.first() {
            idempotency::prepare(services, slot).await?;
        }
        let begin = || services.answers.begin(&self.slots, clock::now());
        let mut begun = begin().await?;
        let mut pause = POLL;
        loop {
            begun = match begun {
                Begun::Fresh => break,
                Begun::Running if Instant::now() + POLL < deadline => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    tokio::time::sleep(pause.min(left)).await;
                    pause = (pause * 2).min(POLL_MAX);
                    // To begin is a transaction, which would stand in the way of the one that finishes.
                    match services.answers.peek(&self.slots, clock::now()).await? {
                        Begun::Fresh => begin().await?,
                        known => known,
                    }
                }
                Begun::Running => {
                    let say = "I am still working on that, one moment please.";
                    return Ok(body(&Answer::new(Outcome::Unavailable, "still_running", say)));
                }
                known => match self.judge(services, known, deadline).await? {
                    Known::New => begin().await?,
                    Known::Answered(reply) => return Ok(reply),
                    Known::Other(answer) => return Ok(body(&answer)),
                },
            };
        }
        let record = Record::new(services, kind, &self.slots, self.voided.as_ref(), call, body);
        let ran = AssertUnwindSafe(run(Some(&record))).catch_unwind().await;
        let evidence = record.evidence();
        let answer = match (ran, &evidence) {
            (Ok(answer), _) => answer,
            // A defect of ours after the mark leaves the write in doubt, like a lost connection does.
            (Err(_), Some(_)) => Answer::in_doubt(),
            (Err(_), None) => Answer::stopped(),
        };
        let reply = body(&answer);
        let kept = match answer.outcome {
            Outcome::Ok => self.keep(services, &reply).await,
            Outcome::InDoubt => self.leave(services, evidence).await,
            // Nothing was changed: a repetition may try again.
            Outcome::NotFound
            | Outcome::InvalidArguments
            | Outcome::Refused
            | Outcome::Timeout
            | Outcome::Unavailable => services.answers.release(&self.slots).await.map_err(Problem::from),
        };
        // The customer's database has decided; a store that fails now must not make it sound otherwise. The slots
        // stay taken, so a repetition does not run.
        if let Err(problem) = kept {
            tracing::error!(detail = problem.detail, "the answer of a write could not be kept");
        }
        answer.our_fault().map_or(Ok(reply), Err)
    }

    /// Leaves the write in doubt and has it asked about.
    async fn leave(&self, services: &Arc<Services>, evidence: Option<Sealed>) -> Result<(), Problem> {
        let (Some(slot), Some(evidence)) = (self.slots.first(), evidence) else { return Ok(()) };
        let Some(doubt) = Doubt::open(services, &slot.organization, &evidence).await? else { return Ok(()) };
        let left = doubt.leave(services).await;
        services.find_out_later(doubt);
        left?;
        Ok(())
    }

    async fn keep(&self, services: &Services, reply: &Reply) -> Result<(), Problem> {
        let mut answers = Vec::with_capacity(self.slots.len());
        for slot in &self.slots {
            answers.push((slot.clone(), idempotency::seal(services, slot, reply).await?));
        }
        Ok(services.answers.finish(&answers, AnswerState::Done, self.voided.as_ref()).await?)
    }
}

/// Every parameter with its value as it was bound, by name.
fn named_values(definition: &Definition, binds: &[Bound]) -> String {
    let statement = &definition.statement;
    let mut values: Vec<String> = statement
        .binds
        .iter()
        .zip(binds)
        .filter_map(|(bind, value)| match bind {
            Bind::Value { parameter } => Some(format!("{}={value:?}", statement.parameters[*parameter].name)),
            Bind::Given { .. } => None,
        })
        .collect();
    values.sort();
    values.join("\n")
}

/// Which row an update changes. An insert has none of its own; only the same
/// insert repeats it.
fn row_of(definition: &Definition, binds: &[Bound]) -> Option<String> {
    let is_update = definition.statement.action == Action::Update;
    let (key, value) = key_of(&definition.statement, binds).filter(|_| is_update)?;
    Some(format!("{}={value:?}", key.column))
}

#[cfg(test)]
#[path = "repeats_tests.rs"]
mod tests;
