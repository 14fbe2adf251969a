//! States of the past, in the bucket: as an item one would cost a thousand times as much to write. The name of an object
//! ends with how far its position is from the last that there could be, so that the first one of a listing is the
//! nearest.

use super::DynamoStore;
use super::errors::unavailable;
use crate::storage::documents::FINGERPRINT;
use crate::storage::{PastStates, StoreError};
use async_trait::async_trait;
use aws_sdk_s3::primitives::ByteStream;
use events::{OrganizationId, Seq};

/// Of all their names. No organization's name begins so, and its artefacts are named after it.
pub const PREFIX: &str = "!past/";

#[async_trait]
impl PastStates for DynamoStore {
    async fn nearest_state(
        &self,
        organization: &OrganizationId,
        through: Seq,
    ) -> Result<Option<Seq>, StoreError> {
        let prefix = folder(organization);
        // Exclusive, and the position itself counts.
        let after = through.0.checked_add(1).map(|above| object(organization, Seq(above)));
        let listed = self
            .s3
            .list_objects_v2()
            .bucket(&self.names.bucket)
            .prefix(&prefix)
            .set_start_after(after)
            .max_keys(1)
            .send()
            .await
            .map_err(unavailable)?;
        let name = listed.contents().first().and_then(|object| object.key()?.strip_prefix(&prefix));
        Ok(name.and_then(|name| name.parse().ok()).map(|left: u64| Seq(u64::MAX - left)))
    }

    async fn kept_state(
        &self,
        organization: &OrganizationId,
        at: Seq,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.get_object(&object(organization, at)).await
    }

    async fn keep_state(
        &self,
        organization: &OrganizationId,
        at: Seq,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let put = self.s3.put_object().bucket(&self.names.bucket).key(object(organization, at));
        put.body(ByteStream::from(bytes.to_vec())).send().await.map(|_| ()).map_err(unavailable)
    }
}

fn folder(organization: &OrganizationId) -> String {
    format!("{PREFIX}{organization}/{FINGERPRINT}/")
}

fn object(organization: &OrganizationId, at: Seq) -> String {
    format!("{}{:020}", folder(organization), u64::MAX - at.0)
}
