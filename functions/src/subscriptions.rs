//! Webhooks, by Standard Webhooks: every event of an organization in order, at least once.

pub mod create;
pub mod delete;
pub mod deliver;
pub mod deliverer;
pub mod deliveries;
pub mod due;
pub mod get;
pub mod list;
pub mod redeliver;
pub mod resume;
pub mod rotate_secret;
pub mod signing;
pub mod test;
pub mod turn;

use domain::subscription::Subscription;
use events::{Seq, SubscriptionId};
use infra::storage::deliveries::{Attempt, Cursor};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;

/// A subscription without its secret.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionItem {
    pub id: SubscriptionId,
    pub url: String,
    /// All when null.
    pub types: Option<BTreeSet<String>>,
    pub status: Status,
    /// The last event that was delivered, or that is not wanted.
    pub delivered_through: Seq,
    /// How often the next event was tried in vain.
    pub failures: u32,
    #[schemars(with = "Option<String>")]
    pub next_attempt_at: Option<Timestamp>,
    /// Why delivery stopped.
    pub parked_reason: Option<String>,
    #[schemars(with = "String")]
    pub created_at: Timestamp,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Active,
    /// An event is tried again and again; the others wait behind it.
    Failing,
    /// Stopped until it is resumed.
    Parked,
}

pub fn item(id: &SubscriptionId, subscription: &Subscription, cursor: Option<&Cursor>) -> SubscriptionItem {
    let failing = cursor.and_then(|cursor| cursor.failing);
    let status = match (&subscription.parked, failing) {
        (Some(_), _) => Status::Parked,
        (None, Some(_)) => Status::Failing,
        (None, None) => Status::Active,
    };
    SubscriptionItem {
        id: id.clone(),
        url: subscription.url.clone(),
        types: subscription.types.clone(),
        status,
        delivered_through: cursor.map_or(subscription.from, |cursor| cursor.after),
        failures: cursor.map_or(0, |cursor| cursor.failures),
        next_attempt_at: failing.filter(|_| subscription.parked.is_none()).map(|failing| failing.retry_at),
        parked_reason: subscription.parked.as_ref().map(|parked| parked.reason.clone()),
        created_at: subscription.created_at,
    }
}

/// A subscription and its secret, which is shown this once.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WithSecret {
    #[serde(flatten)]
    pub item: SubscriptionItem,
    /// `whsec_` and 32 bytes as base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The answer is a repetition: the secret was shown the first time.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub secret_omitted: bool,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptItem {
    pub id: String,
    pub seq: Seq,
    /// What the receiver got as `webhook-id`.
    pub event_id: String,
    pub event_type: String,
    /// 1, 2, 3 … for one event.
    pub attempt: u32,
    pub outcome: Outcome,
    /// The receiver's.
    pub status: Option<u16>,
    pub failure: Option<String>,
    pub duration_ms: u64,
    #[schemars(with = "String")]
    pub at: Timestamp,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Delivered,
    Failed,
}

impl From<Attempt> for AttemptItem {
    fn from(attempt: Attempt) -> Self {
        Self {
            id: attempt.id,
            seq: attempt.seq,
            event_id: attempt.event_id.to_string(),
            event_type: attempt.event_type,
            attempt: attempt.number,
            outcome: if attempt.failure.is_none() { Outcome::Delivered } else { Outcome::Failed },
            status: attempt.status,
            failure: attempt.failure,
            duration_ms: attempt.duration_ms,
            at: attempt.at,
        }
    }
}
