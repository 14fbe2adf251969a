//! What the command line says of an organization's history.

use crate::clock;
use crate::history::audit::diff::DiffResponse;
use crate::history::audit::words::Told;
use crate::history::audit::{Naming, Point, View};
use crate::history::checkpoint::{Checkpoint, Extended};
use crate::keys::first::lines;
use crate::problem::Problem;
use crate::services::Services;
use events::{OrganizationId, Seq};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fmt::Write;

/// Events before the asked position that a replay tells.
const TOLD: u64 = 20;

impl Services {
    /// Verifies the chain, and that the log extends a checkpoint that was kept.
    ///
    /// # Errors
    /// One sentence that names the first bad event.
    pub async fn audit_verify(
        &self,
        organization: &OrganizationId,
        kept: Option<&Checkpoint>,
    ) -> Result<String, String> {
        let verified = self.log.verify(organization).await.map_err(|error| error.to_string())?;
        if let Some(seq) = verified.first_bad {
            return Err(format!("{organization}: the log is not to be believed from event {seq} on"));
        }
        let mut said = format!(
            "{organization}: {} events hold, head {}",
            verified.events,
            hex::encode(verified.head_hash)
        );
        if let Some(kept) = kept {
            let extended = self.extends(organization, kept).await.map_err(|problem| problem.detail)?;
            let seq = kept.seq;
            match extended {
                Extended::Yes => said.push_str(&format!("\nit extends the checkpoint at event {seq}")),
                Extended::NotSigned => {
                    return Err("the checkpoint is not signed by this service's key".to_owned());
                }
                Extended::Foreign => {
                    return Err(format!("the checkpoint is of the organization {}", kept.organization));
                }
                Extended::Rewritten => {
                    return Err(format!(
                        "event {seq} is not the one that the checkpoint saw: history was rewritten"
                    ));
                }
            }
        }
        Ok(said)
    }

    /// The state at a point, and what led to it.
    ///
    /// # Errors
    /// One sentence.
    pub async fn audit_replay(&self, organization: &OrganizationId, at: &str) -> Result<Replayed, String> {
        let failed = |error: infra::storage::StoreError| error.to_string();
        let point = self.point(organization, "--at", at).await.map_err(|problem| lines(&problem))?;
        let state = self.past.state(organization, point.seq).await.map_err(failed)?;
        let names = self.directory.names(organization).await.map_err(failed)?;
        let naming = Naming { keys: &names, state: &state };
        let from = Seq(point.seq.0.saturating_sub(TOLD));
        let count = usize::try_from(point.seq.0 - from.0).unwrap_or_default();
        let events = self.log.read(organization, from, count).await.map_err(failed)?;
        let at = point.at.unwrap_or_else(clock::now);
        Ok(Replayed {
            seq: point.seq,
            at,
            view: serde_json::to_value(View::of(&state, at, &names)).expect("a view is JSON"),
            told: events.iter().map(|event| Told::of(event, &naming)).collect(),
        })
    }

    /// What is otherwise between two points, and what happened in between.
    ///
    /// # Errors
    /// One sentence.
    pub async fn audit_diff(
        &self,
        organization: &OrganizationId,
        from: &str,
        to: Option<&str>,
    ) -> Result<DiffResponse, String> {
        let said = |problem: Problem| lines(&problem);
        let from = self.point(organization, "--from", from).await.map_err(said)?;
        let to = match to {
            Some(to) => self.point(organization, "--to", to).await.map_err(said)?,
            None => {
                let head = self.log.head(organization).await.map_err(|error| error.to_string())?;
                Point { seq: head, at: None }
            }
        };
        self.difference(organization, from, to).await.map_err(said)
    }
}

pub struct Replayed {
    seq: Seq,
    at: Timestamp,
    view: Value,
    told: Vec<Told>,
}

impl Replayed {
    pub fn json(&self) -> String {
        json!({ "seq": self.seq, "at": self.at, "state": self.view }).to_string()
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |written: String| {
            let _ = writeln!(text, "{written}");
        };
        line(format!("After event {}, at {}", self.seq, self.at));
        let members = |name: &str| self.view[name].as_object().cloned().unwrap_or_default();
        for (kind, it) in members("connections") {
            let place = format!("{}:{}/{}", plain(&it["host"]), it["port"], plain(&it["database"]));
            line(format!("{kind} at {place} as {}, TLS {}", plain(&it["user"]), plain(&it["sslmode"])));
        }
        for (kind, it) in members("scoping") {
            line(format!(
                "blocked on {kind}: tables {}, columns {}",
                it["blockedTables"], it["blockedColumns"]
            ));
        }
        for (id, agent) in members("agents") {
            let published = &agent["published"];
            if published.is_null() {
                line(format!("agent {} ({id}): not published", agent["name"]));
                continue;
            }
            line(format!("agent {} ({id}): version {}", agent["name"], published["version"]));
            for (tool, skill) in published["skills"].as_object().into_iter().flatten() {
                let ran = match plain(&skill["quarantine"]["reason"]).as_str() {
                    "" => "could run".to_owned(),
                    reason => format!("was stopped: {reason}"),
                };
                line(format!("  {tool} {ran}"));
                line(format!("    {}", plain(&skill["executionConfig"]["statement"])));
            }
        }
        for (id, key) in members("keys") {
            let name = key["name"].as_str().map(|name| format!(" {name:?}")).unwrap_or_default();
            let force = if key["inForce"] == true { "in force" } else { "not in force" };
            let (scopes, by) = (listed(&key["scopes"]), plain(&key["createdBy"]["id"]));
            line(format!("key {id}{name}: {force}, {scopes}, minted by {by}"));
        }
        line("What led to it:".to_owned());
        text.extend(self.told.iter().map(Told::line));
        text
    }
}

fn listed(value: &Value) -> String {
    let items: Vec<String> = value.as_array().into_iter().flatten().map(plain).collect();
    items.join(", ")
}

fn plain(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
