//! The folded documents of an organization and the checkpoint that says how far they go. They save a cold function the
//! fold of the whole log, and nothing else: whatever is wrong with them, the log is folded instead.
//!
//! Items are read one by one while the projector writes, so what is read may be of two moments. The checkpoint holds a
//! digest over all documents that belong to it: documents that give another one are not believed.

use super::DynamoStore;
use super::items::{self, Item, Range, get_bytes, get_hash, get_number, get_text, number, text};
use super::memory::Tip;
use super::reader::{get_head, head_attributes, last_of};
use super::tables::{SORT, TableName};
use crate::storage::StoreError;
use crate::storage::chain::Head;
use crate::storage::documents::{FINGERPRINT, in_order, kind_named};
use domain::Organization;
use domain::organization::Document;
use events::{OrganizationId, Seq, Subject};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

pub const CHECKPOINT: &str = "CHECKPOINT";
const DOCUMENT: &str = "D#";

/// Bytes of one part of a document. An item holds 400 KB; a skill keeps every definition that was ever published, so
/// there is no bound on a whole document.
const PART: usize = 256 * 1024;
/// zstd's own default.
const LEVEL: i32 = 3;

/// Over a set of documents, in any order: taking one in and taking it out again are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    pub fn of(documents: &[Document]) -> Self {
        let mut digest = Digest::default();
        documents.iter().for_each(|document| digest.toggle(document));
        digest
    }

    pub fn toggle(&mut self, document: &Document) {
        let mut hash = Sha256::new();
        for part in [document.subject.kind.as_str(), &document.subject.id, &document.body] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(document.version.0.to_be_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        self.0.iter_mut().zip(hash).for_each(|(byte, other)| *byte ^= other);
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The end of the commit up to which the documents are folded.
    pub head: Head,
    pub digest: Digest,
    /// Of the code that folded them.
    pub fingerprint: String,
    /// Drawn anew by whoever writes: a writer proves with it that nobody has written since it read.
    pub revision: String,
    /// Documents are being written in several transactions: what stands there is of no moment.
    pub under_way: bool,
}

impl Checkpoint {
    pub fn new(head: Head, digest: Digest) -> Self {
        let revision = uuid::Uuid::new_v4().simple().to_string();
        Self { head, digest, fingerprint: FINGERPRINT.to_owned(), revision, under_way: false }
    }

    /// The documents may be believed if they give the digest.
    pub fn holds(&self) -> bool {
        !self.under_way && self.fingerprint == FINGERPRINT
    }

    pub fn to_item(&self, organization: &OrganizationId) -> Item {
        let mut item = items::item(organization.as_str(), CHECKPOINT, head_attributes(&self.head));
        item.insert("digest".to_owned(), items::bytes(self.digest.0));
        item.insert("fingerprint".to_owned(), text(&self.fingerprint));
        item.insert("revision".to_owned(), text(&self.revision));
        item.insert("under_way".to_owned(), number(u8::from(self.under_way)));
        item
    }

    /// One that cannot be read is not believed and can be replaced; one without a revision is as good as none.
    fn from_item(item: &Item) -> Option<Self> {
        let revision = get_text(item, "revision").ok()?;
        let (head, digest) = (Head::START, Digest::default());
        let unreadable = Self { under_way: true, revision: revision.to_owned(), ..Self::new(head, digest) };
        Some(Self::parsed(item).unwrap_or(unreadable))
    }

    fn parsed(item: &Item) -> Result<Self, StoreError> {
        Ok(Self {
            head: get_head(item)?,
            digest: Digest(get_hash(item, "digest")?),
            fingerprint: get_text(item, "fingerprint")?.to_owned(),
            revision: get_text(item, "revision")?.to_owned(),
            under_way: get_number::<u8>(item, "under_way")? != 0,
        })
    }
}

/// The items of a document: its compressed body in parts. The first says how many; what stands behind them is left
/// over from when it was longer, and belongs to nothing.
pub fn to_items(organization: &OrganizationId, document: &Document) -> Result<Vec<Item>, StoreError> {
    let compressed = zstd::bulk::compress(document.body.as_bytes(), LEVEL)
        .map_err(|error| StoreError::Unavailable(error.to_string()))?;
    let parts: Vec<&[u8]> = compressed.chunks(PART).collect();
    let to_item = |(at, part): (usize, &&[u8])| {
        let attributes = [
            ("version", number(document.version.0)),
            ("parts", number(parts.len())),
            ("body", items::bytes(*part)),
        ];
        items::item(organization.as_str(), &name(&document.subject, at), attributes)
    };
    Ok(parts.iter().enumerate().map(to_item).collect())
}

pub fn name(subject: &Subject, part: usize) -> String {
    format!("{DOCUMENT}{}#{}#{part:04}", subject.kind.as_str(), subject.id)
}

/// What stands in one organization's views.
pub struct Stored {
    pub checkpoint: Option<Checkpoint>,
    /// In the order of subjects. None when an item cannot be read.
    pub documents: Option<Vec<Document>>,
    /// Of all items but the checkpoint.
    pub names: Vec<String>,
}

impl Stored {
    /// The state that the documents describe, if they are to be believed.
    pub fn tip(&self, organization: &OrganizationId) -> Option<Tip> {
        let checkpoint = self.checkpoint.as_ref().filter(|checkpoint| checkpoint.holds())?;
        let documents = self.documents.as_ref()?;
        if Digest::of(documents) != checkpoint.digest {
            tracing::warn!(%organization, "the documents are not those of their checkpoint");
            return None;
        }
        match Organization::from_documents(organization.clone(), checkpoint.head.seq, documents.clone()) {
            Ok(state) => Some(Tip { head: checkpoint.head, state }),
            Err(reason) => {
                tracing::warn!(%organization, reason, "documents cannot be read");
                None
            }
        }
    }
}

impl DynamoStore {
    /// As far as the projector has come.
    pub(super) async fn viewed(&self, organization: &OrganizationId) -> Result<Option<Tip>, StoreError> {
        Ok(self.stored(organization).await?.tip(organization))
    }

    pub(super) async fn checkpoint(
        &self,
        organization: &OrganizationId,
    ) -> Result<Option<Checkpoint>, StoreError> {
        let table = self.names.table(TableName::Views);
        let item = items::get(&self.client, &table, organization.as_str(), CHECKPOINT).await?;
        Ok(item.and_then(|item| Checkpoint::from_item(&item)))
    }

    pub(super) async fn stored(&self, organization: &OrganizationId) -> Result<Stored, StoreError> {
        let table = self.names.table(TableName::Views);
        let to = last_of(DOCUMENT);
        // The checkpoint sorts before the documents.
        let range = Range { table: &table, partition: organization.as_str(), from: CHECKPOINT, to: &to };
        let mut checkpoint = None;
        let mut names = Vec::new();
        let mut parts = BTreeMap::new();
        for item in items::query(&self.client, range, usize::MAX).await? {
            let name = get_text(&item, SORT)?.to_owned();
            if name == CHECKPOINT {
                checkpoint = Checkpoint::from_item(&item);
            } else {
                names.push(name.clone());
                parts.insert(name, item);
            }
        }
        let documents = joined(parts).map_err(|error| {
            tracing::warn!(%organization, %error, "documents cannot be read");
        });
        Ok(Stored { checkpoint, documents: documents.ok(), names })
    }
}

/// Parts stand behind each other, by their names.
fn joined(mut parts: BTreeMap<String, Item>) -> Result<Vec<Document>, StoreError> {
    let first: Vec<(Subject, Item)> = parts
        .iter()
        .filter_map(|(name, item)| Some((name.strip_suffix("#0000")?, item)))
        .map(|(name, item)| Ok((subject_of(name)?, item.clone())))
        .collect::<Result<_, StoreError>>()?;
    let mut documents = Vec::with_capacity(first.len());
    for (subject, head) in first {
        let mut compressed = Vec::new();
        for part in 0..get_number::<usize>(&head, "parts")? {
            let item = parts.remove(&name(&subject, part)).ok_or_else(|| items::damaged("parts"))?;
            compressed.extend_from_slice(get_bytes(&item, "body")?);
        }
        let body = zstd::stream::decode_all(compressed.as_slice()).map_err(|_| items::damaged("body"))?;
        let body = String::from_utf8(body).map_err(|_| items::damaged("body"))?;
        documents.push(Document { subject, version: Seq(get_number(&head, "version")?), body });
    }
    Ok(in_order(documents))
}

/// `D#<kind>#<id>`; an id may hold anything.
fn subject_of(name: &str) -> Result<Subject, StoreError> {
    let (kind, id) = name
        .strip_prefix(DOCUMENT)
        .and_then(|rest| rest.split_once('#'))
        .ok_or_else(|| items::damaged(SORT))?;
    Ok(Subject::new(kind_named(kind)?, id))
}
