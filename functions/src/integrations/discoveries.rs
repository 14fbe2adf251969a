//! Discoveries outlive the request that asked for them. The port: where they run, and who knows of them, is another
//! thing on one machine than on AWS.

pub mod in_process;
pub mod run;
pub mod shared;

use crate::problem::{Code, Problem};
use crate::services::Services;
use async_trait::async_trait;
use events::{IntegrationKind, OrganizationId, Seq};
use infra::storage::{DiscoveryJob, DiscoveryProgress};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

#[async_trait]
pub trait Discoveries: Send + Sync {
    /// Joins the discovery that reads the same connection already, or has this one run.
    ///
    /// # Errors
    /// 503 when as many run as may, or when the store is down.
    async fn start_or_join(
        &self,
        services: &Arc<Services>,
        job: DiscoveryJob,
    ) -> Result<DiscoveryJob, Problem>;

    /// The job as it is when it ended, or when `patience` is over.
    async fn wait(&self, job: DiscoveryJob, patience: Duration) -> Result<DiscoveryJob, Problem>;

    /// None for another organization's discovery as for one that never was.
    async fn look(
        &self,
        organization: &OrganizationId,
        kind: IntegrationKind,
        id: &str,
    ) -> Result<Option<DiscoveryJob>, Problem>;
}

/// The end of a discovery, as it is kept with its job: polling and waiting give the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ending {
    /// Tables that were read.
    pub tables: u64,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    Finished { data: Value, position: Seq },
    Failed { code: String, detail: String },
}

impl Outcome {
    pub fn failed(problem: &Problem) -> Self {
        Self::Failed { code: problem.code.as_str().to_owned(), detail: problem.detail.clone() }
    }
}

impl Ending {
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("endings are JSON")
    }

    /// The ending of a job, None while it runs.
    ///
    /// # Errors
    /// 500 when it is not one that this release wrote.
    pub fn of(job: &DiscoveryJob) -> Result<Option<Self>, Problem> {
        match &job.progress {
            DiscoveryProgress::Running { .. } => Ok(None),
            DiscoveryProgress::Ended { answer } => {
                let ending = serde_json::from_value(answer.clone()).map_err(|error| {
                    tracing::error!(%error, id = job.id, "a discovery's answer cannot be read");
                    Problem::internal()
                });
                ending.map(Some)
            }
        }
    }

    /// What was found, and the position of its commit.
    ///
    /// # Errors
    /// The problem that it failed with.
    pub fn into_result(self) -> Result<(Value, Seq), Problem> {
        match self.outcome {
            Outcome::Finished { data, position } => Ok((data, position)),
            Outcome::Failed { code, detail } => Err(match Code::parse(&code) {
                Some(Code::ServiceUnavailable) => Problem::unavailable(detail),
                Some(code) => Problem::new(code, detail),
                None => Problem::internal(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header;

    #[test]
    fn a_kept_problem_is_the_problem_that_was_met() {
        let met = Problem::unavailable("the key service cannot be used right now");
        let kept = Ending { tables: 7, outcome: Outcome::failed(&met) }.to_json();
        let told: Ending = serde_json::from_value(kept).expect("it was kept as JSON");
        let problem = told.into_result().expect_err("it failed");
        assert_eq!((problem.code, &problem.detail), (met.code, &met.detail));
        assert!(problem.headers.iter().any(|(name, _)| name == header::RETRY_AFTER));
    }

    #[test]
    fn a_kept_result_keeps_its_position() {
        let data = serde_json::json!({ "objectCount": 3 });
        let ending = Ending { tables: 3, outcome: Outcome::Finished { data, position: Seq(9) } };
        let told: Ending = serde_json::from_value(ending.to_json()).expect("it was kept as JSON");
        assert_eq!(told, ending);
    }
}
