//! `GET /audit/diff`

use super::differences::{At, differences};
use super::words::Told;
use super::{Naming, Point, View};
use crate::body::schema;
use crate::changes::{Change, changes};
use crate::clock;
use crate::endpoint::{Context, Endpoint, Function, Grant, QueryParameter, Repeat, Reply, Scope, Shape};
use crate::handler;
use crate::problem::Problem;
use crate::services::Services;
use events::{OrganizationId, Seq};
use http::Method;
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffResponse {
    from: Seq,
    to: Seq,
    /// What is otherwise at `to` than at `from`, a sentence each.
    summary: Vec<String>,
    /// The same by its path in `GET /audit/state`.
    changes: Vec<Change>,
    /// What happened in between and who did it, oldest first; the first hundred.
    events: Vec<Told>,
    /// How many happened.
    event_count: u64,
}

/// Events that one answer tells; the rest is in `GET /events`.
const TOLD: usize = 100;

pub static ENDPOINT: Endpoint = Endpoint {
    name: "audit-diff",
    method: Method::GET,
    path: "/audit/diff",
    scope: Scope::AuditRead,
    summary: "What changed between two instants, and who changed it",
    query: &[
        QueryParameter {
            name: "from",
            required: true,
            meaning: "An instant in RFC 3339, or a sequence number",
        },
        QueryParameter { name: "to", required: false, meaning: "The same; now when absent" },
    ],
    request: None,
    response: schema::<DiffResponse>,
    shape: Shape::One,
    success: &[200],
    problems: &[],
    repeat: Repeat::Harmless,
    function: Function { grants: &[Grant::KeepPast, Grant::ReadNames], ..Function::HISTORY },
    handle: handler!(handle),
};

async fn handle(context: Context) -> Result<Reply, Problem> {
    let (services, organization) = (&context.services, &context.caller.organization);
    let from = services.point(organization, "from", context.query("from").unwrap_or_default()).await?;
    let to = match context.query("to") {
        Some(to) => services.point(organization, "to", to).await?,
        None => Point { seq: context.caller.state.head, at: None },
    };
    Ok(Reply::ok(&services.difference(organization, from, to).await?))
}

impl Services {
    /// # Errors
    /// 400 when `to` is before `from`, 503 when the log cannot be used.
    pub async fn difference(
        &self,
        organization: &OrganizationId,
        from: Point,
        to: Point,
    ) -> Result<DiffResponse, Problem> {
        if to.seq < from.seq {
            let message = format!("must not be before from, which is {}", from.seq);
            return Err(Problem::field("to", message));
        }
        let before = self.past.state(organization, from.seq).await?;
        let after = self.past.state(organization, to.seq).await?;
        let keys = self.directory.names(organization).await?;
        let naming = Naming { keys: &keys, state: &after };
        let now = clock::now();
        let before = At { state: &before, instant: from.at.unwrap_or(now) };
        let after = At { state: &after, instant: to.at.unwrap_or(now) };
        let view =
            |at: At<'_>| serde_json::to_value(View::of(at.state, at.instant, &keys)).expect("a view is JSON");
        let count = to.seq.0 - from.seq.0;
        let wanted = usize::try_from(count).unwrap_or(TOLD).min(TOLD);
        let told = self.log.read(organization, from.seq, wanted).await?;
        Ok(DiffResponse {
            from: from.seq,
            to: to.seq,
            summary: differences(before, after, &naming),
            changes: changes(&view(before), &view(after)),
            events: told.iter().map(|event| Told::of(event, &naming)).collect(),
            event_count: count,
        })
    }
}

impl DiffResponse {
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("it is JSON")
    }

    /// For a person at a terminal.
    pub fn text(&self) -> String {
        let mut text = format!("From event {} to event {}\nWhat is otherwise:\n", self.from, self.to);
        let summary = self.summary.iter().map(|sentence| format!("  {sentence}\n"));
        let told = self.events.iter().map(Told::line);
        let untold = self.event_count - self.events.len() as u64;
        text.extend(summary);
        text.push_str("What happened:\n");
        text.extend(told);
        if untold > 0 {
            text.push_str(&format!("  … and {untold} more\n"));
        }
        text
    }
}
