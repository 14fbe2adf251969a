//! Waits for an agent's tools to become others.

use crate::caller::Caller;
use crate::endpoint::{Context, Endpoint};
use crate::problem::{Code, Problem};
use crate::services::Services;
use domain::Organization;
use domain::limits::STREAMS_MAX;
use events::{Seq, SkillId, VersionId};
use http::{HeaderMap, HeaderValue, header};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

pub struct Watch {
    services: Arc<Services>,
    caller: Caller,
    headers: HeaderMap,
    endpoint: &'static Endpoint,
    agent: String,
    known: Told,
    at: Seq,
    ends: Instant,
    _open: OwnedSemaphorePermit,
}

/// What a list of the agent's tools depends on.
type Told = (Option<VersionId>, Vec<SkillId>);

fn told(state: &Organization, agent: &str) -> Option<Told> {
    let (_, agent) = state.agent(agent).ok()?;
    let runnable = state.live_skills(agent).filter(|live| !live.is_quarantined());
    Some((agent.live.clone(), runnable.map(|live| live.skill_id.clone()).collect()))
}

impl Watch {
    /// # Errors
    /// 404 without the agent, 429 when the organization listens as often as it may.
    pub fn of(context: &Context, endpoint: &'static Endpoint) -> Result<Self, Problem> {
        let Context { services, caller, headers, .. } = context;
        let agent = context.path("agentId").to_owned();
        caller.state.agent(&agent)?;
        let open = services.streams.try_take(caller.organization.clone()).ok_or_else(|| {
            let detail = format!("{STREAMS_MAX} streams of this organization are open; close one");
            Problem::new(Code::RateLimited, detail).with_header(header::RETRY_AFTER, HeaderValue::from(5))
        })?;
        Ok(Self {
            known: told(&caller.state, &agent).unwrap_or_default(),
            at: caller.state.head,
            ends: Instant::now() + services.config.stream_ends_after,
            services: services.clone(),
            caller: caller.clone(),
            headers: headers.clone(),
            endpoint,
            agent,
            _open: open,
        })
    }

    /// Whether they changed, or whether only time went by. None at the end: the time is over, the server stops, the key
    /// is in force no longer, or the log cannot be read.
    pub async fn next(&mut self) -> Option<bool> {
        let organization = self.caller.organization.clone();
        let silence = self.services.config.stream_heartbeat;
        tokio::select! {
            moved = self.services.log.beyond(&organization, self.at, silence) => moved.ok()?,
            () = tokio::time::sleep_until(self.ends) => return None,
            () = self.services.stopping.cancelled() => return None,
        };
        self.caller =
            self.services.authenticate_at_the_end(&self.caller, &self.headers, self.endpoint).await.ok()?;
        self.at = self.caller.state.head;
        let now = told(&self.caller.state, &self.agent)?;
        let changed = now != self.known;
        self.known = now;
        Some(changed)
    }
}
