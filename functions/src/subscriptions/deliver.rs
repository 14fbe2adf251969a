//! One attempt, and what follows from it.

use super::turn::Turn;
use crate::clock;
use crate::decide::{Command, decide};
use crate::problem::Problem;
use crate::random;
use crate::services::Services;
use crate::telemetry::{Happened, tell};
use bytes::Bytes;
use domain::limits::{WEBHOOK_ANSWER_BYTES, WEBHOOK_RETRY_MAX};
use domain::subscription::{self, Subscription};
use events::{Actor, ActorKind, OrganizationId, Recorded, Seq, SubscriptionId};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use infra::outgoing::Target;
use infra::storage::deliveries::{Attempt, Cursor, Failing};
use jiff::{SignedDuration, Timestamp};
use std::time::Instant;

/// Events that are looked through at once for one that is wanted.
const BATCH: usize = 100;

/// Where a subscription stands after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An event was delivered, or passed over: there may be more. Of a look: there is.
    Moved,
    /// Everything up to here was delivered.
    CaughtUp(Seq),
    /// The next event is tried again at this instant.
    Failing(Timestamp),
    /// Deleted or parked.
    Ended,
    /// Somebody else delivers for it at the same time.
    Overtaken,
}

/// What the receiver is sent: the event as `GET /events` gives it, or a test.
pub struct Message {
    pub seq: Seq,
    pub id: String,
    pub event_type: String,
    pub body: Bytes,
}

impl Message {
    pub fn of(event: &Recorded) -> Self {
        Self {
            seq: event.seq,
            id: event.id.to_string(),
            event_type: event.event.name().to_owned(),
            body: Bytes::from(event.to_wire().to_string()),
        }
    }
}

impl Services {
    /// Whether there is something to try, without trying it.
    pub async fn look(&self, organization: &OrganizationId, id: &SubscriptionId) -> Result<Step, Problem> {
        let state = self.log.state(organization).await?;
        let Ok((_, subscription)) = state.subscription(id.as_str()) else { return Ok(Step::Ended) };
        if !subscription.is_active() {
            return Ok(Step::Ended);
        }
        let cursor = self.deliveries.cursor(organization, id).await?;
        let cursor = cursor.unwrap_or(Cursor { after: subscription.from, ..Cursor::default() });
        let now = clock::now();
        Ok(match cursor.failing.filter(|failing| failing.retry_at > now) {
            Some(failing) => Step::Failing(failing.retry_at),
            None if cursor.after >= state.head => Step::CaughtUp(cursor.after),
            None => Step::Moved,
        })
    }

    /// Tries the next event that the subscription wants, if it is due. In turn, where others may deliver as well.
    pub async fn deliver_next(
        &self,
        organization: &OrganizationId,
        id: &SubscriptionId,
        turn: Option<&mut Turn<'_>>,
    ) -> Result<Step, Problem> {
        let state = self.log.state(organization).await?;
        let Ok((_, subscription)) = state.subscription(id.as_str()) else { return Ok(Step::Ended) };
        if !subscription.is_active() {
            return Ok(Step::Ended);
        }
        let was = self.deliveries.cursor(organization, id).await?;
        let cursor = was.clone().unwrap_or(Cursor { after: subscription.from, ..Cursor::default() });
        let now = clock::now();
        if let Some(failing) = cursor.failing.filter(|failing| failing.retry_at > now) {
            return Ok(Step::Failing(failing.retry_at));
        }
        let batch_size = if subscription.types.is_some() { BATCH } else { 1 };
        let batch = self.log.read(organization, cursor.after, batch_size).await?;
        let Some(last) = batch.last() else { return Ok(Step::CaughtUp(cursor.after)) };
        let Some(event) = batch.iter().find(|event| subscription.wants(&event.event)) else {
            let passed = Cursor { after: last.seq, ..Cursor::default() };
            let moved = self.deliveries.advance(organization, id, was.as_ref(), &passed, None).await?;
            return Ok(if moved { Step::Moved } else { Step::Overtaken });
        };
        // No event is delivered on a state older than itself: a rotation is signed with what it rotated to.
        let state = if state.head < event.seq { self.log.state(organization).await? } else { state };
        let Ok((_, subscription)) = state.subscription(id.as_str()) else { return Ok(Step::Ended) };
        if let Some(turn) = turn
            && !turn.lasts().await?
        {
            return Ok(Step::Overtaken);
        }
        let number = cursor.failures + 1;
        let attempt = self.attempt(organization, id, subscription, &Message::of(event), number).await;
        let (next, step) = match &attempt.failure {
            None => (Cursor { after: event.seq, ..Cursor::default() }, Step::Moved),
            Some(_) => {
                let retry_at = self.retry_at(attempt.at, number);
                let since = cursor.failing.map_or(attempt.at, |failing| failing.since);
                // Nothing before this event is looked through again.
                let after = Seq(event.seq.0 - 1);
                let failing = Some(Failing { since, retry_at });
                (Cursor { after, failures: number, failing }, Step::Failing(retry_at))
            }
        };
        if !self.deliveries.advance(organization, id, was.as_ref(), &next, Some(&attempt)).await? {
            return Ok(Step::Overtaken);
        }
        if let (Some(reason), Some(failing)) = (&attempt.failure, next.failing)
            && (attempt.status == Some(410) || self.gives_up(failing.since, attempt.at))
        {
            self.park(organization, id, event, reason).await?;
            return Ok(Step::Ended);
        }
        Ok(step)
    }

