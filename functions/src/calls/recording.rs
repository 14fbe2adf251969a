//! Makes the record of one call. Values leave it as keyed hashes only.

use crate::clock;
use crate::endpoint::{Context, Measured, Reply};
use crate::problem::Problem;
use crate::random;
use crate::services::Services;
use crate::skills::doubts::CallName;
use crate::skills::execute::{CallRequest, given};
use crate::skills::run::Run;
use domain::arguments::{Bound, key_of};
use domain::limits::CALL_ID_CHARS;
use events::OrganizationId;
use events::skill::{Bind, Definition, Source};
use infra::storage::AnswerSlot;
use infra::storage::calls::{CallRecord, DoubtSlots, IN_DOUBT, Protocol};
use std::borrow::Cow;
use std::time::{Duration, Instant};

/// Of a value's hash: 128 bits, so that no two values meet by chance.
const HASH_BYTES: usize = 16;

/// The record of a call that has begun.
pub struct Recording(CallRecord);

impl Recording {
    pub fn begin(run: &Run<'_>, protocol: Protocol, context: &Context, request: &CallRequest) -> Self {
        let at = clock::now();
        let told = &request.context;
        Self(CallRecord {
            id: random::call_id(at),
            organization: context.caller.organization.clone(),
            agent: run.skill.agent_id.clone(),
            at,
            skill: run.skill_id.clone(),
            tool: run.definition.tool.clone(),
            version: run.version,
            protocol,
            outcome: Cow::Borrowed(""),
            code: None,
            rows: 0,
            replayed: false,
            total_us: 0,
            database_us: 0,
            key: context.caller.key_id.clone(),
            request_id: context.request_id.clone(),
            call_id: given(told.call_id.as_ref()).map(|id| short(id)),
            tool_call_id: given(told.tool_call_id.as_ref()).map(|id| short(id)),
            lookup: None,
            arguments: Vec::new(),
            doubt: None,
            resolution: None,
        })
    }

    /// What its evidence names it by, should it come to be in doubt.
    pub fn name(&self) -> CallName {
        (self.0.agent.clone(), self.0.id.clone())
    }

    pub fn bound(&mut self, services: &Services, definition: &Definition, binds: &[Bound]) {
        let statement = &definition.statement;
        let organization = &self.0.organization;
        let mut hashed = Vec::new();
        for (bind, value) in statement.binds.iter().zip(binds) {
            let Bind::Value { parameter } = bind else { continue };
            let parameter = &statement.parameters[*parameter];
            // A constant says nothing of this call, and a parameter may fill several places.
            let is_known = hashed.iter().any(|(name, _)| *name == parameter.name);
            if parameter.source == Source::Constant || is_known {
                continue;
            }
            if let Some(hash) = hash_of(services, organization, value) {
                hashed.push((parameter.name.clone(), hash));
            }
        }
        self.0.arguments = hashed;
        self.0.lookup = key_of(statement, binds).map(|(key, _)| key.name.clone());
    }

    /// The kept answers of this write.
    pub fn slots(&mut self, slots: &[AnswerSlot]) {
        let Some(first) = slots.first() else { return };
        let keys = slots.iter().map(|slot| slot.key.clone()).collect();
        self.0.doubt = Some(DoubtSlots { keys, body_hash: first.body_hash.clone() });
    }

    pub fn end(mut self, services: &Services, ended: &Result<Reply, Problem>, started: Instant) {
        let record = &mut self.0;
        match ended {
            Ok(Reply { measured: Some(measured), .. }) => {
                let Measured { outcome, code, rows, database } = *measured;
                record.outcome = Cow::Borrowed(outcome);
                record.code = code.map(Cow::Borrowed);
                record.rows = rows;
                record.database_us = micros(database);
            }
            // Only answers of writes that were done are kept.
            Ok(_) => {
                record.outcome = Cow::Borrowed("ok");
                record.replayed = true;
            }
            Err(problem) => {
                record.outcome = Cow::Borrowed("error");
                record.code = Some(Cow::Borrowed(problem.code.as_str()));
            }
        }
        if record.outcome != IN_DOUBT {
            record.doubt = None;
        }
        record.total_us = micros(started.elapsed());
        services.records.record(&self.0);
    }
}

/// To the nearest one, as answers round.
fn micros(duration: Duration) -> u64 {
    u64::try_from((duration.as_nanos() + 500) / 1000).unwrap_or(u64::MAX)
}

/// As much of a platform's id as a record keeps.
pub fn short(id: &str) -> String {
    id.chars().take(CALL_ID_CHARS).collect()
}

/// The same for all values that are written alike, so that a person can ask for one as an answer shows it. None of null.
fn hash_of(services: &Services, organization: &OrganizationId, value: &Bound) -> Option<String> {
    let text: Cow<'_, str> = match value {
        Bound::Null => return None,
        Bound::Text(text) => Cow::Borrowed(text),
        Bound::Boolean(value) => Cow::Owned(value.to_string()),
        Bound::Integer(value) => Cow::Owned(value.to_string()),
        Bound::Float(value) => Cow::Owned(value.to_string()),
        Bound::Binary(bytes) => Cow::Owned(hex::encode(bytes)),
        Bound::Array(values) => Cow::Owned(format!("{values:?}")),
    };
    Some(hash(services, organization, &text))
}

/// The keyed hash of a value as it is written.
pub fn hash(services: &Services, organization: &OrganizationId, value: &str) -> String {
    let digest = services.keyed_digest(&[b"call value", organization.as_str().as_bytes(), value.as_bytes()]);
    hex::encode(&digest[..HASH_BYTES])
}
