use super::*;
use crate::clock;
use crate::start::embedded::Embedded;
use events::agent::AgentCreated;
use events::{Actor, ActorKind, Event, RequestId, Subject, SubjectKind, SubscriptionId};
use infra::assistants::key::Key;
use infra::assistants::openai::OpenAi;
use infra::storage::Expects;
use infra::storage::calls::{Ended, Path, Resolution, Span};
use infra::storage::deliveries::{Attempt, Cursor};
use std::future::Future;
use std::pin::Pin;
use tempfile::TempDir;

type Used = Pin<Box<dyn Future<Output = ()> + Send>>;
/// What is done, what that takes, and the doing.
type Use = (&'static str, &'static [Grant], fn(Ports) -> Used);

const KIND: IntegrationKind = IntegrationKind::Postgres;

fn organization() -> OrganizationId {
    OrganizationId::from("default")
}

fn credentials() -> SealContext {
    SealContext::credentials(&organization(), KIND, 1)
}

fn answer() -> SealContext {
    SealContext { purpose: Purpose::IdempotentAnswer, ..credentials() }
}

fn sealed() -> Sealed {
    Sealed { wrapped_key: vec![1], body: vec![2] }
}

fn slot() -> AnswerSlot {
    AnswerSlot { organization: organization(), key: "http:a".to_owned(), body_hash: "b".to_owned() }
}

fn hook() -> SubscriptionId {
    SubscriptionId::from("sub_1")
}

fn attempt() -> Attempt {
    Attempt {
        id: "dlv_1".to_owned(),
        seq: Seq(1),
        event_id: "evt_1".into(),
        event_type: "AgentCreated".to_owned(),
        number: 1,
        at: clock::now(),
        duration_ms: 1,
        status: None,
        failure: None,
    }
}

const LONG: Duration = Duration::from_secs(60);

fn resolution() -> Resolution {
    Resolution { result: Ended::Committed, at: clock::now(), by: None, note: None }
}

fn commit() -> Commit {
    let subject = Subject { kind: SubjectKind::Agent, id: "agt_1".to_owned() };
    let created = AgentCreated { name: "a".to_owned(), description: None };
    Commit {
        organization: organization(),
        command_id: CommandId::from("cmd_1"),
        actor: Actor { kind: ActorKind::Operator, id: "test".to_owned() },
        request_id: RequestId::from("req_1"),
        cause: None,
        now: clock::now(),
        expects: Expects::Streams(vec![(subject.clone(), Seq(0))]),
        events: vec![(subject, Event::AgentCreated(created.into()))],
    }
}

/// What comes of it is another question.
macro_rules! using {
    ($ports:ident, $used:expr) => {
        |$ports| {
            Box::pin(async move {
                let _ = $used.await;
            })
        }
    };
}

