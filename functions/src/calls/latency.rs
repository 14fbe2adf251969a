//! How long calls of a skill took, from their records.

use super::ms;
use crate::services::Services;
use domain::limits::LATENCY_CALLS;
use events::{AgentId, OrganizationId, SkillId};
use infra::storage::StoreError;
use infra::storage::calls::{CallRecord, Path, Span};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::HashMap;

/// Of those of the agent's latest calls that asked the database. Milliseconds.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    pub calls: usize,
    /// When the oldest of them began.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// From the request to its answer.
    pub total: Percentiles,
    /// Of these, what the customer's database took, with the wait for a connection.
    pub database: Percentiles,
}

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Percentiles {
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
}

impl Services {
    /// Latencies of an agent's skills: of its latest [`LATENCY_CALLS`] calls.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub async fn latencies(
        &self,
        organization: &OrganizationId,
        agent: &AgentId,
    ) -> Result<HashMap<SkillId, Latency>, StoreError> {
        let store = self.records.store().await;
        let calls = store.calls(organization, agent, Path::All, Span::default(), LATENCY_CALLS).await?;
        let mut by_skill: HashMap<SkillId, Vec<CallRecord>> = HashMap::new();
        // What was refused or repeated before the database was asked says nothing of the skill.
        for call in calls.into_iter().filter(|call| call.database_us > 0) {
            by_skill.entry(call.skill.clone()).or_default().push(call);
        }
        Ok(by_skill.into_iter().map(|(skill, calls)| (skill, Latency::of(&calls))).collect())
    }
}

impl Latency {
    /// Of calls in order of age, newest first; at least one.
    fn of(calls: &[CallRecord]) -> Self {
        Self {
            calls: calls.len(),
            since: calls[calls.len() - 1].at,
            total: Percentiles::of(calls.iter().map(|call| call.total_us).collect()),
            database: Percentiles::of(calls.iter().map(|call| call.database_us).collect()),
        }
    }
}

impl Percentiles {
    /// By nearest rank: each is the time of a call that there was.
    fn of(mut times: Vec<u64>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| ms(times[(times.len() * percent).div_ceil(100).max(1) - 1]);
        Self { p50_ms: at(50), p95_ms: at(95), p99_ms: at(99) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_there_were() {
        let of = |p50_ms, p95_ms, p99_ms| Percentiles { p50_ms, p95_ms, p99_ms };
        assert_eq!(Percentiles::of(vec![7000]), of(7.0, 7.0, 7.0));
        assert_eq!(Percentiles::of((1..=100).rev().map(|ms| ms * 1000).collect()), of(50.0, 95.0, 99.0));
        assert_eq!(Percentiles::of(vec![1500, 500]), of(0.5, 1.5, 1.5));
    }
}
