//! What makes two discoveries the same, and what lies between two that are not.

use super::{Catalog, Field, Object, Relationship, RelationshipKind};
use crate::limits::CHANGES_LISTED;
use events::integration::SchemaChanges;
use sha2::{Digest, Sha256};

impl Catalog {
    /// SHA-256 in hex over the structure, object by object in order of name: everything but comments and row
    /// estimates. *hasMany* sides are left out, because they follow from the others.
    pub fn schema_hash(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"bindery.schema.v1");
        add(&mut hash, &(self.kind, &self.default_schema));
        for object in &self.objects {
            add(&mut hash, &structure(object));
        }
        hex::encode(hash.finalize())
    }

    /// Objects, and columns as `object.column` of objects that were there before and after. A column has changed
    /// when its type, nullability, default or generation has; an object when its kind, keys, indexes, foreign
    /// keys, triggers or the user's privileges have. Lists hold [`CHANGES_LISTED`] names, counts are whole.
    pub fn diff(&self, before: &Catalog) -> SchemaChanges {
        let mut changes = SchemaChanges::default();
        for object in &self.objects {
            match before.object(&object.name) {
                None => note(&mut changes.added, &mut changes.added_count, object.name.clone()),
                Some(old) => compare(object, old, &mut changes),
            }
        }
        for old in &before.objects {
            if self.object(&old.name).is_none() {
                note(&mut changes.removed, &mut changes.removed_count, old.name.clone());
            }
        }
        changes
    }
}

fn add(hash: &mut Sha256, part: &impl serde::Serialize) {
    let bytes = serde_json::to_vec(part).expect("a catalog holds nothing that JSON cannot");
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(&bytes);
}

fn structure(object: &Object) -> Object {
    let mut bare = object.clone();
    bare.comment = None;
    bare.row_estimate = None;
    bare.fields.iter_mut().for_each(|field| field.comment = None);
    bare.relationships.retain(|edge| edge.kind == RelationshipKind::BelongsTo);
    bare
}

fn compare(object: &Object, old: &Object, changes: &mut SchemaChanges) {
    for field in &object.fields {
        let name = || format!("{}.{}", object.name, field.name);
        match old.field(&field.name) {
            None => note(&mut changes.added, &mut changes.added_count, name()),
            Some(was) if !same_column(field, was) => {
                note(&mut changes.changed, &mut changes.changed_count, name());
            }
            Some(_) => {}
        }
    }
    for was in &old.fields {
        if object.field(&was.name).is_none() {
            let name = format!("{}.{}", old.name, was.name);
            note(&mut changes.removed, &mut changes.removed_count, name);
        }
    }
    if !same_object(object, old) {
        note(&mut changes.changed, &mut changes.changed_count, object.name.clone());
    }
}

/// Everything but the columns themselves and what [`structure`] leaves out. A MySQL database that is named anew holds
/// what it held; outside the default schema the object's name tells the schema.
fn same_object(object: &Object, was: &Object) -> bool {
    // By name, so that whoever adds a field is asked here.
    let Object {
        name,
        schema: _,
        table,
        kind,
        comment: _,
        row_estimate: _,
        fields: _,
        primary_key,
        unique_keys,
        indexes,
        relationships: _,
        triggers,
        keeps_all_writes,
        privileges,
    } = object;
    *name == was.name
        && *table == was.table
        && *kind == was.kind
        && *primary_key == was.primary_key
        && *unique_keys == was.unique_keys
        && *indexes == was.indexes
        && belongs_to(object).eq(belongs_to(was))
        && *triggers == was.triggers
        && *keeps_all_writes == was.keeps_all_writes
        && *privileges == was.privileges
}

fn belongs_to(object: &Object) -> impl Iterator<Item = &Relationship> {
    object.relationships.iter().filter(|edge| edge.kind == RelationshipKind::BelongsTo)
}

/// `indexed` is left out: a change of it is a change of the object's keys or indexes.
fn same_column(field: &Field, was: &Field) -> bool {
    field.shape == was.shape
        && field.cast == was.cast
        && field.nullable == was.nullable
        && field.has_default == was.has_default
        && field.generated == was.generated
}

fn note(list: &mut Vec<String>, count: &mut u64, name: String) {
    *count += 1;
    if list.len() < CHANGES_LISTED {
        list.push(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::fixture::{clinic, field, index, table};
    use events::IntegrationKind;
    use events::skill::FieldType;

    #[test]
    fn comments_and_estimates_do_not_change_the_hash_and_structure_does() {
        let catalog = clinic(IntegrationKind::Postgres);
        let mut other = catalog.clone();
        other.objects[0].comment = Some("of today".into());
        other.objects[0].row_estimate = Some(7);
        other.objects[0].fields[0].comment = Some("key".into());
        assert_eq!(catalog.schema_hash(), other.schema_hash());
        assert_eq!(other.diff(&catalog), SchemaChanges::default());
        other.objects[0].fields[0].nullable = true;
        assert_ne!(catalog.schema_hash(), other.schema_hash());
    }

    #[test]
    fn a_difference_names_objects_and_columns() {
        let before = clinic(IntegrationKind::Postgres);
        let mut after = before.clone();
        after.objects.retain(|object| object.name != "daily_report");
        after.objects.push(table("wards"));
        let mut after = after.finish();
        let at = after.objects.iter().position(|object| object.name == "patients").unwrap();
        let patients = &mut after.objects[at];
        patients.fields.retain(|field| field.name != "balance");
        patients.fields.push(field("title", FieldType::String));
        patients.fields[0].shape.native_type = "uuid".into();
        patients.indexes.push(index("z", &["title"]));
        let changes = after.diff(&before);
        assert_eq!(changes.added, ["patients.title", "wards"]);
        assert_eq!(changes.removed, ["patients.balance", "daily_report"]);
        assert_eq!(changes.changed, ["patients.id", "patients"]);
        assert_eq!((changes.added_count, changes.removed_count, changes.changed_count), (2, 2, 2));
    }

    #[test]
    fn long_lists_are_cut_and_counts_are_whole() {
        let before = clinic(IntegrationKind::Mysql);
        let mut after = before.clone();
        after.objects.extend((0..120).map(|number| table(&format!("t{number}"))));
        let changes = after.finish().diff(&before);
        assert_eq!((changes.added.len(), changes.added_count), (CHANGES_LISTED, 120));
    }
}
