//! Runs a compiled skill once: what `call` and `test` share.

use super::caller_phone::in_e164;
use super::doubts::{Marking, Record};
use super::identity::VerifiedIdentity;
use super::outcome::{Answer, Outcome};
use crate::problem::{Code, Problem};
use crate::services::Services;
use domain::Organization;
use domain::arguments::{self, Bound};
use domain::limits::{DOUBT_ASKED_AGAIN, STATEMENT_TIMEOUT};
use domain::skill::Skill;
use events::skill::{Action, Definition, Source, Statement};
use infra::databases::DatabaseError;
use infra::databases::driver::{BeforeCommit, Ending};
use infra::databases::error::Fault;
use infra::databases::pool::PoolKey;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallRequest {
    /// What the model supplies. Null leaves an optional argument out, because strict schemas make models name them all.
    pub arguments: Map<String, Value>,
    #[serde(default)]
    pub context: CallContext,
    /// Runs the draft instead of the published skill; the key must have skills:write too.
    #[serde(default)]
    pub draft_mode: bool,
    /// The caller said yes to a write.
    #[serde(default)]
    pub confirm: bool,
}

/// What the platform knows of the call. Never from the model.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallContext {
    #[serde(default)]
    pub call_id: Option<String>,
    #[serde(default)]
    pub tool_call_id: Option<String>,
    /// The number that calls, as the telephone network or SIP has it; anonymous, or nothing, when it is withheld.
    #[serde(default)]
    pub caller_phone: Option<String>,
    /// Where a number without a country code was dialled: a country's two letters in ISO 3166-1, such as DE.
    #[serde(default)]
    pub caller_region: Option<String>,
    #[serde(default)]
    pub verified_identity: Option<VerifiedIdentity>,
    /// Milliseconds from now until the answer is worth nothing.
    #[serde(default)]
    pub deadline_ms: Option<u64>,
}

impl CallContext {
    /// How well the platform knows who is calling: from 0, which is not at all, to 3.
    pub fn identity_level(&self) -> u8 {
        self.verified_identity.as_ref().map_or(0, VerifiedIdentity::level)
    }

    /// The number that calls, in E.164; none when it is withheld.
    ///
    /// # Errors
    /// 400 when what came is no number.
    pub fn phone(&self) -> Result<Option<Cow<'_, str>>, Problem> {
        let Some(written) = given(self.caller_phone.as_ref()) else { return Ok(None) };
        let region = given(self.caller_region.as_ref());
        in_e164(written, region.map(|it| it.trim()))
            .map_err(|error| Problem::fields(Code::ValidationError, vec![error]))
    }

    /// Values for the statement's parameters of `source: caller`.
    ///
    /// # Errors
    /// 400 when one of them is the number that calls and what came is none. A skill that needs no number is not
    /// stopped by one.
    pub fn values(&self, statement: &Statement) -> Result<Map<String, Value>, Problem> {
        let mut values = Map::new();
        for parameter in statement.parameters.iter().filter(|it| it.source == Source::Caller) {
            let value = match parameter.name.as_str() {
                "call_id" => given(self.call_id.as_ref()).cloned(),
                "tool_call_id" => given(self.tool_call_id.as_ref()).cloned(),
                "caller_phone" => self.phone()?.map(Cow::into_owned),
                "verified_identity" => self.verified_identity.as_ref().and_then(|it| it.name()).cloned(),
                _ => None,
            };
            values.extend(value.map(|value| (parameter.name.clone(), Value::String(value))));
        }
        Ok(values)
    }

    /// When the answer must be there.
    pub fn deadline(&self, started: Instant) -> Instant {
        let asked = self.deadline_ms.map_or(STATEMENT_TIMEOUT, Duration::from_millis);
        started + asked.min(STATEMENT_TIMEOUT)
    }
}

/// A blank value is none: it would make all callers who lack it the same one.
pub fn given(value: Option<&String>) -> Option<&String> {
    value.filter(|text| !text.trim().is_empty())
}

/// A skill that may run now, with its values.
pub struct Ready<'a> {
    definition: &'a Definition,
    binds: &'a [Bound],
    pool: PoolKey,
}

