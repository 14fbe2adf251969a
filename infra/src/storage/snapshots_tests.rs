use super::*;
use async_trait::async_trait;
use domain::catalog::{ObjectKind, Privileges};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

#[derive(Default)]
struct InMemory(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    bytes: BTreeMap<(String, String), Vec<u8>>,
    /// In the order they were put.
    addresses: Vec<String>,
    reads: usize,
}

impl InMemory {
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().expect("kept")
    }
}

#[async_trait]
impl Artefacts for InMemory {
    async fn put(&self, organization: &OrganizationId, bytes: &[u8]) -> Result<String, StoreError> {
        let address = hex::encode(Sha256::digest(bytes));
        let mut kept = self.kept();
        kept.bytes.insert((organization.to_string(), address.clone()), bytes.to_vec());
        kept.addresses.push(address.clone());
        Ok(address)
    }

    async fn get(&self, organization: &OrganizationId, address: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut kept = self.kept();
        kept.reads += 1;
        Ok(kept.bytes.get(&(organization.to_string(), address.to_owned())).cloned())
    }
}

fn catalog(objects: usize) -> Arc<Catalog> {
    let object = |at: usize| Object {
        name: format!("t{at:05}"),
        schema: "public".to_owned(),
        table: format!("t{at:05}"),
        kind: ObjectKind::Table,
        comment: Some("Ärzte".to_owned()),
        row_estimate: Some(at as u64),
        fields: Vec::new(),
        primary_key: Vec::new(),
        unique_keys: Vec::new(),
        indexes: Vec::new(),
        relationships: Vec::new(),
        triggers: Vec::new(),
        keeps_all_writes: false,
        privileges: Privileges { select: true, insert: false, update: false },
    };
    Arc::new(Catalog {
        kind: IntegrationKind::Mysql,
        default_schema: "clinic".to_owned(),
        objects: (0..objects).map(object).collect(),
    })
}

fn acme() -> OrganizationId {
    OrganizationId::from("acme")
}

#[tokio::test]
async fn a_catalog_comes_back_as_it_was_at_every_size_around_a_chunk() {
    let artefacts = Arc::new(InMemory::default());
    for objects in [0, 1, 63, 64, 65, 128, 1000] {
        let catalog = catalog(objects);
        let root = Snapshots::new(artefacts.clone()).store(&acme(), catalog.clone()).await.expect("stores");
        let loaded = Snapshots::new(artefacts.clone()).load(&acme(), &root).await.expect("loads");
        assert_eq!(loaded, catalog, "{objects} objects");
    }
}

#[tokio::test]
async fn the_manifest_comes_last_and_equal_chunks_are_stored_once() {
    let artefacts = Arc::new(InMemory::default());
    let snapshots = Snapshots::new(artefacts.clone());
    let before = catalog(640);
    let first = snapshots.store(&acme(), before.clone()).await.expect("stores");
    assert_eq!(artefacts.kept().addresses.last(), Some(&first));
    assert_eq!(artefacts.kept().bytes.len(), 11);

    let mut after = Catalog::clone(&before);
    after.objects[100].comment = None;
    let second = snapshots.store(&acme(), Arc::new(after)).await.expect("stores");
    assert_ne!(first, second);
    assert_eq!(artefacts.kept().bytes.len(), 13, "one chunk and one manifest more");
}

#[tokio::test]
async fn a_catalog_in_memory_is_not_read_again_and_belongs_to_its_organization() {
    let artefacts = Arc::new(InMemory::default());
    let snapshots = Snapshots::new(artefacts.clone());
    let root = snapshots.store(&acme(), catalog(70)).await.expect("stores");
    for _ in 0..3 {
        snapshots.load(&acme(), &root).await.expect("loads");
    }
    assert_eq!(artefacts.kept().reads, 0);
    let refused = snapshots.load(&"other".into(), &root).await;
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_missing_chunk_is_an_error_and_not_a_smaller_schema() {
    let artefacts = Arc::new(InMemory::default());
    let root = Snapshots::new(artefacts.clone()).store(&acme(), catalog(200)).await.expect("stores");
    let chunk = artefacts.kept().addresses[1].clone();
    artefacts.kept().bytes.remove(&("acme".to_owned(), chunk));
    let refused = Snapshots::new(artefacts).load(&acme(), &root).await;
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
}

#[test]
fn the_cache_is_bounded_and_keeps_what_was_used_last() {
    let snapshots = Snapshots::new(Arc::new(InMemory::default()));
    let root = |at: usize| format!("root {at}");
    let weight = CACHED_FIELDS / 4;
    for at in 0..8 {
        snapshots.remember(&acme(), &root(at), catalog(1));
        // Weights as if the catalogs were large.
        snapshots.cached.lock().expect("cached")[0].fields = weight;
    }
    assert!(snapshots.recall(&acme(), &root(0)).is_none());
    assert!(snapshots.recall(&acme(), &root(4)).is_some());
    snapshots.remember(&acme(), &root(8), catalog(1));
    assert!(snapshots.recall(&acme(), &root(4)).is_some(), "it was used");
    snapshots.cached.lock().expect("cached")[0].fields = CACHED_FIELDS * 2;
    snapshots.remember(&acme(), &root(9), catalog(1));
    assert!(snapshots.recall(&acme(), &root(9)).is_some());
    assert!(snapshots.recall(&acme(), &root(4)).is_none(), "too large beside another");
}
