//! Whatever is asked of AWS ends in time when AWS takes the connection and says nothing.

use crate::emulators::{MARGIN, impatient_sdk_config};
use crate::sealing::kms::{KmsKeys, KmsSealer};
use crate::sealing::{Purpose, SealContext, SealError, Sealed, Sealer};
use crate::service_keys::{self, ServiceKeysError};
use crate::storage::conformance::{acme, agent, commit, noon};
use crate::storage::dynamodb::DynamoStore;
use crate::storage::dynamodb::reencrypt::{ReencryptError, reencrypt};
use crate::storage::dynamodb::tables::Names;
use crate::storage::{
    AnswerSlot, AnswerState, AnswerStore, AppendError, Artefacts, CredentialStore, DiscoveryJob,
    DiscoveryProgress, DiscoveryStore, EventLog, Settlement, StoreError, Voided,
};
use domain::limits::{ARTEFACT_INLINE_BYTES, AWS_OPERATION_TIMEOUT};
use events::{Actor, ActorKind, IntegrationKind, Seq};
use futures_util::future::{BoxFuture, FutureExt, join_all};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// Accepts every connection and never says a word.
async fn black_hole() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            held.push(socket);
        }
    });
    url
}

/// An error that says: try again later.
trait Unavailable {
    fn is_unavailable(&self) -> bool;
}

impl Unavailable for StoreError {
    fn is_unavailable(&self) -> bool {
        matches!(self, StoreError::Unavailable(_))
    }
}

impl Unavailable for AppendError {
    fn is_unavailable(&self) -> bool {
        matches!(self, AppendError::Store(StoreError::Unavailable(_)))
    }
}

impl Unavailable for SealError {
    fn is_unavailable(&self) -> bool {
        *self == SealError::Unavailable
    }
}

impl Unavailable for ReencryptError {
    fn is_unavailable(&self) -> bool {
        match self {
            ReencryptError::Store(error) => error.is_unavailable(),
            ReencryptError::Seal(error) => error.is_unavailable(),
        }
    }
}

impl Unavailable for ServiceKeysError {
    fn is_unavailable(&self) -> bool {
        matches!(self, ServiceKeysError::Unavailable { .. })
    }
}

type Asked<'a> = BoxFuture<'a, (&'static str, Duration, bool)>;

fn ask<'a, T: 'a, E: Unavailable + 'a>(
    name: &'static str,
    operation: impl Future<Output = Result<T, E>> + Send + 'a,
) -> Asked<'a> {
    async move {
        let since = Instant::now();
        let unavailable = operation.await.err().is_some_and(|error| error.is_unavailable());
        (name, since.elapsed(), unavailable)
    }
    .boxed()
}

async fn all_end(asked: Vec<Asked<'_>>) {
    for (name, took, unavailable) in join_all(asked).await {
        assert!(unavailable, "{name} did not end as unavailable");
        assert!(took <= AWS_OPERATION_TIMEOUT + MARGIN, "{name} took {took:?}");
    }
}

fn sealed() -> Sealed {
    Sealed { wrapped_key: vec![1; 100], body: vec![2; 100] }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_ends_in_time() {
    let config = impatient_sdk_config(&black_hole().await).await;
    let log: &dyn EventLog =
        &*DynamoStore::open(&config, Names { prefix: "t".to_owned(), bucket: "t".to_owned() });
    let acme = &acme();
    all_end(vec![
        ask("append", log.append(commit(acme, "one", vec![agent("a", "A")]))),
        ask("committed", async { log.committed(acme, &"one".into()).await }),
        ask("read", log.read(acme, Seq(0), 10)),
        ask("head", log.head(acme)),
        ask("state", log.state(acme)),
        ask("verify", log.verify(acme)),
        ask("organizations", log.organizations()),
        ask("organization_of_key", async { log.organization_of_key(&"key".into()).await }),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_beside_the_log_ends_in_time() {
    let config = impatient_sdk_config(&black_hole().await).await;
    let store = &*DynamoStore::open(&config, Names { prefix: "t".to_owned(), bucket: "t".to_owned() });
    let (acme, kind, sealed) = (&acme(), IntegrationKind::Postgres, &sealed());
    let slots = &[AnswerSlot { organization: acme.clone(), key: "a".to_owned(), body_hash: "b".to_owned() }];
    let answers = &[(slots[0].clone(), sealed.clone())];
    let voided = &Voided { organization: acme.clone(), prefix: "a".to_owned(), except: "a".to_owned() };
    let job = &DiscoveryJob {
        id: "a".to_owned(),
        organization: acme.clone(),
        kind,
        credential_version: 1,
        command_id: "one".into(),
        actor: Actor { kind: ActorKind::Key, id: "k".to_owned() },
        request_id: "r".into(),
        requested_at: noon(),
        progress: DiscoveryProgress::Running { tables: 0 },
    };
    let (small, large) = (&vec![0; 1], &vec![0; ARTEFACT_INLINE_BYTES + 1]);
    all_end(vec![
        ask("put a small artefact", Artefacts::put(store, acme, small)),
        ask("put a large artefact", Artefacts::put(store, acme, large)),
        ask("get an artefact", Artefacts::get(store, acme, "address")),
        ask("put credentials", CredentialStore::put(store, acme, kind, 1, sealed)),
        ask("get credentials", CredentialStore::get(store, acme, kind, 1)),
        ask("shred credentials", store.shred(acme, kind, 1)),
        ask("peek", store.peek(slots, noon())),
        ask("begin", store.begin(slots, noon())),
        ask("finish", store.finish(answers, AnswerState::Done, None)),
        ask("finish and void", store.finish(answers, AnswerState::Done, Some(voided))),
        ask("mark", store.mark(slots, sealed)),
        ask("settle", store.settle(slots, sealed, Settlement::Nothing)),
        ask("release", store.release(slots)),
        ask("abandoned", store.abandoned()),
        ask("expire", store.expire(noon())),
        ask("join_or_start", store.join_or_start(job.clone())),
        ask("get a discovery", DiscoveryStore::get(store, acme, kind, "a")),
        ask("advance", store.advance(job, 1)),
        ask("end", store.end(job, serde_json::Value::Null)),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sealing_and_the_services_own_keys_end_in_time() {
    let config = &impatient_sdk_config(&black_hole().await).await;
    let keys = KmsKeys { credentials: "one".to_owned(), answers: "two".to_owned() };
    let sealer = &KmsSealer::new(config, keys);
    let store = &*DynamoStore::open(config, Names { prefix: "t".to_owned(), bucket: "t".to_owned() });
    let credentials = &SealContext::credentials(&acme(), IntegrationKind::Postgres, 1);
    let answer = &SealContext { purpose: Purpose::IdempotentAnswer, ..credentials.clone() };
    let sealed = &sealed();
    all_end(vec![
        ask("seal credentials", sealer.seal(credentials, b"x")),
        ask("open credentials", sealer.open(credentials, sealed)),
        ask("prepare an answer", sealer.prepare(answer)),
        ask("seal an answer", sealer.seal(answer, b"x")),
        ask("open an answer", sealer.open(answer, sealed)),
        ask("rewrap", sealer.rewrap(credentials, &sealed.wrapped_key)),
        ask("wraps_under", sealer.wraps_under()),
        ask("reencrypt", reencrypt(store, sealer)),
        ask("load the service's keys", service_keys::load(config, "bindery")),
    ])
    .await;
}
