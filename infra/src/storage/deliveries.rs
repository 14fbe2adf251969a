//! How far webhooks have been delivered, what was tried, and whose turn it is to try.

use super::StoreError;
use async_trait::async_trait;
use events::{EventId, OrganizationId, Seq, SubscriptionId};
use jiff::Timestamp;

/// Where one subscription's deliveries stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Everything up to this event was delivered, or is not wanted.
    pub after: Seq,
    /// How often the event behind it was tried in vain.
    pub failures: u32,
    /// Since when, and when it is tried again.
    pub failing: Option<Failing>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failing {
    pub since: Timestamp,
    pub retry_at: Timestamp,
}

/// One attempt to deliver one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Sorts by the time it was made.
    pub id: String,
    pub seq: Seq,
    pub event_id: EventId,
    pub event_type: String,
    /// 1, 2, 3 … for one event.
    pub number: u32,
    pub at: Timestamp,
    pub duration_ms: u64,
    /// What the receiver answered with, if it did.
    pub status: Option<u16>,
    /// Why it failed; None when it was delivered.
    pub failure: Option<String>,
}

/// The right to deliver to one receiver. Two who deliver at once would let it see an event after its successor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Nobody else has this name.
    pub holder: String,
    pub until: Timestamp,
}

#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// Takes the turn, or keeps it for longer. None when it is the holder's now; else until when it is somebody
    /// else's, unless they keep it for longer or give it back before.
    async fn claim(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        lease: &Lease,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError>;

    /// Gives the turn back, when it still is the holder's.
    async fn give_back(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        holder: &str,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    async fn cursor(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
    ) -> Result<Option<Cursor>, StoreError>;

    /// Moves the cursor and keeps the attempt that moved it, in one step. False when the cursor is not `was`:
    /// somebody else delivers too.
    async fn advance(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        was: Option<&Cursor>,
        now: &Cursor,
        attempt: Option<&Attempt>,
    ) -> Result<bool, StoreError>;

    /// Keeps an attempt that leaves the cursor where it is.
    async fn keep(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        attempt: &Attempt,
    ) -> Result<(), StoreError>;

    /// Attempts before the one with this id, newest first, at most `limit`. Older ones than the newest
    /// [`domain::limits::WEBHOOK_ATTEMPTS_KEPT`], or than [`domain::limits::WEBHOOK_ATTEMPT_KEPT`], may be gone.
    async fn attempts(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Attempt>, StoreError>;

    async fn attempt(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        id: &str,
    ) -> Result<Option<Attempt>, StoreError>;

    /// Forgets all of a subscription that was deleted.
    async fn forget(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
    ) -> Result<(), StoreError>;
}