/// Every use of a port that not everybody has.
const USES: &[Use] = &[
    ("append", &[Grant::Append], using!(ports, ports.log.append(commit()))),
    ("organizations", &[Grant::SeeAllOrganizations], using!(ports, ports.log.organizations())),
    ("keep a state", &[Grant::KeepPast], using!(ports, ports.past.keep_state(&organization(), Seq(1), b"a"))),
    ("find a state", &[Grant::KeepPast], using!(ports, ports.past.nearest_state(&organization(), Seq(1)))),
    ("read a state", &[Grant::KeepPast], using!(ports, ports.past.kept_state(&organization(), Seq(1)))),
    ("put an artefact", &[Grant::WriteArtefacts], using!(ports, ports.artefacts.put(&organization(), b"a"))),
    ("get an artefact", &[Grant::ReadArtefacts], using!(ports, ports.artefacts.get(&organization(), "a"))),
    (
        "put credentials",
        &[Grant::SealCredentials],
        using!(ports, ports.credentials.put(&organization(), KIND, 1, &sealed())),
    ),
    (
        "get credentials",
        &[Grant::OpenCredentials],
        using!(ports, ports.credentials.get(&organization(), KIND, 1)),
    ),
    (
        "shred credentials",
        &[Grant::ShredCredentials],
        using!(ports, ports.credentials.shred(&organization(), KIND, 1)),
    ),
    ("seal credentials", &[Grant::SealCredentials], using!(ports, ports.sealer.seal(&credentials(), b"a"))),
    (
        "open credentials",
        &[Grant::OpenCredentials],
        using!(ports, ports.sealer.open(&credentials(), &sealed())),
    ),
    ("seal an answer", &[Grant::KeepAnswers], using!(ports, ports.sealer.seal(&answer(), b"a"))),
    ("open an answer", &[Grant::KeepAnswers], using!(ports, ports.sealer.open(&answer(), &sealed()))),
    ("make ready to seal an answer", &[Grant::KeepAnswers], using!(ports, ports.sealer.prepare(&answer()))),
    ("look for an answer", &[Grant::KeepAnswers], using!(ports, ports.answers.peek(&[slot()], clock::now()))),
    ("take a slot", &[Grant::KeepAnswers], using!(ports, ports.answers.begin(&[slot()], clock::now()))),
    (
        "keep an answer",
        &[Grant::KeepAnswers],
        using!(ports, ports.answers.finish(&[(slot(), sealed())], AnswerState::Done, None)),
    ),
    ("mark a write", &[Grant::KeepAnswers], using!(ports, ports.answers.mark(&[slot()], &sealed()))),
    (
        "settle a write",
        &[Grant::KeepAnswers],
        using!(ports, ports.answers.settle(&[slot()], &sealed(), Settlement::Nothing)),
    ),
    ("give a slot back", &[Grant::KeepAnswers], using!(ports, ports.answers.release(&[slot()]))),
    (
        "see what was abandoned",
        &[Grant::KeepAnswers, Grant::SeeAllOrganizations],
        using!(ports, ports.answers.abandoned()),
    ),
    (
        "forget what expired",
        &[Grant::KeepAnswers, Grant::SeeAllOrganizations],
        using!(ports, ports.answers.expire(clock::now())),
    ),
    (
        "see how far a webhook is",
        &[Grant::ReadDeliveries],
        using!(ports, ports.deliveries.cursor(&organization(), &hook())),
    ),
    (
        "list attempts",
        &[Grant::ReadDeliveries],
        using!(ports, ports.deliveries.attempts(&organization(), &hook(), None, 1)),
    ),
    (
        "look at an attempt",
        &[Grant::ReadDeliveries],
        using!(ports, ports.deliveries.attempt(&organization(), &hook(), "dlv_1")),
    ),
    (
        "move a webhook on",
        &[Grant::WriteDeliveries],
        using!(ports, ports.deliveries.advance(&organization(), &hook(), None, &Cursor::default(), None)),
    ),
    (
        "keep an attempt",
        &[Grant::WriteDeliveries],
        using!(ports, ports.deliveries.keep(&organization(), &hook(), &attempt())),
    ),
    (
        "forget a webhook",
        &[Grant::ReadDeliveries, Grant::WriteDeliveries],
        using!(ports, ports.deliveries.forget(&organization(), &hook())),
    ),
    (
        "read records of calls",
        &[Grant::ReadCalls],
        using!(ports, ports.calls.calls(&organization(), &"agt_1".into(), Path::All, Span::default(), 1)),
    ),
    (
        "look at the record of a call",
        &[Grant::ReadCalls],
        using!(ports, ports.calls.call(&organization(), &"agt_1".into(), "cal_1")),
    ),
    (
        "keep records of calls",
        &[Grant::KeepCalls],
        using!(ports, ports.calls.keep_calls(&Arc::default(), LONG)),
    ),
    (
        "say how a write in doubt ended",
        &[Grant::KeepCalls],
        using!(
            ports,
            ports.calls.resolve_call(&organization(), &"agt_1".into(), "cal_1", &resolution(), LONG)
        ),
    ),
    ("read names", &[Grant::ReadNames], using!(ports, ports.directory.names(&organization()))),
    (
        "name a key",
        &[Grant::WriteNames],
        using!(ports, ports.directory.rename(&organization(), &KeyId::from("k1"), Some("a"))),
    ),
    ("sign a checkpoint", &[Grant::SignCheckpoints], using!(ports, ports.signer.sign(b"a"))),
    ("know who signs", &[Grant::SignCheckpoints], using!(ports, ports.signer.public_key())),
    (
        "ask an assistant",
        &[Grant::AskAssistant],
        using!(ports, ports.assistant.expect("there is one").propose(&brief(), Instant::now())),
    ),
    (
        "look at a discovery",
        &[Grant::Discoveries],
        using!(ports, ports.discoveries.look(&organization(), KIND, "dsc_1")),
    ),
];

async fn ports() -> (Ports, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ports = Embedded::open(folder.path()).await.expect("a data folder").ports();
    let assistant = OpenAi::new("http://127.0.0.1:1", "a-model".to_owned(), Key::None).expect("an address");
    (Ports { assistant: Some(Arc::new(assistant)), ..ports }, folder)
}

fn brief() -> Brief {
    Brief { instructions: "", question: String::new(), schema: Value::Null, refused: Vec::new() }
}

#[tokio::test]
async fn a_port_is_open_to_who_was_granted_it_and_to_nobody_else() {
    for (name, needs, used) in USES {
        let (ports, _folder) = ports().await;
        let open = tokio::spawn(used(ports.granted("a-function", needs))).await;
        assert!(open.is_ok(), "{name} with {needs:?}");
        for missing in *needs {
            let others: Vec<Grant> = Grant::ALL.iter().copied().filter(|grant| grant != missing).collect();
            let shut = tokio::spawn(used(ports.granted("a-function", others.leak()))).await;
            assert!(shut.is_err_and(|error| error.is_panic()), "{name} without {missing:?}");
        }
    }
}

#[tokio::test]
async fn everybody_reads_the_log() {
    let (ports, _folder) = ports().await;
    ports.log.append(commit()).await.expect("it is the first");
    let (log, organization) = (ports.granted("a-function", &[]).log, organization());
    assert_eq!(log.head(&organization).await, Ok(Seq(1)));
    assert_eq!(log.state(&organization).await.expect("a state").head, Seq(1));
    assert_eq!(log.read(&organization, Seq(0), 10).await.expect("events").len(), 1);
    assert_eq!(log.verify(&organization).await.expect("verified").first_bad, None);
    assert!(log.committed(&organization, &CommandId::from("cmd_1")).await.expect("an answer").is_some());
}
