//! The ports to what is kept beside the log: deliveries, names, misses, records of calls.

use super::Granted;
use crate::endpoint::Grant;
use async_trait::async_trait;
use events::{AgentId, KeyId, OrganizationId, SubscriptionId};
use infra::storage::StoreError;
use infra::storage::calls::{Batch, CallRecord, CallStore, Path, Resolution, Span};
use infra::storage::deliveries::{Attempt, Cursor, DeliveryStore, Lease};
use infra::storage::directory::{Directory, KeyNames};
use infra::storage::misses::{Budget, Misses};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

#[async_trait]
impl DeliveryStore for Granted<dyn DeliveryStore> {
    /// Who is refused looks up until when.
    async fn claim(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        lease: &Lease,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.to(Grant::ReadDeliveries);
        self.to(Grant::WriteDeliveries).claim(organization, subscription, lease, now).await
    }

    async fn give_back(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        holder: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.to(Grant::WriteDeliveries).give_back(organization, subscription, holder, now).await
    }

    async fn cursor(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
    ) -> Result<Option<Cursor>, StoreError> {
        self.to(Grant::ReadDeliveries).cursor(organization, subscription).await
    }

    async fn advance(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        was: Option<&Cursor>,
        now: &Cursor,
        attempt: Option<&Attempt>,
    ) -> Result<bool, StoreError> {
        self.to(Grant::WriteDeliveries).advance(organization, subscription, was, now, attempt).await
    }

    async fn keep(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        attempt: &Attempt,
    ) -> Result<(), StoreError> {
        self.to(Grant::WriteDeliveries).keep(organization, subscription, attempt).await
    }

    async fn attempts(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Attempt>, StoreError> {
        self.to(Grant::ReadDeliveries).attempts(organization, subscription, before, limit).await
    }

    async fn attempt(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
        id: &str,
    ) -> Result<Option<Attempt>, StoreError> {
        self.to(Grant::ReadDeliveries).attempt(organization, subscription, id).await
    }

    /// What there is to forget is looked up.
    async fn forget(
        &self,
        organization: &OrganizationId,
        subscription: &SubscriptionId,
    ) -> Result<(), StoreError> {
        self.to(Grant::ReadDeliveries);
        self.to(Grant::WriteDeliveries).forget(organization, subscription).await
    }
}

#[async_trait]
impl Directory for Granted<dyn Directory> {
    async fn names(&self, organization: &OrganizationId) -> Result<KeyNames, StoreError> {
        self.to(Grant::ReadNames).names(organization).await
    }

    async fn rename(
        &self,
        organization: &OrganizationId,
        key: &KeyId,
        name: Option<&str>,
    ) -> Result<(), StoreError> {
        self.to(Grant::WriteNames).rename(organization, key, name).await
    }
}

/// They are counted beside the answers; what this process knows of them is its own.
#[async_trait]
impl Misses for Granted<dyn Misses> {
    fn is_any_used_up(&self, now: Timestamp) -> bool {
        self.port.is_any_used_up(now)
    }

    fn is_used_up(&self, budget: &Budget, now: Timestamp) -> bool {
        self.port.is_used_up(budget, now)
    }

    async fn count(&self, budget: &Budget, key: u128, now: Timestamp) -> Result<bool, StoreError> {
        self.to(Grant::KeepAnswers).count(budget, key, now).await
    }
}

#[async_trait]
impl CallStore for Granted<dyn CallStore> {
    async fn keep_calls(&self, batch: &Arc<Batch>, kept: Duration) -> Result<(), StoreError> {
        self.to(Grant::KeepCalls).keep_calls(batch, kept).await
    }

    async fn calls(
        &self,
        organization: &OrganizationId,
        agent: &AgentId,
        path: Path<'_>,
        span: Span<'_>,
        limit: usize,
    ) -> Result<Vec<CallRecord>, StoreError> {
        self.to(Grant::ReadCalls).calls(organization, agent, path, span, limit).await
    }

    async fn call(
        &self,
        organization: &OrganizationId,
        agent: &AgentId,
        id: &str,
    ) -> Result<Option<CallRecord>, StoreError> {
        self.to(Grant::ReadCalls).call(organization, agent, id).await
    }

    async fn resolve_call(
        &self,
        organization: &OrganizationId,
        agent: &AgentId,
        id: &str,
        resolution: &Resolution,
        kept: Duration,
    ) -> Result<(), StoreError> {
        self.to(Grant::KeepCalls).resolve_call(organization, agent, id, resolution, kept).await
    }
}
