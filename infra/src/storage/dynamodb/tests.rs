mod attempts;
mod faults;
mod projecting;
mod proxy;
mod replay;
mod tamper;

use super::*;
use crate::emulators;
use crate::storage::conformance::{Backend, Tamper};
use aws_sdk_dynamodb::Client;
use tables::TableName;
use tokio::sync::OnceCell;

/// Tables of its own on the emulator that all tests share.
struct Dynamo {
    names: Names,
    made: OnceCell<()>,
}

impl Dynamo {
    fn new() -> Self {
        let prefix = format!("test-{}", uuid::Uuid::new_v4().simple());
        Self { names: Names { bucket: prefix.clone(), prefix }, made: OnceCell::new() }
    }

    fn table(&self, table: TableName) -> String {
        self.names.table(table)
    }

    /// Straight to the emulator.
    async fn client(&self) -> Client {
        let client = Client::new(&emulators::sdk_config(&emulators::dynamodb().url).await);
        self.made.get_or_init(|| create_tables(&client, &self.names)).await;
        client
    }

    /// A store with its own memory, which reaches the emulator at this address.
    async fn through(&self, url: &str, patience: Patience) -> Arc<DynamoStore> {
        self.client().await;
        Arc::new(DynamoStore::with(&emulators::sdk_config(url).await, self.names.clone(), patience))
    }

    async fn patient(&self, patience: Patience) -> Arc<DynamoStore> {
        self.through(&emulators::dynamodb().url, patience).await
    }
}

#[async_trait]
impl Backend for Dynamo {
    type Store = DynamoStore;

    /// The suite waits a second for what another process appends.
    async fn open(&self) -> Arc<DynamoStore> {
        self.patient(Patience { fresh: Duration::from_millis(900), ..Patience::default() }).await
    }

    async fn tamper(&self, organization: &OrganizationId, tamper: Tamper) {
        tamper::tamper(&self.client().await, &self.names, organization, tamper).await;
    }
}

crate::storage_conformance!(log: Dynamo::new());
