//! The answer: the object's own columns, or those one foreign-key hop away.

use super::{Checker, Join, Leaf};
use crate::catalog::{Object, Relationship, RelationshipKind};
use crate::limits::{JOINS_MAX, PROJECTION_MAX};
use crate::nearest::nearest;
use crate::search::singular;
use crate::statement::dialect;
use crate::statement::request::is_leaf_name;
use events::skill::Action;
use std::collections::HashSet;

/// What the first part of a path leads to.
enum Reached<'a> {
    Own,
    Through(&'a Relationship),
}

impl<'a> Checker<'a> {
    pub(super) fn leaf_names(&mut self) {
        let mut seen = HashSet::new();
        for (at, projected) in self.request.projection.iter().enumerate() {
            let leaf = projected.leaf.as_str();
            let path = format!("projection[{at}].leaf");
            if !is_leaf_name(leaf) {
                let message = "A leaf is 1 to 64 small letters, digits and `_`, and starts with a letter.";
                self.error(path, "invalid_leaf", message);
            } else if !seen.insert(leaf) {
                self.error(path, "duplicate_leaf", format!("There is more than one leaf `{leaf}`."));
            }
        }
        if self.request.projection.len() > PROJECTION_MAX {
            let message = format!("An answer has at most {PROJECTION_MAX} values in a row.");
            self.error("projection", "too_many_leaves", message);
        }
    }

    pub(super) fn projection(
        &mut self,
        object: &'a Object,
        action: Action,
    ) -> (Vec<Join<'a>>, Vec<Leaf<'a>>) {
        let (mut joins, mut leaves) = (Vec::new(), Vec::new());
        let request = self.request;
        if request.projection.is_empty() && action == Action::Read {
            self.error("projection", "projection_empty", "A read says which columns it answers with.");
        }
        if !request.projection.is_empty() && action.is_write() {
            if !dialect::of(self.catalog.kind).writes_return_rows() {
                let message = "MySQL gives nothing back from a write: leave `projection` empty and read the row \
                               with another skill.";
                self.error("projection", "projection_not_supported", message);
                return (joins, leaves);
            }
            if !object.privileges.select {
                let message = format!(
                    "The connected database user lacks SELECT on `{}`, so a write cannot answer with its row.",
                    object.name
                );
                self.error("projection", "operation_not_allowed", message);
            }
        }
        for (at, projected) in request.projection.iter().enumerate() {
            let [first, column] = projected.path.as_slice() else {
                let message = "A path has two parts: the object or a relationship, then the column.";
                self.error(format!("projection[{at}].path"), "path_invalid", message);
                continue;
            };
            let path = format!("projection[{at}].path[0]");
            let Some(reached) = self.reach(object, first, &path) else { continue };
            let (join, from) = match reached {
                Reached::Own => (None, object),
                Reached::Through(_) if action.is_write() => {
                    let message = "A write answers with columns of its own row only.";
                    self.error(path, "path_invalid", message);
                    continue;
                }
                Reached::Through(edge) => {
                    let Some(join) = self.join(&mut joins, edge, &path) else { continue };
                    (Some(join), joins[join].target)
                }
            };
            if let Some(field) = self.column(from, column, &format!("projection[{at}].path[1]")) {
                leaves.push(Leaf { name: &projected.leaf, join, field });
            }
        }
        (joins, leaves)
    }

    /// The object, its singular, a relationship, or a target that only one relationship leads to.
    fn reach(&mut self, object: &'a Object, name: &str, path: &str) -> Option<Reached<'a>> {
        if name == object.name {
            return Some(Reached::Own);
        }
        if let Some(edge) = object.relationship(name) {
            if !self.is_visible(object, edge) {
                let message = format!("The relationship `{name}` leads over what the scoping blocks.");
                self.error(path, "column_blocked", message);
                return None;
            }
            return Some(Reached::Through(edge));
        }
        if name == singular(&object.name) {
            return Some(Reached::Own);
        }
        if self.blocked.table(name) && self.catalog.object(name).is_some() {
            self.error(path, "column_blocked", format!("`{name}` is blocked for agents by the scoping."));
            return None;
        }
        let visible: Vec<&Relationship> =
            object.relationships.iter().filter(|edge| self.is_visible(object, edge)).collect();
        let leading: Vec<&Relationship> =
            visible.iter().copied().filter(|edge| edge.target == name).collect();
        match leading.as_slice() {
            [edge] => Some(Reached::Through(edge)),
            [] => {
                let names = visible.iter().flat_map(|edge| [edge.name.as_str(), edge.target.as_str()]);
                let mut near = nearest(name, names.chain([object.name.as_str()]));
                near.dedup();
                let message = format!(
                    "`{name}` is neither `{}` nor a relationship of it; a path goes at most one foreign key far.",
                    object.name
                );
                self.error_near(path, "unknown_relationship", message, near);
                None
            }
            several => {
                let names = several.iter().map(|edge| edge.name.clone()).collect();
                let message = format!("Several relationships lead to `{name}`: name one of them.");
                self.error_near(path, "ambiguous_relationship", message, names);
                None
            }
        }
    }

    fn is_visible(&self, object: &Object, edge: &Relationship) -> bool {
        let hidden = |object: &str, column: &String| self.blocked.column(object, column);
        !self.blocked.table(&edge.target)
            && !edge.fields.iter().any(|column| hidden(&object.name, column))
            && !edge.target_fields.iter().any(|column| hidden(&edge.target, column))
    }

    /// Index of the join over this relationship, a new one the first time.
    fn join(&mut self, joins: &mut Vec<Join<'a>>, edge: &'a Relationship, path: &str) -> Option<usize> {
        if let Some(at) = joins.iter().position(|join| join.relationship.name == edge.name) {
            return Some(at);
        }
        let Some(target) = self.catalog.object(&edge.target) else {
            self.error(path, "unknown_relationship", format!("`{}` is not in the schema.", edge.target));
            return None;
        };
        if !target.privileges.select {
            let message = format!("The connected database user lacks SELECT on `{}`.", target.name);
            self.error(path, "operation_not_allowed", message);
            return None;
        }
        let many = |edge: &Relationship| edge.kind == RelationshipKind::HasMany;
        if many(edge) && joins.iter().any(|join| many(join.relationship)) {
            let message =
                "One read follows at most one relationship to many rows: two would multiply each other.";
            self.error(path, "path_invalid", message);
            return None;
        }
        if joins.len() == JOINS_MAX {
            let message = format!("One read follows at most {JOINS_MAX} relationships.");
            self.error(path, "too_many_relationships", message);
            return None;
        }
        joins.push(Join { relationship: edge, target });
        Some(joins.len() - 1)
    }
}
