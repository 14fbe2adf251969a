//! Content-addressed bytes: small ones in the table, where they come with one short read; large ones in the bucket.

use super::DynamoStore;
use super::errors::unavailable;
use super::items::{self, bytes, get_bytes};
use super::tables::{SORT, TableName};
use crate::storage::{Artefacts, StoreError};
use async_trait::async_trait;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use domain::limits::{ARTEFACT_INLINE_BYTES, AWS_OPERATION_TIMEOUT};
use events::{OrganizationId, Seq};
use sha2::{Digest, Sha256};

const BYTES: &str = "bytes";

#[async_trait]
impl Artefacts for DynamoStore {
    async fn put(&self, organization: &OrganizationId, bytes: &[u8]) -> Result<String, StoreError> {
        let address = hex::encode(Sha256::digest(bytes));
        if bytes.len() <= ARTEFACT_INLINE_BYTES {
            self.put_item(organization, &address, bytes).await?;
        } else {
            self.put_object(organization, &address, bytes).await?;
        }
        Ok(address)
    }

    async fn get(&self, organization: &OrganizationId, address: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let table = self.names.table(TableName::Artefacts);
        let found = match items::get(&self.client, &table, organization.as_str(), address).await? {
            Some(item) => Some(get_bytes(&item, BYTES)?.to_vec()),
            None => self.get_object(&object(organization, address)).await?,
        };
        match found {
            Some(bytes) if hex::encode(Sha256::digest(&bytes)) != address => {
                let reason = format!("the bytes at {address} do not give their address");
                Err(StoreError::Corrupt { seq: Seq(0), reason })
            }
            Some(_) | None => Ok(found),
        }
    }
}

impl DynamoStore {
    async fn put_item(
        &self,
        organization: &OrganizationId,
        address: &str,
        content: &[u8],
    ) -> Result<(), StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(self.names.table(TableName::Artefacts))
            .set_item(Some(items::item(organization.as_str(), address, [(BYTES, bytes(content))])))
            .condition_expression("attribute_not_exists(#sort)")
            .expression_attribute_names("#sort", SORT)
            .send()
            .await;
        match put {
            Err(SdkError::ServiceError(refused)) if is_there(refused.err()) => Ok(()),
            put => put.map(|_| ()).map_err(unavailable),
        }
    }

    async fn put_object(
        &self,
        organization: &OrganizationId,
        address: &str,
        content: &[u8],
    ) -> Result<(), StoreError> {
        let put = self
            .s3
            .put_object()
            .bucket(&self.names.bucket)
            .key(object(organization, address))
            .if_none_match("*")
            .body(ByteStream::from(content.to_vec()))
            .send()
            .await;
        match put {
            Ok(_) => Ok(()),
            // The same bytes are there already.
            Err(error) if error.code() == Some("PreconditionFailed") => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// With its body, whose end the SDK's own limit does not reach.
    pub(super) async fn get_object(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let whole = async {
            let got = self.s3.get_object().bucket(&self.names.bucket).key(key).send().await;
            match got {
                Ok(got) => got.body.collect().await.map(|body| Some(body.to_vec())).map_err(|_| cut_off()),
                Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => {
                    Ok(None)
                }
                Err(error) => Err(unavailable(error)),
            }
        };
        tokio::time::timeout(AWS_OPERATION_TIMEOUT, whole).await.unwrap_or_else(|_| Err(cut_off()))
    }
}

fn cut_off() -> StoreError {
    StoreError::Unavailable("an object did not arrive whole".to_owned())
}

fn is_there(refused: &PutItemError) -> bool {
    refused.is_conditional_check_failed_exception()
}

fn object(organization: &OrganizationId, address: &str) -> String {
    format!("{organization}/{address}")
}
