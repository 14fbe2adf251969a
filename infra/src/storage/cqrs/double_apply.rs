//! Why cqrs-es's own stores are not used: with snapshots, 0.5.0 applies events twice.

use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{
    PersistedEventRepository, PersistedEventStore, PersistenceError, ReplayStream, SerializedEvent,
    SerializedSnapshot,
};
use cqrs_es::{Aggregate, CqrsFramework, DomainEvent, EventStore};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Counted;

impl DomainEvent for Counted {
    fn event_type(&self) -> String {
        "Counted".to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

/// Counts the events that were applied to it.
#[derive(Default, Serialize, Deserialize)]
struct Count(usize);

impl Aggregate for Count {
    const TYPE: &'static str = "count";
    type Command = usize;
    type Event = Counted;
    type Error = Infallible;
    type Services = ();

    async fn handle(&mut self, events: usize, (): &(), sink: &EventSink<Self>) -> Result<(), Infallible> {
        for _ in 0..events {
            sink.write(Counted, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, _: Counted) {
        self.0 += 1;
    }
}

#[derive(Default)]
struct Kept {
    events: Vec<SerializedEvent>,
    snapshot: Option<(Value, usize, usize)>,
}

#[derive(Clone, Default)]
struct InMemory(Arc<Mutex<Kept>>);

impl PersistedEventRepository for InMemory {
    async fn get_events<A: Aggregate>(&self, _: &str) -> Result<Vec<SerializedEvent>, PersistenceError> {
        Ok(self.0.lock().expect("kept").events.clone())
    }

    async fn get_last_events<A: Aggregate>(
        &self,
        _: &str,
        last: usize,
    ) -> Result<Vec<SerializedEvent>, PersistenceError> {
        let kept = self.0.lock().expect("kept");
        Ok(kept.events.iter().filter(|event| event.sequence > last).cloned().collect())
    }

    async fn get_snapshot<A: Aggregate>(
        &self,
        id: &str,
    ) -> Result<Option<SerializedSnapshot>, PersistenceError> {
        let kept = self.0.lock().expect("kept");
        Ok(kept.snapshot.clone().map(|(aggregate, current_sequence, current_snapshot)| SerializedSnapshot {
            aggregate_id: id.to_owned(),
            aggregate,
            current_sequence,
            current_snapshot,
        }))
    }

    async fn persist<A: Aggregate>(
        &self,
        events: &[SerializedEvent],
        snapshot: Option<(String, Value, usize)>,
    ) -> Result<(), PersistenceError> {
        let mut kept = self.0.lock().expect("kept");
        kept.events.extend_from_slice(events);
        let last = kept.events.len();
        if let Some((_, aggregate, number)) = snapshot {
            kept.snapshot = Some((aggregate, last, number));
        }
        Ok(())
    }

    async fn stream_events<A: Aggregate>(&self, _: &str) -> Result<ReplayStream, PersistenceError> {
        Ok(ReplayStream::new(1).1)
    }

    async fn stream_all_events<A: Aggregate>(&self) -> Result<ReplayStream, PersistenceError> {
        Ok(ReplayStream::new(1).1)
    }
}

type Store = PersistedEventStore<InMemory, Count>;

/// Commits 13 events, two at a time, and loads what the store makes of them.
async fn thirteen_events(store: impl Fn(InMemory) -> Store) -> usize {
    let kept = InMemory::default();
    let framework = CqrsFramework::new(store(kept.clone()), Vec::new(), ());
    for events in [2, 2, 2, 2, 2, 2, 1] {
        framework.execute("a", events).await.expect("is taken");
    }
    store(kept).load_aggregate("a").await.expect("loads").aggregate.0
}

/// When this fails, a release of cqrs-es has mended its stores: read its change log and the notes on why ours is
/// used, and then change the numbers.
#[tokio::test]
async fn stores_with_snapshots_still_apply_events_twice() {
    assert_eq!(thirteen_events(Store::new_event_store).await, 13);
    assert_eq!(thirteen_events(|kept| Store::new_snapshot_store(kept, 4)).await, 19);
    assert_eq!(thirteen_events(Store::new_aggregate_store).await, 26);
}
