//! Discovered schemas beside the log: chunks of objects, compressed and content-addressed, and a manifest whose
//! address is the root. Equal chunks of two discoveries are stored once.

use super::{Artefacts, StoreError};
use domain::catalog::{Catalog, Object};
use events::{IntegrationKind, OrganizationId, Seq};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Objects of one chunk: few enough for a change of one table to be cheap, many enough to compress well.
const CHUNK: usize = 64;
/// Chunks that are read or written at the same time, and share a transaction where the backend can.
const AT_ONCE: usize = 16;
/// zstd's own default: a 19 MB schema takes a tenth of a second and a tenth of its size.
const LEVEL: i32 = 3;
/// Fields of all catalogs that are kept in memory, at about 500 bytes each. The catalog that was used last stays
/// however large it is.
const CACHED_FIELDS: u64 = 500_000;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Manifest {
    kind: IntegrationKind,
    default_schema: String,
    /// Addresses, in order.
    chunks: Vec<String>,
}

pub struct Snapshots {
    artefacts: Arc<dyn Artefacts>,
    cached: Mutex<VecDeque<Cached>>,
}

struct Cached {
    organization: OrganizationId,
    root: String,
    fields: u64,
    catalog: Arc<Catalog>,
}

impl Snapshots {
    pub fn new(artefacts: Arc<dyn Artefacts>) -> Self {
        Self { artefacts, cached: Mutex::default() }
    }

    /// Stores the chunks, then the manifest, and returns the root. To be called before the commit that names it.
    pub async fn store(
        &self,
        organization: &OrganizationId,
        catalog: Arc<Catalog>,
    ) -> Result<String, StoreError> {
        let packing = catalog.clone();
        let packed =
            blocking(move || packing.objects.chunks(CHUNK).map(pack).collect::<Result<Vec<_>, _>>()).await?;
        let chunks = stream::iter(packed)
            .map(|chunk| async move { self.artefacts.put(organization, &chunk).await })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let manifest =
            Manifest { kind: catalog.kind, default_schema: catalog.default_schema.clone(), chunks };
        let root = self.artefacts.put(organization, &pack(&manifest)?).await?;
        self.remember(organization, &root, catalog);
        Ok(root)
    }

    /// The catalog with this root.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a part of it is missing or is not what its address says.
    pub async fn load(&self, organization: &OrganizationId, root: &str) -> Result<Arc<Catalog>, StoreError> {
        if let Some(catalog) = self.recall(organization, root) {
            return Ok(catalog);
        }
        let manifest: Manifest = unpack(&self.part(organization, root).await?)?;
        let chunks: Vec<Vec<u8>> = stream::iter(manifest.chunks)
            .map(|address| async move { self.part(organization, &address).await })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let objects = blocking(move || {
            let mut objects = Vec::with_capacity(chunks.len() * CHUNK);
            for chunk in &chunks {
                objects.extend(unpack::<Vec<Object>>(chunk)?);
            }
            Ok(objects)
        })
        .await?;
        let catalog =
            Arc::new(Catalog { kind: manifest.kind, default_schema: manifest.default_schema, objects });
        self.remember(organization, root, catalog.clone());
        Ok(catalog)
    }

    async fn part(&self, organization: &OrganizationId, address: &str) -> Result<Vec<u8>, StoreError> {
        let part = self.artefacts.get(organization, address).await?;
        part.ok_or_else(|| corrupt(format!("the schema snapshot {address} is missing")))
    }

    fn recall(&self, organization: &OrganizationId, root: &str) -> Option<Arc<Catalog>> {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        let at = cached.iter().position(|it| it.organization == *organization && it.root == root)?;
        let found = cached.remove(at)?;
        let catalog = found.catalog.clone();
        cached.push_front(found);
        Some(catalog)
    }

    fn remember(&self, organization: &OrganizationId, root: &str, catalog: Arc<Catalog>) {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        cached.retain(|it| it.organization != *organization || it.root != root);
        let fields = catalog.field_count();
        let (organization, root) = (organization.clone(), root.to_owned());
        cached.push_front(Cached { organization, root, fields, catalog });
        let mut sum = 0;
        let fitting = cached
            .iter()
            .take_while(|it| {
                sum += it.fields;
                sum <= CACHED_FIELDS
            })
            .count();
        cached.truncate(fitting.max(1));
    }
}

fn pack(part: &(impl Serialize + ?Sized)) -> Result<Vec<u8>, StoreError> {
    let json = serde_json::to_vec(part).map_err(|error| corrupt(error.to_string()))?;
    zstd::bulk::compress(&json, LEVEL).map_err(|error| StoreError::Unavailable(error.to_string()))
}

fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    let json = zstd::stream::decode_all(bytes).map_err(|error| corrupt(error.to_string()))?;
    serde_json::from_slice(&json)
        .map_err(|error| corrupt(format!("a schema snapshot cannot be read: {error}")))
}

fn corrupt(reason: String) -> StoreError {
    StoreError::Corrupt { seq: Seq(0), reason }
}

/// Off the threads that serve calls.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| StoreError::Unavailable("packing a schema was given up".to_owned()))?
}

#[cfg(test)]
#[path = "snapshots_tests.rs"]
mod tests;
