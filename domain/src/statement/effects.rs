//! What a write does beyond its own row.

use crate::catalog::{Catalog, Object, Relationship, RelationshipKind, Trigger, written};
use events::scoping::Blocked;
use events::skill::{Action, Statement};

/// Triggers that fire and foreign keys that follow in this schema, one sentence each.
pub fn side_effects(statement: &Statement, catalog: &Catalog, blocked: &Blocked) -> Vec<String> {
    let assigned: Vec<&str> = written(statement).map(|parameter| parameter.column.as_str()).collect();
    let object = catalog.object(&statement.object);
    object.map(|object| of(statement.action, object, &assigned, blocked)).unwrap_or_default()
}

/// Of a write to these columns.
pub(super) fn of(action: Action, object: &Object, assigned: &[&str], blocked: &Blocked) -> Vec<String> {
    let (event, fires): (&str, fn(&Trigger) -> bool) = match action {
        Action::Read => return Vec::new(),
        Action::Insert => ("inserts into", |trigger| trigger.on_insert),
        Action::Update => ("updates of", |trigger| trigger.on_update),
    };
    let triggers = object.triggers.iter().filter(|trigger| fires(trigger)).map(|trigger| {
        format!("The trigger `{}` runs on {event} `{}` and may change other rows.", trigger.name, object.name)
    });
    let follows = |edge: &&Relationship| {
        action == Action::Update
            && edge.kind == RelationshipKind::HasMany
            && edge.on_update.is_some()
            && assigned.iter().any(|column| edge.fields.iter().any(|field| field == column))
    };
    let cascades = object.relationships.iter().filter(follows).map(|edge| {
        let target = if blocked.table(&edge.target) {
            "rows that the scoping hides".to_owned()
        } else {
            format!("rows of `{}`", edge.target)
        };
        format!(
            "A changed `{}` reaches every one of the {target} that refer to it ({}).",
            edge.fields.join("`, `"),
            edge.on_update.as_deref().unwrap_or_default()
        )
    });
    triggers.chain(cascades).collect()
}
