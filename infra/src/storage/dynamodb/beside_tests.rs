//! What stands beside the log, on emulators.

use super::*;
use crate::emulators::{dynamodb, moto, sdk_config};
use crate::storage::calls::CallStore;
use crate::storage::conformance::{Backend, CallBackend, Tamper};

mod artefacts;
mod discoveries;
mod keeping;
mod misses;
mod reencrypting;

/// For what tampers with nothing, and reaches the bucket.
struct Beside(tokio::sync::OnceCell<Names>);

#[async_trait]
impl Backend for Beside {
    type Store = DynamoStore;

    async fn open(&self) -> Arc<DynamoStore> {
        store(self.0.get_or_init(names).await).await
    }

    async fn tamper(&self, _organization: &OrganizationId, tamper: Tamper) {
        unreachable!("nothing beside the log is tampered with here: {tamper:?}");
    }
}

crate::storage_conformance!(beside: Beside(tokio::sync::OnceCell::new()));

#[async_trait]
impl CallBackend for Beside {
    async fn open_calls(&self) -> Arc<dyn CallStore> {
        self.open().await
    }
}

crate::storage_conformance!(calls: Beside(tokio::sync::OnceCell::new()));

/// Tables and a bucket of their own.
pub async fn names() -> Names {
    let name = format!("t{}", uuid::Uuid::new_v4().simple());
    let names = Names { prefix: name.clone(), bucket: name };
    create_tables(&aws_sdk_dynamodb::Client::new(&sdk_config(&dynamodb().url).await), &names).await;
    s3().await.create_bucket().bucket(&names.bucket).send().await.expect("a bucket");
    names
}

async fn s3() -> aws_sdk_s3::Client {
    let config = sdk_config(&moto().url).await;
    let place = aws_sdk_s3::config::Builder::from(&config).force_path_style(true);
    aws_sdk_s3::Client::from_conf(place.region(aws_sdk_s3::config::Region::new("us-east-1")).build())
}

/// A store such as a process of its own would have.
pub async fn store(names: &Names) -> Arc<DynamoStore> {
    Arc::new(patient(names, Patience::default()).await)
}

async fn patient(names: &Names, patience: Patience) -> DynamoStore {
    let config = sdk_config(&dynamodb().url).await;
    DynamoStore { s3: s3().await, ..DynamoStore::with(&config, names.clone(), patience) }
}