    /// Sends one message. Never fails: what went wrong is in the attempt.
    pub async fn attempt(
        &self,
        organization: &OrganizationId,
        id: &SubscriptionId,
        subscription: &Subscription,
        message: &Message,
        number: u32,
    ) -> Attempt {
        let (at, started) = (clock::now(), Instant::now());
        let signature =
            self.webhook_signature(organization, id, subscription, &message.id, at, &message.body);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static("Bindery"));
        for (name, value) in [
            ("webhook-id", message.id.clone()),
            ("webhook-timestamp", at.as_second().to_string()),
            ("webhook-signature", signature),
        ] {
            let value = HeaderValue::from_str(&value).expect("ids, digits and base64 are visible ASCII");
            headers.insert(HeaderName::from_static(name), value);
        }
        let sent = match Target::parse(&subscription.url) {
            Ok(target) => {
                let dialer = &self.pools.drivers().dialer;
                let (body, deadline) = (message.body.clone(), started + self.config.webhook_timeout);
                let sent = target.post(dialer, headers, body, deadline, WEBHOOK_ANSWER_BYTES).await;
                sent.map(|answer| answer.status).map_err(|error| error.to_string())
            }
            Err(reason) => Err(reason),
        };
        let (status, failure) = match sent {
            Ok(status) if status.is_success() => (Some(status.as_u16()), None),
            Ok(status) if status.is_redirection() => {
                (Some(status.as_u16()), Some(format!("answered {status}; redirects are not followed")))
            }
            Ok(status) => (Some(status.as_u16()), Some(format!("answered {status}"))),
            Err(reason) => (None, Some(reason)),
        };
        tell(Happened::WebhookTried { took: started.elapsed(), delivered: failure.is_none() });
        Attempt {
            id: random::attempt_id(),
            seq: message.seq,
            event_id: message.id.clone().into(),
            event_type: message.event_type.clone(),
            number,
            at,
            duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            status,
            failure,
        }
    }

    /// Doubling up to an hour; a quarter of it by chance, so that receivers that came back are not hit all at once.
    fn retry_at(&self, from: Timestamp, failures: u32) -> Timestamp {
        let doubled = self.config.webhook_retry_base.saturating_mul(2_u32.saturating_pow(failures - 1));
        let wait = doubled.min(WEBHOOK_RETRY_MAX);
        let wait = wait.mul_f64(1.0 - random::fraction() / 4.0);
        from + SignedDuration::try_from(wait).expect("an hour fits")
    }

    fn gives_up(&self, since: Timestamp, now: Timestamp) -> bool {
        let failing = now.duration_since(since);
        failing >= SignedDuration::try_from(self.config.webhook_give_up).expect("it fits")
    }

    async fn park(
        &self,
        organization: &OrganizationId,
        id: &SubscriptionId,
        undelivered: &Recorded,
        reason: &str,
    ) -> Result<(), Problem> {
        let command = Command {
            organization,
            id: random::command_id(),
            actor: Actor { kind: ActorKind::Service, id: "webhooks".to_owned() },
            request_id: random::request_id(),
            cause: Some(undelivered.id.clone()),
        };
        let at = undelivered.seq;
        decide(self.log.as_ref(), Some(&self.turns), command, |state| async move {
            Ok(subscription::park(&state, id, at, reason.to_owned())?)
        })
        .await?;
        tell(Happened::WebhookParked);
        tracing::warn!(%organization, subscription = %id, %at, reason, "a webhook is parked");
        Ok(())
    }
}
