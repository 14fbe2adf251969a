//! What follows from what a driver read: order, names and the other side of every foreign key.

use super::{Catalog, Index, Indexed, Object, Relationship, RelationshipKind};
use crate::search::singular;
use std::collections::{HashMap, HashSet};

impl Catalog {
    /// Called once by every driver, after it filled the objects with fields, keys, indexes and *belongsTo*
    /// relationships that carry their `constraint` and no name yet. Doing it again changes nothing.
    ///
    /// - Objects are sorted by name. A name that two objects share (the table `"a.b"` and the table `b` of the
    ///   schema `a`) would make blocking one of them ambiguous, so neither is kept.
    /// - A relationship that leads to an object or column which the user cannot see is dropped; every other one
    ///   gets its *hasMany* side on the target.
    /// - A *belongsTo* is named by its column without a trailing `_id`, when it has one column and the name is not
    ///   otherwise taken in the object (the object's own name and singular, a field, another relationship); else
    ///   by its constraint.
    /// - A *hasMany* is named by the referencing object, when only one of its foreign keys leads here and the
    ///   name is not taken; else by the constraint.
    /// - A constraint's name that is itself taken gets the lowest number, from 2, that makes it free.
    /// - `Field.indexed` follows from keys and indexes.
    pub fn finish(mut self) -> Catalog {
        self.objects.sort_by(|a, b| a.name.cmp(&b.name));
        drop_shared_names(&mut self.objects);
        keep_belongs_to(&mut self);
        add_has_many(&mut self);
        for object in &mut self.objects {
            object.unique_keys.sort();
            object.indexes.sort_by(|a, b| a.name.cmp(&b.name));
            name_relationships(object);
            mark_indexed(object);
            // Grown one by one, a third of it may be empty, and a catalog stays in memory.
            object.fields.shrink_to_fit();
        }
        self
    }
}

fn drop_shared_names(objects: &mut Vec<Object>) {
    let shared: HashSet<String> = objects
        .windows(2)
        .filter(|pair| pair[0].name == pair[1].name)
        .map(|pair| pair[0].name.clone())
        .collect();
    objects.retain(|object| !shared.contains(&object.name));
}

fn keep_belongs_to(catalog: &mut Catalog) {
    let taken = |object: &mut Object| std::mem::take(&mut object.relationships);
    let mut relationships: Vec<Vec<Relationship>> = catalog.objects.iter_mut().map(taken).collect();
    let has =
        |object: &Object, columns: &[String]| columns.iter().all(|column| object.field(column).is_some());
    for (object, edges) in catalog.objects.iter().zip(&mut relationships) {
        edges.retain(|edge| {
            edge.kind == RelationshipKind::BelongsTo
                && !edge.fields.is_empty()
                && edge.fields.len() == edge.target_fields.len()
                && has(object, &edge.fields)
                && catalog.object(&edge.target).is_some_and(|target| has(target, &edge.target_fields))
        });
        edges.sort_by(|a, b| a.constraint.cmp(&b.constraint));
    }
    for (object, edges) in catalog.objects.iter_mut().zip(relationships) {
        object.relationships = edges;
    }
}

fn add_has_many(catalog: &mut Catalog) {
    let mut reverse: HashMap<String, Vec<Relationship>> = HashMap::new();
    for object in &catalog.objects {
        for edge in &object.relationships {
            reverse.entry(edge.target.clone()).or_default().push(Relationship {
                name: String::new(),
                kind: RelationshipKind::HasMany,
                fields: edge.target_fields.clone(),
                target: object.name.clone(),
                target_fields: edge.fields.clone(),
                constraint: edge.constraint.clone(),
                on_update: edge.on_update.clone(),
                on_delete: edge.on_delete.clone(),
            });
        }
    }
    for object in &mut catalog.objects {
        object.relationships.extend(reverse.remove(&object.name).unwrap_or_default());
    }
}

fn name_relationships(object: &mut Object) {
    if object.relationships.is_empty() {
        return;
    }
    let mut taken: HashSet<String> = object.fields.iter().map(|field| field.name.clone()).collect();
    taken.insert(object.name.clone());
    taken.insert(singular(&object.name));
    for kind in [RelationshipKind::BelongsTo, RelationshipKind::HasMany] {
        let wanted: Vec<Option<String>> = object
            .relationships
            .iter()
            .map(|edge| if edge.kind == kind { wish(edge) } else { None })
            .collect();
        let mut wishes: HashMap<&str, usize> = HashMap::new();
        for name in wanted.iter().flatten() {
            *wishes.entry(name).or_default() += 1;
        }
        let mut unnamed = Vec::new();
        for (at, name) in wanted.iter().enumerate() {
            match name {
                Some(name) if wishes[name.as_str()] == 1 && !taken.contains(name) => {
                    object.relationships[at].name.clone_from(name);
                }
                Some(_) | None if object.relationships[at].kind == kind => unnamed.push(at),
                Some(_) | None => {}
            }
        }
        let named = wanted.iter().enumerate().filter(|(at, _)| !unnamed.contains(at));
        taken.extend(named.filter_map(|(_, name)| name.clone()));
        for at in unnamed {
            let name = free(&object.relationships[at].constraint, &taken);
            taken.insert(name.clone());
            object.relationships[at].name = name;
        }
    }
}

