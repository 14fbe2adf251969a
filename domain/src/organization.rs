//! Everything an organization's log says, folded. This is what decisions are made on and what reads are served from.

use events::{OrganizationId, Recorded, Seq, Subject};
use std::sync::Arc;

/// Cheap to clone: aggregates are shared until an event changes them.
#[derive(Clone, Debug)]
pub struct Organization {
    pub id: OrganizationId,
    pub head: Seq,
}

/// One aggregate's state as it is kept beside the log: for the subject, or for what an event did to it by list.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub subject: Subject,
    /// `seq` of the last event of the subject's own stream.
    pub version: Seq,
    pub body: String,
}

impl Organization {
    pub fn empty(id: OrganizationId) -> Self {
        Self { id, head: Seq(0) }
    }

    /// Folds the next event and returns every subject whose document it changed.
    pub fn apply(&mut self, event: &Recorded) -> Vec<Subject> {
        self.head = event.seq;
        vec![event.subject.clone()]
    }

    /// Last `seq` of the subject's own stream, 0 when it has none.
    pub fn version(&self, _subject: &Subject) -> Seq {
        todo!("being written")
    }

    pub fn document(&self, _subject: &Subject) -> Option<Document> {
        todo!("being written")
    }

    /// Every document, in the order of subjects.
    pub fn documents(&self) -> Vec<Document> {
        todo!("being written")
    }

    /// The state that these documents describe.
    pub fn from_documents(
        _id: OrganizationId,
        _head: Seq,
        _documents: impl IntoIterator<Item = Document>,
    ) -> Result<Arc<Self>, String> {
        todo!("being written")
    }
}
