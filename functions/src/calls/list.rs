//! `GET /agents/{agentId}/calls`: what was called, by whom, and what came of it.

use super::{CallItem, recording};
use crate::body::schema;
use crate::endpoint::{Context, Endpoint, Function, Grant, QueryParameter, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::pages::Pagination;
use crate::problem::{Code, Problem};
use crate::skills::outcome::Outcome;
use domain::FieldError;
use domain::limits::CALLS_LOOKED_AT;
use events::{AgentId, OrganizationId};
use http::Method;
use infra::storage::StoreError;
use infra::storage::calls::{CallRecord, CallStore, IN_DOUBT, Path, Span, id_from};
use jiff::Timestamp;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "calls-list",
    method: Method::GET,
    path: "/agents/{agentId}/calls",
    scope: Scope::AuditRead,
    summary: "Records of live calls, newest first. total counts at most the newest 2,000 that the filters reach; a page \
              may hold fewer than limit and still have a cursor",
    query: &[
        QueryParameter { name: "outcome", required: false, meaning: "an outcome of the live call, or error" },
        QueryParameter { name: "skill", required: false, meaning: "id or tool of a skill" },
        QueryParameter { name: "callId", required: false, meaning: "the platform's id of one call" },
        QueryParameter {
            name: "lookup",
            required: false,
            meaning: "the value that a row was found by, as answers write it: which calls touched this record",
        },
        QueryParameter { name: "actor", required: false, meaning: "id of the key that called" },
        QueryParameter {
            name: "resolved",
            required: false,
            meaning: "with outcome=in_doubt: false for those that nobody knows the end of yet, true for the others",
        },
        QueryParameter {
            name: "from",
            required: false,
            meaning: "began at this instant (RFC 3339) or later",
        },
        QueryParameter { name: "to", required: false, meaning: "began before this instant (RFC 3339)" },
    ],
    request: None,
    response: schema::<CallItem>,
    shape: Shape::List,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function { grants: &[Grant::ReadCalls, Grant::ReadNames], ..Function::READ },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let page = context.page()?;
    let (agent_id, _) = context.caller.state.agent(context.path("agentId"))?;
    let wanted = Wanted::of(&context)?;
    let (services, organization) = (&context.services, &context.caller.organization);
    let store = services.records.store().await;
    let limit = page.limit as usize;
    let before = page.after.as_deref().or(wanted.before.as_deref());
    let found = wanted.find(store, organization, agent_id, before, limit).await?;
    let counted = wanted.find(store, organization, agent_id, wanted.before.as_deref(), usize::MAX).await?;
    let names = services.directory.names(organization).await?;
    let next_cursor = found.goes_on.as_deref().map(|after| page.cursor(after));
    let items: Vec<CallItem> = found.records.into_iter().map(|record| CallItem::of(record, &names)).collect();
    let total = counted.records.len() as u64;
    Ok(Reply::list(&items, &Pagination { limit: page.limit, next_cursor, total }))
}

/// The filters of a request.
#[derive(Default)]
struct Wanted {
    outcome: Option<String>,
    skill: Option<String>,
    call: Option<String>,
    lookup: Option<String>,
    actor: Option<String>,
    resolved: Option<bool>,
    from: Option<String>,
    before: Option<String>,
}

/// A part of what is wanted, and the id to go on before.
struct Found {
    records: Vec<CallRecord>,
    goes_on: Option<String>,
}

