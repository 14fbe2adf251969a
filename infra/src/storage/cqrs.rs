//! cqrs-es over our log: its `Aggregate` shape around a decision of `domain`, its `EventStore` around an append. For
//! its given / when / then, and to notice when an upstream release mends what keeps us from its stores.

mod double_apply;

use super::conformance::acme;
use super::sqlite::SqliteStore;
use super::{AppendError, Commit, EventLog, Expects};
use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::EventStoreAggregateContext;
use cqrs_es::test::TestFramework;
use cqrs_es::{Aggregate, AggregateError, CqrsFramework, DomainEvent, EventEnvelope, EventStore};
use domain::organization::Decision;
use domain::{Organization, key};
use events::key::{KeyMinted, KeyRevoked};
use events::{Actor, ActorKind, Event, KeyId, Recorded, RequestId, Seq, Subject, SubjectKind};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Happened(Event);

impl DomainEvent for Happened {
    fn event_type(&self) -> String {
        self.0.name().to_owned()
    }

    fn event_version(&self) -> String {
        self.0.version().to_string()
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

/// One key's stream. The decision folds it, for the fold is an organization's.
#[derive(Default, Serialize, Deserialize)]
struct KeyStream(Vec<Happened>);

enum Command {
    Mint(KeyMinted),
    Revoke(KeyId),
}

impl KeyStream {
    fn organization(&self) -> Organization {
        let mut organization = Organization::empty(acme());
        for (at, Happened(event)) in self.0.iter().enumerate() {
            organization.apply(&recorded(at as u64 + 1, event.clone()));
        }
        organization
    }
}

impl Aggregate for KeyStream {
    const TYPE: &'static str = "key";
    type Command = Command;
    type Event = Happened;
    type Error = Refused;
    type Services = ();

    async fn handle(&mut self, command: Command, (): &(), sink: &EventSink<Self>) -> Result<(), Refused> {
        let Decision { events, .. } = match command {
            Command::Mint(minted) => key::mint(&self.organization(), minted, jiff::Timestamp::UNIX_EPOCH)
                .map_err(|refusal| Refused(format!("{refusal:?}")))?,
            Command::Revoke(id) => {
                key::revoke(&self.organization(), &id).map_err(|refusal| Refused(format!("{refusal:?}")))?
            }
        };
        for (_, event) in events {
            sink.write(Happened(event), self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Happened) {
        self.0.push(event);
    }
}

/// The log as cqrs-es sees it: an aggregate's sequence is the `seq` of its last event.
struct LogStore(Arc<SqliteStore>);

impl LogStore {
    async fn stream(&self, id: &str) -> Vec<Recorded> {
        let mut events = self.0.read(&acme(), Seq(0), usize::MAX).await.expect("reads");
        events.retain(|event| event.subject == Subject::new(SubjectKind::Key, id));
        events
    }
}

impl EventStore<KeyStream> for LogStore {
    type AC = EventStoreAggregateContext<KeyStream>;

    async fn load_events(&self, id: &str) -> Result<Vec<EventEnvelope<KeyStream>>, AggregateError<Refused>> {
        Ok(self.stream(id).await.into_iter().map(|event| envelope(id, event)).collect())
    }

    async fn load_aggregate(&self, id: &str) -> Result<Self::AC, AggregateError<Refused>> {
        let events = self.stream(id).await;
        Ok(EventStoreAggregateContext {
            aggregate_id: id.to_owned(),
            current_sequence: events.last().map_or(0, |event| event.seq.0 as usize),
            aggregate: KeyStream(events.into_iter().map(|event| Happened(event.event)).collect()),
            current_snapshot: None,
        })
    }

    async fn commit(
        &self,
        events: Vec<Happened>,
        context: Self::AC,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<KeyStream>>, AggregateError<Refused>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let subject = Subject::new(SubjectKind::Key, &context.aggregate_id);
        let expects = Expects::Streams(vec![(subject.clone(), Seq(context.current_sequence as u64))]);
        let events = events.into_iter().map(|Happened(event)| (subject.clone(), event)).collect();
        let command = metadata.get("commandId").map_or("", String::as_str);
        let commit = Commit { expects, ..super::conformance::commit(&acme(), command, events) };
        match self.0.append(commit).await {
            Ok(committed) => {
                Ok(committed.events.into_iter().map(|event| envelope(&context.aggregate_id, event)).collect())
            }
            Err(AppendError::StreamMoved { .. } | AppendError::HeadMoved { .. }) => {
                Err(AggregateError::AggregateConflict)
            }
            Err(error @ (AppendError::BadSize { .. } | AppendError::Store(_))) => {
                Err(AggregateError::UnexpectedError(Box::new(error)))
            }
        }
    }
}

fn envelope(id: &str, event: Recorded) -> EventEnvelope<KeyStream> {
    EventEnvelope {
        aggregate_id: id.to_owned(),
        sequence: event.seq.0 as usize,
        payload: Happened(event.event),
        metadata: HashMap::new(),
    }
}

fn recorded(seq: u64, event: Event) -> Recorded {
    Recorded {
        organization: acme(),
        seq: Seq(seq),
        id: "evt_1".into(),
        subject: Subject::new(SubjectKind::Key, "a"),
        actor: Actor { kind: ActorKind::Operator, id: "console".to_owned() },
        request_id: RequestId::from("req_1"),
        cause: None,
        recorded_at: super::conformance::noon(),
        event,
        prev_hash: [0; 32],
        hash: [0; 32],
    }
}

fn minted(id: &str) -> KeyMinted {
    match super::conformance::key(id).1 {
        Event::KeyMinted(minted) => *minted,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_decision_is_tested_as_given_when_then() {
    let mint = Happened(minted("a").into());
    let revoked = Happened(KeyRevoked {}.into());
    let keys = || TestFramework::<KeyStream>::with(());
    keys().given_no_previous_events().when(Command::Mint(minted("a"))).then_expect_events(vec![mint.clone()]);
    keys()
        .given(vec![mint.clone()])
        .when(Command::Revoke("a".into()))
        .then_expect_events(vec![revoked.clone()]);
    keys().given(vec![mint, revoked]).when(Command::Revoke("a".into())).then_expect_events(vec![]);
    let refused = keys().given_no_previous_events().when(Command::Revoke("a".into())).inspect_result();
    assert!(refused.is_err());
}

#[tokio::test]
async fn commands_of_one_aggregate_run_through_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = SqliteStore::open(folder.path()).await.expect("opens");
    let framework = CqrsFramework::new(LogStore(log.clone()), Vec::new(), ());
    let command = |id: &str| HashMap::from([("commandId".to_owned(), id.to_owned())]);
    framework.execute_with_metadata("a", Command::Mint(minted("a")), command("one")).await.expect("mints");
    for id in ["two", "three"] {
        framework
            .execute_with_metadata("a", Command::Revoke("a".into()), command(id))
            .await
            .expect("revokes");
    }
    assert_eq!(log.head(&acme()).await, Ok(Seq(2)), "what is already true yields no event");

    // Decided on a stream that has moved since.
    let store = LogStore(log);
    let mut stale = store.load_aggregate("a").await.expect("loads");
    stale.current_sequence = 1;
    let refused = store.commit(vec![Happened(KeyRevoked {}.into())], stale, command("four")).await;
    assert!(matches!(refused, Err(AggregateError::AggregateConflict)));
}