/// The name a relationship gets when nothing else has it.
fn wish(edge: &Relationship) -> Option<String> {
    match (edge.kind, edge.fields.as_slice()) {
        (RelationshipKind::BelongsTo, [column]) => {
            let stem = column.strip_suffix("_id").filter(|stem| !stem.is_empty());
            Some(stem.unwrap_or(column).to_owned())
        }
        (RelationshipKind::BelongsTo, _) => None,
        (RelationshipKind::HasMany, _) => Some(edge.target.clone()),
    }
}

fn free(name: &str, taken: &HashSet<String>) -> String {
    if !taken.contains(name) {
        return name.to_owned();
    }
    let numbered = (2u32..).map(|number| format!("{name}_{number}"));
    numbered.into_iter().find(|name| !taken.contains(name)).unwrap_or_else(|| name.to_owned())
}

fn mark_indexed(object: &mut Object) {
    let unique: HashSet<&String> =
        object.keys().filter_map(|key| if let [only] = key { Some(only) } else { None }).collect();
    // An index may end early because an expression follows, so its own `unique` says nothing of one column.
    let leading: HashSet<&String> =
        object.keys().chain(object.indexes.iter().map(index_columns)).filter_map(<[String]>::first).collect();
    let marks: Vec<Indexed> = object
        .fields
        .iter()
        .map(|field| match (unique.contains(&field.name), leading.contains(&field.name)) {
            (true, _) => Indexed::Unique,
            (false, true) => Indexed::Leading,
            (false, false) => Indexed::None,
        })
        .collect();
    for (field, indexed) in object.fields.iter_mut().zip(marks) {
        field.indexed = indexed;
    }
}

fn index_columns(index: &Index) -> &[String] {
    &index.columns
}

#[cfg(test)]
mod tests {
    use crate::catalog::fixture::{belongs_to, clinic, field, table};
    use crate::catalog::{Catalog, Indexed, RelationshipKind};
    use events::IntegrationKind;
    use events::skill::FieldType;

    fn names(catalog: &Catalog, object: &str) -> Vec<(String, RelationshipKind)> {
        let object = catalog.object(object).unwrap();
        object.relationships.iter().map(|edge| (edge.name.clone(), edge.kind)).collect()
    }

    #[test]
    fn a_relationship_is_named_by_its_column_and_its_other_side_by_the_referencing_object() {
        let catalog = clinic(IntegrationKind::Postgres);
        assert_eq!(names(&catalog, "appointments"), [("patient".to_owned(), RelationshipKind::BelongsTo)]);
        assert_eq!(
            names(&catalog, "patients")[0],
            ("appointments".to_owned(), RelationshipKind::HasMany),
            "{:?}",
            names(&catalog, "patients")
        );
    }

    #[test]
    fn a_name_that_is_a_field_or_wanted_twice_gives_way_to_the_constraint() {
        let mut calls = table("calls");
        calls
            .fields
            .extend(["id", "person_id", "person", "agent_id"].map(|name| field(name, FieldType::Integer)));
        calls.relationships.push(belongs_to("calls_person_fk", &["person_id"], "people", &["id"]));
        calls.relationships.push(belongs_to("agent_a", &["agent_id"], "people", &["id"]));
        calls.relationships.push(belongs_to("agent_b", &["agent_id"], "people", &["id"]));
        let mut people = table("people");
        people.fields.push(field("id", FieldType::Integer));
        people.fields.push(field("agent_a", FieldType::Integer));
        let catalog = Catalog {
            kind: IntegrationKind::Postgres,
            default_schema: "public".into(),
            objects: vec![people, calls],
        }
        .finish();
        let of_calls: Vec<String> = names(&catalog, "calls").into_iter().map(|(name, _)| name).collect();
        assert_eq!(of_calls, ["agent_a", "agent_b", "calls_person_fk"]);
        let of_people: Vec<String> = names(&catalog, "people").into_iter().map(|(name, _)| name).collect();
        assert_eq!(of_people, ["agent_a_2", "agent_b", "calls_person_fk"]);
    }

    #[test]
    fn finishing_twice_changes_nothing() {
        for kind in IntegrationKind::ALL {
            let once = clinic(kind);
            assert_eq!(once.clone().finish(), once);
        }
    }

    #[test]
    fn a_dangling_relationship_is_dropped() {
        let mut orders = table("orders");
        orders.fields.push(field("id", FieldType::Integer));
        orders.relationships.push(belongs_to("fk", &["id"], "hidden", &["id"]));
        let catalog =
            Catalog { kind: IntegrationKind::Mysql, default_schema: "shop".into(), objects: vec![orders] }
                .finish();
        assert!(catalog.objects[0].relationships.is_empty());
    }

    #[test]
    fn objects_that_share_a_name_are_both_left_out() {
        let objects = vec![table("a.b"), table("c"), table("a.b")];
        let catalog =
            Catalog { kind: IntegrationKind::Postgres, default_schema: "public".into(), objects }.finish();
        assert_eq!(catalog.objects.len(), 1);
    }

    #[test]
    fn indexed_says_unique_for_a_key_of_its_own_and_leading_for_the_first_of_several() {
        let catalog = clinic(IntegrationKind::Postgres);
        let patients = catalog.object("patients").unwrap();
        assert_eq!(patients.field("id").unwrap().indexed, Indexed::Unique);
        assert_eq!(patients.field("phone").unwrap().indexed, Indexed::Leading);
        assert_eq!(patients.field("full_name").unwrap().indexed, Indexed::None);
        let visits = catalog.object("visits").unwrap();
        assert_eq!(visits.field("clinic_id").unwrap().indexed, Indexed::Leading);
    }
}
