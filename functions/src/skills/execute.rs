//! Runs a compiled skill once: what `call` and `test` share.

use super::doubts::{Marking, Record};
use super::outcome::{Answer, Outcome};
use crate::services::Services;
use domain::Organization;
use domain::arguments::{self, Bound};
use domain::limits::{DOUBT_ASKED_AGAIN, STATEMENT_TIMEOUT};
use domain::skill::Skill;
use events::skill::{Action, Definition};
use infra::databases::DatabaseError;
use infra::databases::driver::{BeforeCommit, Ending};
use infra::databases::error::Fault;
use infra::databases::pool::PoolKey;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
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
    #[serde(default)]
    pub caller_phone: Option<String>,
    #[serde(default)]
    pub verified_identity: Option<VerifiedIdentity>,
    /// Milliseconds from now until the answer is worth nothing.
    #[serde(default)]
    pub deadline_ms: Option<u64>,
}

/// Whether the platform knows who is calling, or as whom.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum VerifiedIdentity {
    Flag(bool),
    Name(String),
}

impl CallContext {
    pub fn is_verified(&self) -> bool {
        match &self.verified_identity {
            None => false,
            Some(VerifiedIdentity::Flag(verified)) => *verified,
            Some(VerifiedIdentity::Name(name)) => given(Some(name)).is_some(),
        }
    }

    /// Values for parameters of `source: caller`, by their canonical names.
    pub fn values(&self) -> Map<String, Value> {
        let mut values = Map::new();
        let mut put = |name: &str, value: Option<&String>| {
            if let Some(value) = given(value) {
                values.insert(name.to_owned(), Value::String(value.clone()));
            }
        };
        put("call_id", self.call_id.as_ref());
        put("tool_call_id", self.tool_call_id.as_ref());
        put("caller_phone", self.caller_phone.as_ref());
        if let Some(VerifiedIdentity::Name(name)) = &self.verified_identity {
            put("verified_identity", Some(name));
        }
        values
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
pub fn bind(definition: &Definition, request: &CallRequest) -> Result<Vec<Bound>, Box<Answer>> {
    arguments::bind(&definition.statement, &request.arguments, &request.context.values())
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
    if definition.requires_verified_identity && !request.context.is_verified() {
        return refuse(Answer::refused(
            "identity_required",
            "I need to verify who you are before I can do that.",
        ));
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
