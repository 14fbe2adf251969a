//! Makes the tables where no template does: on an emulator.

use super::tables::{Names, PARTITION, SORT, TABLES, Table};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType,
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
    if let Some(index) = table.index {
        let mut keys = Vec::new();
        for (attribute, role, kind) in [
            (index.partition, KeyType::Hash, ScalarAttributeType::S),
            (index.sort, KeyType::Range, ScalarAttributeType::N),
        ] {
            let definition =
                AttributeDefinition::builder().attribute_name(attribute).attribute_type(kind).build();
            let element = KeySchemaElement::builder().attribute_name(attribute).key_type(role).build();
            request = request.attribute_definitions(definition.expect("both are given"));
            keys.push(element.expect("both are given"));
        }
        let projection = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
        let index = GlobalSecondaryIndex::builder()
            .index_name(index.name)
            .set_key_schema(Some(keys))
            .projection(projection)
            .build()
            .expect("all are given");
        request = request.global_secondary_indexes(index);
    }
    request.send().await.unwrap_or_else(|error| panic!("{name} cannot be made: {error:?}"));
}
