//! The catalog as everybody sees it who is not shown what is blocked.

use super::{Catalog, Object};
use events::scoping::Blocked;

impl Catalog {
    /// Without blocked objects and columns, and without the relationships, keys and indexes that touch them. A
    /// column keeps its `indexed`: the engine still has the index.
    pub fn visible(&self, blocked: &Blocked) -> Catalog {
        let objects = self.objects.iter().filter(|object| !blocked.table(&object.name));
        Catalog {
            kind: self.kind,
            default_schema: self.default_schema.clone(),
            objects: objects.map(|object| object.visible(blocked)).collect(),
        }
    }
}

impl Object {
    fn visible(&self, blocked: &Blocked) -> Object {
        let mut object = self.clone();
        let shown = |column: &String| !blocked.column(&self.name, column);
        // Without this column no row can be added, so that nobody is offered an insert which cannot be bound.
        if object.fields.iter().any(|field| field.must_be_set() && !shown(&field.name)) {
            object.privileges.insert = false;
        }
        object.fields.retain(|field| shown(&field.name));
        if !object.primary_key.iter().all(shown) {
            object.primary_key.clear();
        }
        object.unique_keys.retain(|key| key.iter().all(shown));
        object.indexes.retain(|index| index.columns.iter().all(shown));
        object.relationships.retain(|edge| {
            edge.fields.iter().all(shown)
                && !blocked.table(&edge.target)
                && !edge.target_fields.iter().any(|column| blocked.column(&edge.target, column))
        });
        object
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::fixture::clinic;
    use events::IntegrationKind;
    use events::scoping::Blocked;
    use events::skill::Action;

    fn blocked(json: serde_json::Value) -> Blocked {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn no_blocked_name_occurs_anywhere_in_what_is_visible() {
        let catalog = clinic(IntegrationKind::Postgres);
        let visible = catalog.visible(&blocked(serde_json::json!({
            "blockedTables": ["visits"], "blockedColumns": { "patients": ["ssn", "phone"] }
        })));
        let text = serde_json::to_string(&visible).unwrap();
        for name in ["visits", "ssn", "phone"] {
            assert!(!text.contains(name), "{name} in {text}");
        }
        assert!(visible.object("patients").unwrap().relationship("appointments").is_some());
    }

    #[test]
    fn a_relationship_over_a_blocked_column_vanishes_on_both_sides() {
        let catalog = clinic(IntegrationKind::Mysql);
        let visible = catalog
            .visible(&blocked(serde_json::json!({ "blockedColumns": { "appointments": ["patient_id"] } })));
        assert!(visible.object("appointments").unwrap().relationships.is_empty());
        assert!(visible.object("patients").unwrap().relationship("appointments").is_none());
    }

    #[test]
    fn an_insert_that_must_set_a_blocked_column_is_not_offered() {
        let catalog = clinic(IntegrationKind::Postgres);
        assert!(catalog.object("patients").unwrap().actions().contains(&Action::Insert));
        let visible =
            catalog.visible(&blocked(serde_json::json!({ "blockedColumns": { "patients": ["full_name"] } })));
        assert_eq!(visible.object("patients").unwrap().actions(), [Action::Read, Action::Update]);
    }
}
