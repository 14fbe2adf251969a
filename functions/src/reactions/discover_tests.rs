use super::*;
use crate::config::Config;
use crate::integrations::discoveries::{Ending, Outcome};
use crate::start::embedded::Embedded;
use async_trait::async_trait;
use events::{Actor, ActorKind, CommandId, RequestId};
use infra::storage::StoreError;
use serde_json::Value;
use std::sync::Mutex;
use tempfile::TempDir;

#[test]
fn a_record_of_a_job_names_it_and_the_pointer_beside_it_names_none() {
    let event = serde_json::from_str(include_str!("samples/discoveries.json")).unwrap();
    let records = records::batch(&event).expect("a batch of a stream");
    let asked: Vec<_> = records.iter().map(asked).collect();
    let job = (OrganizationId::from("default"), IntegrationKind::Postgres, "dsc_6TdAQGLkVxE2hr9c0Wfn");
    assert_eq!(asked, [Some(job), None]);
}

/// Knows one job, and remembers what its worker told of it.
struct OneJob {
    is_given_up: bool,
    ended: Mutex<Vec<Value>>,
}

#[async_trait]
impl DiscoveryStore for OneJob {
    async fn join_or_start(&self, _: DiscoveryJob) -> Result<DiscoveryJob, StoreError> {
        unreachable!("a worker asks for no discovery")
    }

    async fn get(
        &self,
        _: &OrganizationId,
        _: IntegrationKind,
        _: &str,
    ) -> Result<Option<DiscoveryJob>, StoreError> {
        unreachable!("a worker runs what nobody waits for any more, too")
    }

    async fn to_run(
        &self,
        _: &OrganizationId,
        _: IntegrationKind,
        _: &str,
    ) -> Result<Option<DiscoveryJob>, StoreError> {
        Ok(Some(job()))
    }

    async fn advance(&self, _: &DiscoveryJob, _: u64) -> Result<bool, StoreError> {
        Ok(!self.is_given_up)
    }

    async fn end(&self, _: &DiscoveryJob, answer: Value) -> Result<(), StoreError> {
        self.ended.lock().unwrap().push(answer);
        Ok(())
    }
}

fn job() -> DiscoveryJob {
    DiscoveryJob {
        id: "dsc_1".to_owned(),
        organization: OrganizationId::from("default"),
        kind: IntegrationKind::Postgres,
        credential_version: 1,
        command_id: CommandId::from("cmd_1"),
        actor: Actor { kind: ActorKind::Operator, id: "test".to_owned() },
        request_id: RequestId::from("req_1"),
        requested_at: crate::clock::now(),
        progress: DiscoveryProgress::Running { tables: 0 },
    }
}

async fn services() -> (Arc<Services>, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = Config::from_lookup(|_| None, "http://127.0.0.1").expect("defaults are valid");
    let embedded = Embedded::open(folder.path()).await.expect("a data folder");
    (embedded.services(config).await.expect("nothing to settle"), folder)
}

#[tokio::test]
async fn a_job_that_cannot_be_done_ends_with_the_problem() {
    let (services, _folder) = services().await;
    let store = OneJob { is_given_up: false, ended: Mutex::default() };
    // Nothing was ever connected, so there are no credentials to open.
    assert_eq!(carry_out(&services, &store, &job()).await, Ok(true));
    let ended = store.ended.into_inner().unwrap();
    let endings: Vec<Ending> =
        ended.into_iter().map(|answer| serde_json::from_value(answer).expect("an ending")).collect();
    let [Ending { tables: 0, outcome: Outcome::Failed { code, .. } }] = endings.as_slice() else {
        panic!("{endings:?}");
    };
    assert_eq!(code, "service_unavailable");
}

#[tokio::test]
async fn who_comes_too_late_neither_runs_the_job_nor_ends_it() {
    let (services, _folder) = services().await;
    let given_up = OneJob { is_given_up: true, ended: Mutex::default() };
    assert_eq!(carry_out(&services, &given_up, &job()).await, Ok(false));
    let answer =
        Ending { tables: 1, outcome: Outcome::Failed { code: String::new(), detail: String::new() } };
    let ended = DiscoveryJob { progress: DiscoveryProgress::Ended { answer: answer.to_json() }, ..job() };
    let alive = OneJob { is_given_up: false, ended: Mutex::default() };
    assert_eq!(carry_out(&services, &alive, &ended).await, Ok(false));
    for store in [given_up, alive] {
        assert!(store.ended.into_inner().unwrap().is_empty());
    }
}
