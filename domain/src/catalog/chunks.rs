//! A catalog as bytes that can be stored in pieces: an unchanged piece keeps its bytes, and so its address.

use super::{Catalog, Object};
use crate::limits::CHUNK_OBJECTS;
use events::IntegrationKind;
use serde::{Deserialize, Serialize};

/// What names the pieces of a catalog; its own address is the schema root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    pub kind: IntegrationKind,
    pub default_schema: String,
    pub object_count: u64,
    /// Addresses of the chunks, in the order of their objects.
    pub chunks: Vec<String>,
}

/// Bytes that are not the catalog which the manifest promises.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    #[error("chunk {chunk} of the schema cannot be read: {reason}")]
    Malformed { chunk: usize, reason: String },
    #[error("the manifest promises {promised} objects in order of name, the chunks hold {found}")]
    Incomplete { promised: u64, found: u64 },
}

impl Catalog {
    /// JSON arrays of [`CHUNK_OBJECTS`] objects each, before compression.
    pub fn to_chunks(&self) -> Vec<Vec<u8>> {
        self.objects
            .chunks(CHUNK_OBJECTS)
            .map(|objects| serde_json::to_vec(objects).expect("objects hold nothing that JSON cannot"))
            .collect()
    }

    /// `chunks` are the addresses of what [`Catalog::to_chunks`] gave, in its order.
    pub fn manifest(&self, chunks: Vec<String>) -> Manifest {
        Manifest {
            kind: self.kind,
            default_schema: self.default_schema.clone(),
            object_count: self.objects.len() as u64,
            chunks,
        }
    }

    /// # Errors
    /// When the chunks are not those of the manifest.
    pub fn from_chunks<B: AsRef<[u8]>>(
        manifest: &Manifest,
        chunks: impl IntoIterator<Item = B>,
    ) -> Result<Catalog, ChunkError> {
        let mut objects: Vec<Object> = Vec::with_capacity(manifest.object_count.min(100_000) as usize);
        for (chunk, bytes) in chunks.into_iter().enumerate() {
            let more: Vec<Object> = serde_json::from_slice(bytes.as_ref())
                .map_err(|error| ChunkError::Malformed { chunk, reason: error.to_string() })?;
            objects.extend(more);
        }
        let in_order = objects.windows(2).all(|pair| pair[0].name < pair[1].name);
        if objects.len() as u64 != manifest.object_count || !in_order {
            let found = objects.len() as u64;
            return Err(ChunkError::Incomplete { promised: manifest.object_count, found });
        }
        Ok(Catalog { kind: manifest.kind, default_schema: manifest.default_schema.clone(), objects })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::fixture::{clinic, table};

    #[test]
    fn chunks_and_manifest_give_the_same_catalog_back() {
        let mut catalog = clinic(IntegrationKind::Postgres);
        catalog.objects.extend((0..200).map(|number| table(&format!("t{number}"))));
        let catalog = catalog.finish();
        let chunks = catalog.to_chunks();
        assert_eq!(chunks.len(), 4, "205 objects in chunks of 64");
        let manifest = catalog.manifest((0..4).map(|chunk| chunk.to_string()).collect());
        assert_eq!(Catalog::from_chunks(&manifest, &chunks), Ok(catalog));
        assert!(matches!(
            Catalog::from_chunks(&manifest, &chunks[1..]),
            Err(ChunkError::Incomplete { promised: 205, found: 141 })
        ));
        assert!(matches!(
            Catalog::from_chunks(&manifest, [b"[{}]"]),
            Err(ChunkError::Malformed { chunk: 0, .. })
        ));
    }
}