/// Values for the statement, from the model's arguments and the call's context.
pub fn bind(
    definition: &Definition,
    request: &CallRequest,
    values: &Map<String, Value>,
) -> Result<Vec<Bound>, Box<Answer>> {
    arguments::bind(&definition.statement, &request.arguments, values)
        .map_err(|errors| Box::new(Answer::invalid(errors)))
}

/// Everything else that is judged before the database is asked.
pub fn judge<'a>(
    state: &Organization,
    skill: &Skill,
    definition: &'a Definition,
    binds: &'a [Bound],
    request: &CallRequest,
) -> Result<Ready<'a>, Box<Answer>> {
    let refuse = |answer: Answer| Err(Box::new(answer));
    if skill.quarantined.contains_key(&definition.statement.hash) {
        return refuse(Answer::refused("skill_quarantined", "I am not able to do that at the moment."));
    }
    let Ok(connection) = state.connection(definition.kind) else {
        let say = "I cannot reach that system right now.";
        return refuse(Answer::new(Outcome::Unavailable, "integration_not_connected", say));
    };
    match request.context.identity_level() {
        level if level >= definition.identity_level() => {}
        0 => {
            let say = "I need to verify who you are before I can do that.";
            return refuse(Answer::refused("identity_required", say));
        }
        _ => {
            let say = "I need to be more certain of who you are before I can do that.";
            return refuse(Answer::refused("identity_level_too_low", say));
        }
    }
    if definition.requires_confirmation && !request.confirm {
        return refuse(Answer::refused("confirmation_required", "Shall I go ahead with that?"));
    }
    let pool = PoolKey {
        organization: state.id.clone(),
        kind: definition.kind,
        credential_version: connection.credential_version,
    };
    Ok(Ready { definition, binds, pool })
}

impl Services {
    /// Runs it. Anything but exactly one written row was rolled back by the driver. A write is told to `record` before
    /// it is committed.
    pub async fn execute(
        self: &Arc<Self>,
        ready: &Ready<'_>,
        record: Option<&Record<'_>>,
        deadline: Instant,
    ) -> Answer {
        let (statement, pool) = (&ready.definition.statement, &ready.pool);
        let source = self.credential_source(&pool.organization, pool.kind, pool.credential_version);
        let started = Instant::now();
        let mut answer = if statement.action.is_write() {
            let marking = Marking::new(record);
            let before = Some(&marking as &dyn BeforeCommit);
            match self.pools.write(pool, &source, statement, ready.binds, deadline, before).await {
                Ok(written) => Answer::written(&written),
                Err(error) if error.fault == Fault::InDoubt => {
                    Box::pin(self.asked_at_once(pool, &marking, statement.action, deadline)).await
                }
                Err(error) => Answer::failed(&error, statement.action),
            }
        } else {
            match self.pools.read(pool, &source, statement, ready.binds, deadline).await {
                Ok(rows) => Answer::found(rows),
                Err(error) => Answer::failed(&error, statement.action),
            }
        };
        answer.database = started.elapsed();
        answer
    }

    /// Most commits whose answer is lost are lost with one connection, and the next one knows of them.
    async fn asked_at_once(
        self: &Arc<Self>,
        pool: &PoolKey,
        marking: &Marking<'_>,
        action: Action,
        deadline: Instant,
    ) -> Answer {
        let Some((trace, written, sent)) = marking.seen() else { return Answer::in_doubt() };
        loop {
            let asked = self.ending(&pool.organization, pool.kind, &trace, sent.elapsed(), deadline).await;
            match asked {
                Ok(Ending::Committed) => return Answer::written(&written),
                Ok(Ending::RolledBack) => {
                    let lost = DatabaseError::new(Fault::ConnectionLost, "The write was rolled back.");
                    return Answer::failed(&lost, action);
                }
                Ok(Ending::Unknowable) => return Answer::in_doubt(),
                Ok(Ending::Open) | Err(_) if Instant::now() + DOUBT_ASKED_AGAIN >= deadline => {
                    return Answer::in_doubt();
                }
                Ok(Ending::Open) | Err(_) => tokio::time::sleep(DOUBT_ASKED_AGAIN).await,
            }
        }
    }
}
