//! Webhook subscriptions: where an organization's events are delivered to.

use crate::limits::{ERRORS_LISTED, SUBSCRIPTIONS_MAX, URL_CHARS};
use crate::nearest::nearest;
use crate::organization::{Decision, Organization};
use crate::refusal::{FieldError, Refusal};
use events::subscription::{
    SubscriptionCreated, SubscriptionDeleted, SubscriptionParked, SubscriptionResumed,
    SubscriptionSecretRotated,
};
use events::{Event, Recorded, Seq, Subject, SubjectKind, SubscriptionId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

// Stream

pub fn subject(id: &SubscriptionId) -> Subject {
    Subject::new(SubjectKind::Subscription, id)
}

// Fold

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    pub version: Seq,
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<BTreeSet<String>>,
    pub from: Seq,
    /// 1, 2, 3 …
    pub secret_version: u32,
    /// Until then the secret before signs too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<Parked>,
    pub deleted: bool,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parked {
    pub at: Seq,
    pub reason: String,
    pub since: Timestamp,
}

impl Subscription {
    pub(crate) fn created(recorded: &Recorded, data: &SubscriptionCreated) -> Self {
        Self {
            version: recorded.seq,
            url: data.url.clone(),
            types: data.types.clone(),
            from: data.from,
            secret_version: 1,
            previous_until: None,
            parked: None,
            deleted: false,
            created_at: recorded.recorded_at,
        }
    }

    pub(crate) fn secret_rotated(&mut self, recorded: &Recorded, data: &SubscriptionSecretRotated) {
        self.version = recorded.seq;
        self.secret_version = data.secret_version;
        self.previous_until = Some(data.previous_until);
    }

    pub(crate) fn parked(&mut self, recorded: &Recorded, data: &SubscriptionParked) {
        self.version = recorded.seq;
        self.parked = Some(Parked { at: data.at, reason: data.reason.clone(), since: recorded.recorded_at });
    }

    pub(crate) fn resumed(&mut self, recorded: &Recorded) {
        self.version = recorded.seq;
        self.parked = None;
    }

    pub(crate) fn deleted(&mut self, recorded: &Recorded) {
        self.version = recorded.seq;
        self.deleted = true;
    }

    /// Whether events are delivered.
    pub fn is_active(&self) -> bool {
        !self.deleted && self.parked.is_none()
    }

    pub fn wants(&self, event: &Event) -> bool {
        self.types.as_ref().is_none_or(|types| types.contains(event.name()))
    }

    /// The secrets that sign a delivery at this instant, newest first.
    pub fn secret_versions(&self, now: Timestamp) -> impl Iterator<Item = u32> {
        let before = self.previous_until.filter(|until| now < *until).map(|_| self.secret_version - 1);
        [Some(self.secret_version), before].into_iter().flatten()
    }
}

impl Organization {
    pub fn subscription(&self, id: &str) -> Result<(&SubscriptionId, &Arc<Subscription>), Refusal> {
        self.subscriptions
            .get_key_value(id)
            .filter(|(_, subscription)| !subscription.deleted)
            .ok_or(Refusal::NotFound { what: "subscription" })
    }

    /// Those that were not deleted, oldest first.
    pub fn subscriptions(&self) -> impl Iterator<Item = (&SubscriptionId, &Arc<Subscription>)> {
        self.subscriptions.iter().filter(|(_, subscription)| !subscription.deleted)
    }
}

// Decisions

/// `url` was judged before; `from` is the head when absent.
///
/// # Errors
/// Every type that is none, a position beyond the log's end, and more subscriptions than there may be.
pub fn create(
    organization: &Organization,
    id: &SubscriptionId,
    url: String,
    types: Option<BTreeSet<String>>,
    from: Option<Seq>,
) -> Result<Decision, Refusal> {
    let mut errors = unknown_types(types.as_ref());
    if url.chars().count() > URL_CHARS {
        errors.push(FieldError::new("url", "invalid", format!("must have at most {URL_CHARS} characters")));
    }
    if from.is_some_and(|from| from > organization.head) {
        let message = format!("the log ends at {}", organization.head);
        errors.push(FieldError::new("from", "invalid", message));
    }
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors));
    }
    if organization.subscriptions().count() >= SUBSCRIPTIONS_MAX {
        return Err(Refusal::LimitReached { what: "subscriptions", limit: SUBSCRIPTIONS_MAX });
    }
    let from = from.unwrap_or(organization.head);
    Ok(Decision::on_everything(vec![(subject(id), SubscriptionCreated { url, types, from }.into())]))
}

fn unknown_types(types: Option<&BTreeSet<String>>) -> Vec<FieldError> {
    let known = || Event::ALL.iter().map(|(name, _)| *name);
    let mut errors = Vec::new();
    if types.is_some_and(BTreeSet::is_empty) {
        errors.push(FieldError::new("types", "invalid", "must name at least one type, or be absent for all"));
    }
    for name in types.into_iter().flatten().filter(|name| known().all(|known| known != name.as_str())) {
        let error = FieldError::new("types", "unknown_type", format!("{name:?} is no event type"));
        errors.push(error.nearest(nearest(name, known())));
    }
    errors.truncate(ERRORS_LISTED);
    errors
}

/// The next secret signs from now on, the one before as well until `previous_until`.
pub fn rotate_secret(
    organization: &Organization,
    id: &SubscriptionId,
    previous_until: Timestamp,
) -> Result<Decision, Refusal> {
    let (_, subscription) = organization.subscription(id.as_str())?;
    let secret_version = subscription.secret_version + 1;
    let rotated = SubscriptionSecretRotated { secret_version, previous_until };
    Ok(Decision::on([subject(id)], vec![(subject(id), rotated.into())]))
}

/// Stops delivery, unless it has stopped or gone on already.
pub fn park(
    organization: &Organization,
    id: &SubscriptionId,
    at: Seq,
    reason: String,
) -> Result<Decision, Refusal> {
    let (_, subscription) = organization.subscription(id.as_str())?;
    let events = match subscription.parked {
        Some(_) => Vec::new(),
        None => vec![(subject(id), SubscriptionParked { at, reason }.into())],
    };
    Ok(Decision::on([subject(id)], events))
}

pub fn resume(organization: &Organization, id: &SubscriptionId) -> Result<Decision, Refusal> {
    let (_, subscription) = organization.subscription(id.as_str())?;
    let events = match subscription.parked {
        Some(_) => vec![(subject(id), SubscriptionResumed {}.into())],
        None => Vec::new(),
    };
    Ok(Decision::on([subject(id)], events))
}

pub fn delete(organization: &Organization, id: &SubscriptionId) -> Result<Decision, Refusal> {
    organization.subscription(id.as_str())?;
    Ok(Decision::on([subject(id)], vec![(subject(id), SubscriptionDeleted {}.into())]))
}
