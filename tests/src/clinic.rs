//! The sample clinic through the drivers: the same tables must become the same catalog on both engines.

use crate::engines::engine;
use domain::catalog::{Catalog, Field, Object, ObjectKind};
use events::IntegrationKind;
use events::skill::FieldType;
use infra::databases::Session;
use infra::databases::dial::Dialer;
use infra::databases::driver::Drivers;
use infra::databases::guard::Guard;
use std::collections::BTreeMap;
use std::sync::Arc;

#[tokio::test]
async fn the_clinic_becomes_the_same_catalog_on_both_engines() {
    let on_postgres = tables(&discovered(IntegrationKind::Postgres).await);
    let on_mysql = tables(&discovered(IntegrationKind::Mysql).await);
    assert_eq!(on_postgres.len(), 8);
    assert_eq!(on_postgres.keys().collect::<Vec<_>>(), on_mysql.keys().collect::<Vec<_>>());
    for (name, lines) in &on_postgres {
        assert_eq!(lines, &on_mysql[name], "{name}");
    }
}

async fn discovered(kind: IntegrationKind) -> Catalog {
    let (engine, clinic) = (engine(kind), engine(kind).clinic());
    let guard = Guard { allowed: vec!["127.0.0.0/8".parse().expect("a network")] };
    let drivers = Drivers { dialer: Arc::new(Dialer::new(guard)) };
    let opened = drivers.open(kind, &engine.reader(&clinic), Session::ReadOnly).await;
    let mut connection = opened.map_err(|failed| format!("{failed:?}")).expect("the reader may log in");
    connection.introspect(&|_| {}).await.expect("the schema can be read")
}

/// Each table, a line for each thing that must be equal. Left out are views, of whose columns MariaDB knows more, and
/// the table and the trigger that stand for PostgreSQL's sequence.
fn tables(catalog: &Catalog) -> BTreeMap<String, Vec<String>> {
    let tables = catalog.objects.iter().filter(|object| object.kind == ObjectKind::Table);
    let shared = tables.filter(|table| table.name != "reference_numbers");
    shared.map(|table| (table.name.clone(), described(table))).collect()
}

fn described(table: &Object) -> Vec<String> {
    let mut lines =
        vec![format!("{:?} key {:?} unique {:?}", table.comment, table.primary_key, table.unique_keys)];
    lines.extend(table.fields.iter().map(described_field));
    let relationships = table.relationships.iter().map(|relationship| format!("{relationship:?}"));
    let triggers = table.triggers.iter().filter(|trigger| trigger.name != "appointments_reference");
    let mut unordered: Vec<_> = relationships.chain(triggers.map(|trigger| format!("{trigger:?}"))).collect();
    unordered.sort();
    lines.extend(unordered);
    lines
}

fn described_field(field: &Field) -> String {
    let Field { name, shape, nullable, has_default, generated, comment, indexed, .. } = field;
    // MySQL has no uuid.
    let field_type = if name == "public_id" { FieldType::String } else { shape.field_type };
    // The values of a SET, which stands for PostgreSQL's array, are MySQL's alone.
    let values: &[String] = if field_type == FieldType::Enum { &shape.enum_values } else { &[] };
    format!(
        "{name} {field_type:?} {values:?} nullable {nullable} default {has_default} generated {generated} {indexed:?} {comment:?}"
    )
}
