//! Makes the tables where no template does: on an emulator.

use super::tables::{Names, PARTITION, SORT, TABLES, Table};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, StreamSpecification,
    StreamViewType,
};

/// # Panics
/// When one cannot be made.
pub async fn create_tables(client: &Client, names: &Names) {
    for table in TABLES {
        create(client, names, table).await;
    }
}

async fn create(client: &Client, names: &Names, table: &Table) {
    let name = names.table(table.name);
    let mut request = client.create_table().table_name(&name).billing_mode(BillingMode::PayPerRequest);
    for (attribute, role) in [(PARTITION, KeyType::Hash), (SORT, KeyType::Range)] {
        let definition = AttributeDefinition::builder()
            .attribute_name(attribute)
            .attribute_type(ScalarAttributeType::S)
            .build()
            .expect("both are given");
        let element = KeySchemaElement::builder()
            .attribute_name(attribute)
            .key_type(role)
            .build()
            .expect("both are given");
        request = request.attribute_definitions(definition).key_schema(element);
    }
    if table.stream {
        let stream = StreamSpecification::builder()
            .stream_enabled(true)
            .stream_view_type(StreamViewType::NewImage)
            .build()
            .expect("enabled is given");
        request = request.stream_specification(stream);
    }
    request.send().await.unwrap_or_else(|error| panic!("{name} cannot be made: {error:?}"));
}
