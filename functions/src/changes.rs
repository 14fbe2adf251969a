//! What differs between two JSON values, leaf by leaf.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Change {
    /// Such as `skills.next_appointment.executionConfig.statement`.
    pub field: String,
    pub before: Value,
    pub after: Value,
    pub kind: ChangeKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    Added,
    Removed,
    Changed,
}

/// In the order of their fields. Lists are leaves: half a list says nothing.
pub fn changes(before: &Value, after: &Value) -> Vec<Change> {
    let (before, mut after) = (leaves(before), leaves(after));
    let mut changes = Vec::new();
    for (field, old) in before {
        match after.remove(&field) {
            None => {
                changes.push(Change { field, before: old, after: Value::Null, kind: ChangeKind::Removed });
            }
            Some(new) if new != old => {
                changes.push(Change { field, before: old, after: new, kind: ChangeKind::Changed });
            }
            Some(_) => {}
        }
    }
    let added = |(field, new)| Change { field, before: Value::Null, after: new, kind: ChangeKind::Added };
    changes.extend(after.into_iter().map(added));
    changes.sort_by(|a, b| a.field.cmp(&b.field));
    changes
}

fn leaves(value: &Value) -> BTreeMap<String, Value> {
    fn walk(path: &str, value: &Value, leaves: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    walk(&path, member, leaves);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                leaves.insert(path.to_owned(), value.clone());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk("", value, &mut found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn leaves_that_came_went_or_changed_are_named_by_their_path() {
        let before = json!({ "a": { "b": 1, "c": [1, 2] }, "gone": true, "same": null });
        let after = json!({ "a": { "b": 2, "c": [1, 3] }, "new": { "d": "x" }, "same": null });
        let found = changes(&before, &after);
        let named: Vec<_> = found.iter().map(|it| (it.field.as_str(), it.kind)).collect();
        use ChangeKind::*;
        assert_eq!(named, [("a.b", Changed), ("a.c", Changed), ("gone", Removed), ("new.d", Added)]);
        assert_eq!((&found[1].before, &found[1].after), (&json!([1, 2]), &json!([1, 3])));
        assert_eq!(changes(&after, &after), []);
    }
}
