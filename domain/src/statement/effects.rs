//! What a write does beyond its own row.

use super::check::Plan;
use crate::catalog::{Relationship, RelationshipKind, Trigger};
use events::scoping::Blocked;
use events::skill::Action;

/// Triggers that fire and foreign keys that follow, one sentence each.
pub(super) fn of(plan: &Plan, blocked: &Blocked) -> Vec<String> {
    let (event, fires): (&str, fn(&Trigger) -> bool) = match plan.action {
        Action::Read => return Vec::new(),
        Action::Insert => ("inserts into", |trigger| trigger.on_insert),
        Action::Update => ("updates of", |trigger| trigger.on_update),
    };
    let object = plan.object;
    let triggers = object.triggers.iter().filter(|trigger| fires(trigger)).map(|trigger| {
        format!("The trigger `{}` runs on {event} `{}` and may change other rows.", trigger.name, object.name)
    });
    let follows = |edge: &&Relationship| {
        plan.action == Action::Update
            && edge.kind == RelationshipKind::HasMany
            && edge.on_update.is_some()
            && plan.assignments.iter().any(|(_, field)| edge.fields.contains(&field.name))
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
