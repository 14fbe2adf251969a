//! What keys are called. A name may be a person's, and the log forgets nothing; so names stand beside it, where they
//! can be changed and erased, and are looked up when somebody is shown who did what.

use super::StoreError;
use async_trait::async_trait;
use events::{KeyId, OrganizationId};
use std::collections::BTreeMap;

/// Those of one organization's keys that have a name.
pub type KeyNames = BTreeMap<KeyId, String>;

#[async_trait]
pub trait Directory: Send + Sync {
    async fn names(&self, organization: &OrganizationId) -> Result<KeyNames, StoreError>;

    /// Gives a key another name, or none. The name before is gone for good, its bytes in the file too.
    ///
    /// # Errors
    /// As everywhere, and on SQLite when another process reads the file: the name is another then, but the old one's
    /// bytes are not overwritten yet. Asking again does that.
    async fn rename(
        &self,
        organization: &OrganizationId,
        key: &KeyId,
        name: Option<&str>,
    ) -> Result<(), StoreError>;
}
