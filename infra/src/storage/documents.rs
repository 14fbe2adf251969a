//! What backends have in common that keep the folded state beside the log, one document a subject.

use super::StoreError;
use domain::organization::Document;
use events::{Seq, SubjectKind};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{self, StrDeserializer};

/// Hash over the sources of `events` and `domain`: whoever changes a fold changes it, without having to think of it.
pub const FINGERPRINT: &str = env!("BINDERY_FOLD_FINGERPRINT");

/// What stands beside the log, against what the log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The documents have the bytes that folding the whole log gives, and the checkpoint is at the head.
    pub equal: bool,
    pub documents: usize,
    pub head: Seq,
}

/// By subject, however the backend sorts.
pub fn in_order(mut documents: Vec<Document>) -> Vec<Document> {
    documents.sort_by(|a, b| a.subject.cmp(&b.subject));
    documents
}

pub fn kind_named(name: &str) -> Result<SubjectKind, StoreError> {
    let name: StrDeserializer<'_, value::Error> = name.into_deserializer();
    SubjectKind::deserialize(name)
        .map_err(|_| StoreError::Corrupt { seq: Seq(0), reason: "a document is of no known kind".to_owned() })
}
