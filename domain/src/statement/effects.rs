//! What a write does beyond its own row.

use crate::catalog::{Catalog, Object, Relationship, RelationshipKind, Trigger, written};
use events::scoping::Blocked;
use events::skill::{Action, Statement};
use std::collections::HashSet;

/// Triggers that fire and foreign keys that follow in this schema, one sentence each.
pub fn side_effects(statement: &Statement, catalog: &Catalog, blocked: &Blocked) -> Vec<String> {
    let assigned: Vec<&str> = written(statement).map(|parameter| parameter.column.as_str()).collect();
    let object = catalog.object(&statement.object);
    object.map(|object| of(catalog, statement.action, object, &assigned, blocked)).unwrap_or_default()
}

/// Of a write to these columns.
pub(super) fn of(
    catalog: &Catalog,
    action: Action,
    object: &Object,
    assigned: &[&str],
    blocked: &Blocked,
) -> Vec<String> {
    match action {
        Action::Read => Vec::new(),
        Action::Insert => fired(object, "inserts into", |trigger| trigger.on_insert).collect(),
        Action::Update => {
            let mut effects: Vec<_> = fired(object, "updates of", |trigger| trigger.on_update).collect();
            follow(catalog, object, assigned, blocked, &mut effects);
            effects
        }
    }
}

fn fired(object: &Object, event: &str, fires: fn(&Trigger) -> bool) -> impl Iterator<Item = String> {
    object.triggers.iter().filter(move |trigger| fires(trigger)).map(move |trigger| {
        format!("The trigger `{}` runs on {event} `{}` and may change other rows.", trigger.name, object.name)
    })
}

/// From table to table, as far as changed keys reach, with the triggers that fire on the way.
fn follow(
    catalog: &Catalog,
    object: &Object,
    assigned: &[&str],
    blocked: &Blocked,
    effects: &mut Vec<String>,
) {
    let mut followed = HashSet::new();
    let mut changed = vec![(object, assigned.to_vec())];
    while let Some((object, columns)) = changed.pop() {
        let follows = |edge: &&Relationship| {
            edge.kind == RelationshipKind::HasMany
                && edge.on_update.is_some()
                && edge.fields.iter().any(|field| columns.contains(&field.as_str()))
        };
        for edge in object.relationships.iter().filter(follows) {
            if !followed.insert((&edge.target, &edge.constraint)) {
                continue;
            }
            effects.push(reaches(object, edge, blocked));
            let Some(target) = catalog.object(&edge.target) else { continue };
            for trigger in fired(target, "updates of", |trigger| trigger.on_update) {
                let told = if blocked.table(&target.name) {
                    "A trigger runs on rows that the scoping hides and may change other rows.".to_owned()
                } else {
                    trigger
                };
                if !effects.contains(&told) {
                    effects.push(told);
                }
            }
            changed.push((target, edge.target_fields.iter().map(String::as_str).collect()));
        }
    }
}

fn reaches(object: &Object, edge: &Relationship, blocked: &Blocked) -> String {
    let hidden = "rows that the scoping hides".to_owned();
    let rows = |name: &str| if blocked.table(name) { hidden.clone() } else { format!("rows of `{name}`") };
    // What was reached over hidden rows does not name their columns.
    let key = if blocked.table(&object.name) {
        "key".to_owned()
    } else {
        format!("`{}`", edge.fields.join("`, `"))
    };
    format!(
        "A changed {key} reaches every one of the {} that refer to it ({}).",
        rows(&edge.target),
        edge.on_update.as_deref().unwrap_or_default()
    )
}
