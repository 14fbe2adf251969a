//! A write that is asked for again has one effect.
//!
//! It is recognized by its `Idempotency-Key`, by (`callId`, `toolCallId`), and by (`callId`, skill, arguments): a
//! caller who interrupts makes the model repeat the call under a new tool-call id. The record is durable before
//! the statement is sent.

use super::answers;
use super::outcome::{Answer, Outcome};
use crate::clock;
use crate::endpoint::{Context, Reply};
use crate::idempotency;
use crate::problem::{Code, Problem};
use crate::services::Services;
use domain::arguments::Bound;
use events::SkillId;
use events::skill::{Action, Bind, Definition};
use infra::storage::{AnswerSlot, AnswerState, Begun};
use std::time::{Duration, Instant};

/// How often a repetition looks whether the first try has finished.
const POLL: Duration = Duration::from_millis(20);

/// Slots of live calls: one that a process left running when it died is in doubt.
pub const CALL_PREFIX: &str = "call:";

/// The ways in which one write can be recognized.
pub struct Repeats {
    slots: Vec<AnswerSlot>,
    /// Other writes to the same row in the same call, which a repetition by arguments must not reach across.
    row: Option<(String, String)>,
}

impl Repeats {
    pub fn of(
        context: &Context,
        skill: &SkillId,
        definition: &Definition,
        binds: &[Bound],
        request: &super::execute::CallRequest,
    ) -> Result<Self, Problem> {
        let services = &context.services;
        let agent = context.path("agentId");
        // Values as they were bound: "7" and 7 are the same write.
        let write = services.keyed_hash(&[
            skill.as_str().as_bytes(),
            definition.statement.hash.as_bytes(),
            format!("{binds:?}").as_bytes(),
        ]);
        let organization = &context.caller.organization;
        let slot =
            |key: String| AnswerSlot { organization: organization.clone(), key, body_hash: write.clone() };
        let mut slots = Vec::new();
        let mut row = None;
        if let Some(key) = idempotency::key_of(&context.headers)? {
            let hash = services.keyed_hash(&[agent.as_bytes(), b"header", key.as_bytes()]);
            slots.push(slot(format!("{CALL_PREFIX}h:{hash}")));
        }
        if let Some(call) = &request.context.call_id {
            if let Some(tool_call) = &request.context.tool_call_id {
                let parts = [agent.as_bytes(), b"tool", call.as_bytes(), tool_call.as_bytes()];
                slots.push(slot(format!("{CALL_PREFIX}t:{}", services.keyed_hash(&parts))));
            }
            let key = key_value(definition, binds).unwrap_or_else(|| write.clone());
            let object = definition.statement.object.as_bytes();
            let parts = [agent.as_bytes(), b"row", call.as_bytes(), object, key.as_bytes()];
            let prefix = format!("{CALL_PREFIX}r:{}:", services.keyed_hash(&parts));
            let own = format!("{prefix}{write}");
            slots.push(slot(own.clone()));
            row = Some((prefix, own));
        }
        Ok(Self { slots, row })
    }

    /// Runs the write unless it ran before.
    pub async fn once(
        self,
        services: &Services,
        deadline: Instant,
        run: impl AsyncFnOnce() -> Answer,
        body: impl Fn(&Answer) -> Reply,
    ) -> Result<Reply, Problem> {
        let mut taken = Vec::new();
        for slot in &self.slots {
            match self.take(services, slot, deadline).await {
                Ok(Taken::Mine) => taken.push(slot),
                Ok(Taken::Answered(reply)) => {
                    release(services, &taken).await?;
                    return Ok(reply);
                }
                Ok(Taken::StillRunning) => {
                    release(services, &taken).await?;
                    let say = "I am still working on that, one moment please.";
                    return Ok(body(&Answer::new(Outcome::Unavailable, "still_running", say)));
                }
                Err(problem) => {
                    release(services, &taken).await?;
                    return Err(problem);
                }
            }
        }
        let answer = run().await;
        let reply = body(&answer);
        let state = match answer.outcome {
            Outcome::Ok => Some(AnswerState::Done),
            Outcome::InDoubt => Some(AnswerState::InDoubt),
            // Nothing was changed: a repetition may try again.
            Outcome::NotFound
            | Outcome::InvalidArguments
            | Outcome::Refused
            | Outcome::Timeout
            | Outcome::Unavailable => None,
        };
        match state {
            Some(state) => {
                for slot in &taken {
                    answers::keep(services, slot, state, &reply).await?;
                }
                if let Some((prefix, own)) = &self.row {
                    let organization = &self.slots[0].organization;
                    services.answers.forget(organization, prefix, own).await?;
                }
            }
            None => release(services, &taken).await?,
        }
        Ok(reply)
    }

    async fn take(
        &self,
        services: &Services,
        slot: &AnswerSlot,
        deadline: Instant,
    ) -> Result<Taken, Problem> {
        loop {
            match services.answers.begin(slot, clock::now()).await? {
                Begun::Fresh => return Ok(Taken::Mine),
                Begun::Finished { sealed, .. } => {
                    return Ok(Taken::Answered(answers::open(services, slot, &sealed).await?));
                }
                Begun::OtherBody => {
                    let detail = "this Idempotency-Key or toolCallId came with other arguments before";
                    return Err(Problem::new(Code::IdempotencyKeyReused, detail));
                }
                Begun::Running if Instant::now() + POLL >= deadline => return Ok(Taken::StillRunning),
                Begun::Running => tokio::time::sleep(POLL).await,
            }
        }
    }
}

enum Taken {
    Mine,
    Answered(Reply),
    StillRunning,
}

async fn release(services: &Services, slots: &[&AnswerSlot]) -> Result<(), Problem> {
    for slot in slots {
        services.answers.release(slot).await?;
    }
    Ok(())
}

/// Which row an update changes. An insert has none of its own: only the same insert repeats it.
fn key_value(definition: &Definition, binds: &[Bound]) -> Option<String> {
    let statement = &definition.statement;
    if statement.action != Action::Update {
        return None;
    }
    let key_column = definition.binding.key_column.as_deref()?;
    let at = statement.binds.iter().position(|bind| match bind {
        Bind::Value { parameter } => statement.parameters[*parameter].column == key_column,
        Bind::Given { .. } => false,
    })?;
    Some(format!("{:?}", binds[at]))
}
