//! `POST /agents/{agentId}/calls/{callRecordId}/settle`: a person says how a write in doubt ended.

use super::CallItem;
use crate::body::schema;
use crate::clock;
use crate::endpoint::{Context, Endpoint, Function, Grant, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::{Code, Problem};
use crate::services::Services;
use crate::skills::doubts::Doubt;
use domain::Refusal;
use domain::limits::DESCRIPTION_CHARS;
use http::Method;
use infra::storage::calls::{CallRecord, Ended, IN_DOUBT, Resolution};
use infra::storage::{AnswerSlot, AnswerState, Begun};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SettleRequest {
    /// Whether the write happened, as the row in the database shows. When it did, a repetition is answered with ok and
    /// does not run; when it did not, a repetition runs.
    happened: bool,
    /// How you know, for whoever reads the record.
    #[serde(default)]
    note: Option<String>,
}

pub static ENDPOINT: Endpoint = Endpoint {
    name: "calls-settle",
    method: Method::POST,
    path: "/agents/{agentId}/calls/{callRecordId}/settle",
    scope: Scope::SkillsWrite,
    summary: "Says how a write in doubt ended, where its database could not",
    query: &[],
    request: Some(schema::<SettleRequest>),
    response: schema::<CallItem>,
    shape: Shape::One,
    success: &[200],
    problems: &[Code::NotInDoubt],
    repeat: Repeat::Answered,
    function: Function {
        grants: &[Grant::ReadCalls, Grant::KeepCalls, Grant::KeepAnswers, Grant::ReadNames],
        ..Function::READ
    },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let request: SettleRequest = context.body()?;
    if request.note.as_ref().is_some_and(|note| note.chars().count() > DESCRIPTION_CHARS) {
        return Err(Problem::field("note", format!("must have at most {DESCRIPTION_CHARS} characters")));
    }
    let (services, caller) = (&context.services, &context.caller);
    let (agent, _) = caller.state.agent(context.path("agentId"))?;
    let id = context.path("callRecordId");
    let find = async || {
        let found = services.records.store().await.call(&caller.organization, agent, id).await?;
        found.ok_or_else(|| Problem::from(Refusal::NotFound { what: "call" }))
    };
    let record = find().await?;
    if !record.is_open() {
        let detail = if record.outcome == IN_DOUBT {
            "how this write ended is known already; see its resolution"
        } else {
            "this call was never in doubt"
        };
        return Err(Problem::new(Code::NotInDoubt, detail));
    }
    services.settle(&record, request.happened).await?;
    let resolution = Resolution {
        result: if request.happened { Ended::Committed } else { Ended::RolledBack },
        at: clock::now(),
        by: Some(caller.key_id.clone()),
        note: request.note,
    };
    services.records.resolve(&caller.organization, agent, id, &resolution).await?;
    let names = services.directory.names(&caller.organization).await?;
    Ok(Reply::ok(&CallItem::of(CallRecord { resolution: Some(resolution), ..record }, &names)))
}

impl Services {
    /// Settles the kept answers of a write in doubt, as far as they still are in doubt: what asking the database has
    /// found out meanwhile stands.
    async fn settle(&self, record: &CallRecord, happened: bool) -> Result<(), Problem> {
        let Some(doubt) = &record.doubt else { return Ok(()) };
        let slot = |key: &String| AnswerSlot {
            organization: record.organization.clone(),
            key: key.clone(),
            body_hash: doubt.body_hash.clone(),
        };
        let slots: Vec<AnswerSlot> = doubt.keys.iter().map(slot).collect();
        match self.answers.peek(&slots, clock::now()).await? {
            Begun::Finished { state: AnswerState::InDoubt, sealed } => {
                let evidence = Doubt::open(self, &record.organization, &sealed).await?;
                match evidence {
                    Some(evidence) => evidence.end(self, happened).await,
                    None => Doubt::end_without_evidence(self, &slots, &sealed, happened).await,
                }
            }
            Begun::Fresh | Begun::Running | Begun::OtherBody | Begun::Finished { .. } => Ok(()),
        }
    }
}