impl Wanted {
    /// # Errors
    /// Every filter that is wrong, at once.
    fn of(context: &Context) -> Result<Self, Problem> {
        let mut errors = Vec::new();
        let mut wrong =
            |field: &str, message: String| errors.push(FieldError::new(field, "invalid", message));
        let outcome = context.query("outcome").map(str::to_owned);
        if let Some(outcome) = &outcome
            && !outcomes().any(|known| known == outcome)
        {
            let known: Vec<&str> = outcomes().collect();
            wrong("outcome", format!("must be one of {}", known.join(", ")));
        }
        let resolved = match context.query("resolved") {
            None => None,
            Some(_) if outcome.as_deref() != Some(IN_DOUBT) => {
                wrong("resolved", "comes with outcome=in_doubt".to_owned());
                None
            }
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(_) => {
                wrong("resolved", "must be true or false".to_owned());
                None
            }
        };
        let mut instant = |name: &str| {
            let parsed = context.query(name)?.parse::<Timestamp>();
            if parsed.is_err() {
                wrong(name, "must be an instant like 2026-11-05T12:00:00Z".to_owned());
            }
            parsed.ok().map(id_from)
        };
        let (from, before) = (instant("from"), instant("to"));
        if !errors.is_empty() {
            return Err(Problem::fields(Code::ValidationError, errors));
        }
        let hash = |value| recording::hash(&context.services, &context.caller.organization, value);
        Ok(Self {
            outcome,
            skill: context.query("skill").map(str::to_owned),
            call: context.query("callId").map(recording::short),
            lookup: context.query("lookup").map(hash),
            actor: context.query("actor").map(str::to_owned),
            resolved,
            from,
            before,
        })
    }

    /// The way that leads to the fewest records which are not wanted.
    fn path(&self) -> Path<'_> {
        match (&self.lookup, &self.call, self.outcome.as_deref()) {
            (Some(lookup), _, _) => Path::Lookup(lookup),
            (None, Some(call), _) => Path::Call(call),
            (None, None, Some(IN_DOUBT)) => Path::InDoubt,
            (None, None, _) => Path::All,
        }
    }

    fn fits(&self, record: &CallRecord) -> bool {
        let is =
            |wanted: &Option<String>, it: Option<&str>| wanted.as_deref().is_none_or(|one| it == Some(one));
        let skills = [record.skill.as_str(), record.tool.as_str()];
        is(&self.outcome, Some(&record.outcome))
            && self.skill.as_deref().is_none_or(|skill| skills.contains(&skill))
            && is(&self.call, record.call_id.as_deref())
            && is(&self.lookup, record.lookup_hash())
            && is(&self.actor, Some(record.key.as_str()))
            && self.resolved.is_none_or(|resolved| resolved != record.is_open())
    }

    /// Looks at no more than [`CALLS_LOOKED_AT`] records: a filter that fits few of millions must not read them all
    /// at once.
    async fn find(
        &self,
        store: &dyn CallStore,
        organization: &OrganizationId,
        agent: &AgentId,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Found, StoreError> {
        let span = Span { from: self.from.as_deref(), before };
        // Most lists have no filter that leaves anything out, and then this is all that is to be read.
        let at_once = limit.saturating_add(1).min(CALLS_LOOKED_AT);
        let mut looked_at = store.calls(organization, agent, self.path(), span, at_once).await?;
        let misses = looked_at.iter().any(|record| !self.fits(record));
        if misses && at_once < CALLS_LOOKED_AT && looked_at.len() == at_once {
            looked_at = store.calls(organization, agent, self.path(), span, CALLS_LOOKED_AT).await?;
        }
        let is_the_end = looked_at.len() < if misses { CALLS_LOOKED_AT } else { at_once };
        let last_looked_at = looked_at.last().map(|record| record.id.clone());
        let mut records: Vec<CallRecord> = looked_at.into_iter().filter(|record| self.fits(record)).collect();
        let goes_on = if records.len() > limit {
            records.truncate(limit);
            records.last().map(|record| record.id.clone())
        } else if is_the_end {
            None
        } else {
            last_looked_at
        };
        Ok(Found { records, goes_on })
    }
}

/// What a record's outcome may be.
fn outcomes() -> impl Iterator<Item = &'static str> {
    Outcome::ALL.iter().map(|outcome| outcome.as_str()).chain(["error"])
}
