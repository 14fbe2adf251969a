//! One run of a compiled skill: what `call` and `test` share.

use super::doubts::Record;
use super::execute::{CallRequest, bind, judge};
use super::outcome::{Answer, CallBody};
use super::repeats::{Known, Repeats};
use crate::endpoint::{Context, Reply};
use crate::problem::Problem;
use domain::Organization;
use domain::skill::Skill;
use events::SkillId;
use events::skill::Definition;
use std::time::{Duration, Instant};

/// Which definition of which skill runs.
pub struct Run<'a> {
    pub skill_id: &'a SkillId,
    pub skill: &'a Skill,
    pub definition: &'a Definition,
    /// The agent's version that serves it; none for a draft.
    pub version: Option<u32>,
}

impl Run<'_> {
    /// Judges, runs and answers. None when a write was judged on a state that is not the log's end: nothing was sent,
    /// and caller and skill are to be judged anew.
    ///
    /// # Errors
    /// 422 for an idempotency key that came with other arguments; 503 when our own store or key service fails
    /// before the database was asked.
    pub async fn answer(
        &self,
        context: &Context,
        state: &Organization,
        request: &CallRequest,
        started: Instant,
    ) -> Result<Option<Reply>, Problem> {
        let definition = self.definition;
        let body = |answer: &Answer| {
            let columns = &definition.statement.columns;
            Reply::ok(&CallBody { answer, columns, version: self.version, total: started.elapsed() })
                .measured(answer.outcome.as_str(), answer.database)
        };
        let binds = match bind(definition, request) {
            Ok(binds) => binds,
            Err(answer) => return Ok(Some(body(&answer))),
        };
        let deadline = request.context.deadline(started);
        let is_write = definition.statement.action.is_write();
        let repeats = if is_write {
            let repeats = Repeats::of(context, self.skill_id, definition, &binds, request)?;
            match repeats.known(&context.services, deadline).await? {
                Known::New => {}
                Known::Answered(reply) => return Ok(Some(reply.measured("repeated", Duration::ZERO))),
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
        let run = async |record: Option<&Record<'_>>| {
            // Judged again on the state of now: a repetition may have waited for another try, and what was blocked
            // meanwhile must not run.
            let latest = services.log.warm_state(&state.id);
            let latest = latest.as_deref().unwrap_or(state);
            let skill = latest.skills.get(self.skill_id).map_or(self.skill, AsRef::as_ref);
            match judge(latest, skill, definition, &binds, request) {
                Ok(ready) => services.execute(&ready, record, deadline).await,
                Err(answer) => *answer,
            }
        };
        let reply = match repeats {
            // Boxed, so that a read is not moved with room for a write.
            Some(repeats) if repeats.is_repeatable() => {
                Box::pin(repeats.once(services, definition.kind, deadline, run, &body)).await
            }
            Some(_) | None => {
                let answer = run(None).await;
                answer.our_fault().map_or_else(|| Ok(body(&answer)), Err)
            }
        };
        reply.map(Some)
    }
}
