//! What keeping states of the past costs, and what it saves a process that has nothing in memory.

use async_trait::async_trait;
use events::{OrganizationId, Seq};
use infra::storage::past::Past;
use infra::storage::sqlite::SqliteStore;
use infra::storage::{EventLog, PastStates, StoreError};
use std::sync::Arc;
use std::time::Instant;
use zeroize::Zeroizing;

/// Keeps nothing.
struct Nothing;

#[async_trait]
impl PastStates for Nothing {
    async fn nearest_state(&self, _: &OrganizationId, _: Seq) -> Result<Option<Seq>, StoreError> {
        Ok(None)
    }

    async fn kept_state(&self, _: &OrganizationId, _: Seq) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    async fn keep_state(&self, _: &OrganizationId, _: Seq, _: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }
}

pub async fn measure(store: &Arc<SqliteStore>, organization: &OrganizationId) {
    let head = store.head(organization).await.expect("a head");
    let process = |kept: Arc<dyn PastStates>| Past::new(store.clone(), kept, Zeroizing::new([7; 32]));
    let without = seconds(process(Arc::new(Nothing)).state(organization, head)).await;
    println!("{organization}: the whole log folded, states packed and not kept   {without:.2} s");
    let keeping = seconds(process(store.clone()).state(organization, head)).await;
    println!("{organization}: the whole log folded, states kept                  {keeping:.2} s");
    let (mut states, mut bytes, mut largest) = (0, 0, 0);
    let mut through = head;
    while let Some(at) = store.nearest_state(organization, through).await.expect("reads") {
        let size = store.kept_state(organization, at).await.expect("reads").map_or(0, |state| state.len());
        (states, bytes, largest) = (states + 1, bytes + size, largest.max(size));
        through = Seq(at.0 - 1);
    }
    println!(
        "{organization}: {states} states kept, {:.1} MB together, the largest {:.0} KB",
        bytes as f64 / 1e6,
        largest as f64 / 1e3
    );
    let cold = seconds(process(store.clone()).state(organization, head)).await;
    println!("{organization}: the state at the head, nothing in memory           {:.0} ms", cold * 1e3);
}

async fn seconds<T>(what: impl Future<Output = Result<T, StoreError>>) -> f64 {
    let began = Instant::now();
    what.await.expect("the log can be read");
    began.elapsed().as_secs_f64()
}
