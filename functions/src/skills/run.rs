//! One run of a compiled skill: what `call` and `test` share.

use super::doubts::Record;
use super::execute::{CallRequest, bind, judge};
use super::misses::Lookup;
use super::outcome::{Answer, CallBody};
use super::repeats::{Known, Repeats};
use crate::calls::recording::Recording;
use crate::endpoint::{Context, Reply};
use crate::problem::Problem;
use domain::Organization;
use domain::skill::Skill;
use events::SkillId;
use events::skill::Definition;
use infra::storage::calls::Protocol;
use std::time::Instant;

/// Which definition of which skill runs.
pub struct Run<'a> {
    pub skill_id: &'a SkillId,
    pub skill: &'a Skill,
    pub definition: &'a Definition,
    /// The agent's version that serves it; none for a draft.
    pub version: Option<u32>,
    /// How the call came; none for a trial, of which no record is kept.
    pub live: Option<Protocol>,
}

impl Run<'_> {
    /// Judges, runs and answers. None when a write was judged on a state that is not the log's end: nothing was sent,
    /// and caller and skill are to be judged anew.
    ///
    /// # Errors
    /// 400 when the skill needs the number that calls and what came is none; 422 for an idempotency key that came with
    /// other arguments; 503 when our own store or key service fails before the database was asked.
    pub async fn answer(
        &self,
        context: &Context,
        state: &Organization,
        request: &CallRequest,
        started: Instant,
    ) -> Result<Option<Reply>, Problem> {
        let mut recording = self.live.map(|protocol| Recording::begin(self, protocol, context, request));
        let answered = self.unrecorded(context, state, request, started, &mut recording).await.transpose();
        if let (Some(recording), Some(answered)) = (recording, &answered) {
            recording.end(&context.services, answered, started);
        }
        answered.transpose()
    }

    async fn unrecorded(
        &self,
        context: &Context,
        state: &Organization,
        request: &CallRequest,
        started: Instant,
        recording: &mut Option<Recording>,
    ) -> Result<Option<Reply>, Problem> {
        let definition = self.definition;
        let body = |answer: &Answer| {
            let columns = &definition.statement.columns;
            Reply::ok(&CallBody { answer, columns, version: self.version, total: started.elapsed() })
                .measured(answer.measured())
        };
        let values = request.context.values(&definition.statement)?;
        let binds = match bind(definition, request, &values) {
            Ok(binds) => binds,
            Err(answer) => return Ok(Some(body(&answer))),
        };
        if let Some(recording) = recording {
            recording.bound(&context.services, definition, &binds);
        }
        let deadline = request.context.deadline(started);
        let is_write = definition.statement.action.is_write();
        let repeats = if is_write {
            let repeats = Repeats::of(context, self.skill_id, definition, &binds, request)?;
            if let Some(recording) = recording {
                recording.slots(repeats.slots());
            }
            match repeats.known(&context.services, deadline).await? {
                Known::New => {}
                Known::Answered(reply) => return Ok(Some(reply)),
                Known::Other(answer) => return Ok(Some(body(&answer))),
            }
            // Reads live with what memory knows; a key that was revoked or a skill that was blocked a moment ago does
            // not write, and nothing does while the log is down.
            if context.services.log.head(&state.id).await? != state.head {
                return Ok(None);
            }
            Some(repeats)
        } else {
            None
        };
        if let Err(answer) = judge(state, self.skill, definition, &binds, request) {
            return Ok(Some(body(&answer)));
        }
        let services = &context.services;
        let is_draft = self.version.is_none();
        let lookup = Lookup { context, caller: &request.context, definition, binds: &binds, is_draft };
        let run = async |record: Option<&Record<'_>>| {
            // Judged again on the state of now: a repetition may have waited for another try, and what was blocked
            // meanwhile must not run.
            let latest = services.log.warm_state(&state.id);
            let latest = latest.as_deref().unwrap_or(state);
            let skill = latest.skills.get(self.skill_id).map_or(self.skill, AsRef::as_ref);
            match judge(latest, skill, definition, &binds, request) {
                Ok(ready) => lookup.guarded(deadline, services.execute(&ready, record, deadline)).await,
                Err(answer) => *answer,
            }
        };
        let reply = match repeats {
            // Boxed, so that a read is not moved with room for a write.
            Some(repeats) if repeats.is_repeatable() => {
                let call = recording.as_ref().map(Recording::name);
                Box::pin(repeats.once(services, definition.kind, call, deadline, run, &body)).await
            }
            Some(_) | None => {
                let answer = run(None).await;
                answer.our_fault().map_or_else(|| Ok(body(&answer)), Err)
            }
        };
        reply.map(Some)
    }
}
