//! What an assistant is shown of a schema, and what it may answer.
//!
//! It is shown names, types and comments of some objects that the scoping leaves: no rows, no host, no database's name,
//! no credentials, and nothing that is blocked, not even in a comment. All of it is data in one JSON document, which
//! the instructions say; but nothing depends on a model that heeds them, for its answer is held against the offer.

use super::Brief;
use domain::catalog::{Catalog, Field, Indexed, Object, ObjectKind, RelationshipKind};
use domain::limits::{ASSISTANT_COLUMNS, ASSISTANT_ENUM_VALUES, ASSISTANT_TEXT_CHARS};
use events::scoping::Blocked;
use events::skill::FieldType;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const INSTRUCTIONS: &str = include_str!("instructions.txt");

/// The operation that says: nothing here serves the goal.
pub(super) const NOTHING: &str = "none";

/// Some objects of a schema, as if there were no others.
pub struct Offer {
    pub(super) catalog: Catalog,
    /// `<object>.read` and so on.
    pub(super) operations: Vec<String>,
    blocked: BTreeSet<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    goal: &'a str,
    may_write: bool,
    operations: &'a [String],
    objects: Vec<ObjectShown<'a>>,
}

#[derive(Serialize)]
struct ObjectShown<'a> {
    name: &'a str,
    kind: ObjectKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    columns: Vec<ColumnShown<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    relationships: Vec<RelationshipShown<'a>>,
}

#[derive(Serialize)]
struct ColumnShown<'a> {
    name: &'a str,
    r#type: FieldType,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    values: Vec<&'a str>,
    filter: bool,
    unique: bool,
    required: bool,
    writable: bool,
}

#[derive(Serialize)]
struct RelationshipShown<'a> {
    name: &'a str,
    object: &'a str,
}

impl Offer {
    /// `visible` is what the scoping leaves of a schema, `blocked` what it keeps back.
    pub fn new(visible: &Catalog, blocked: &Blocked, objects: &[String], allow_write: bool) -> Self {
        let offered = |name: &String| objects.contains(name);
        let chosen: Vec<Object> =
            visible.objects.iter().filter(|object| offered(&object.name)).cloned().collect();
        let edges = chosen.iter().flat_map(|object| &object.relationships);
        let elsewhere = edges.map(|edge| &edge.target).filter(|target| !offered(target));
        // What is left out is cut off as what is blocked is, with everything that hangs on it.
        let left_out = Blocked {
            blocked_tables: elsewhere.cloned().collect(),
            blocked_columns: chosen.iter().map(|it| (it.name.clone(), left_out(it))).collect(),
        };
        let default_schema = visible.default_schema.clone();
        let catalog = Catalog { kind: visible.kind, default_schema, objects: chosen }.visible(&left_out);
        let may = |object: &Object| {
            let actions = object.actions().into_iter().filter(|action| allow_write || !action.is_write());
            actions.map(|action| format!("{}.{}", object.name, action.as_str())).collect::<Vec<_>>()
        };
        let operations = catalog.objects.iter().flat_map(may).collect();
        let columns = blocked.blocked_columns.values().flatten();
        let blocked = blocked.blocked_tables.iter().chain(columns).map(|name| name.to_lowercase());
        Self { catalog, operations, blocked: blocked.collect() }
    }

    /// Whether there is nothing to ask about.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    pub fn brief(&self, goal: &str) -> Brief {
        let question = Question {
            goal,
            may_write: self.operations.iter().any(|operation| !operation.ends_with(".read")),
            operations: &self.operations,
            objects: self.catalog.objects.iter().map(|object| self.shown(object)).collect(),
        };
        let question = serde_json::to_string(&question).expect("names and texts are JSON");
        Brief { instructions: INSTRUCTIONS, question, schema: self.schema(), refused: Vec::new() }
    }

    fn shown<'a>(&'a self, object: &'a Object) -> ObjectShown<'a> {
        let belongs = object.relationships.iter().filter(|it| it.kind == RelationshipKind::BelongsTo);
        ObjectShown {
            name: &object.name,
            kind: object.kind,
            comment: self.comment(object.comment.as_deref()),
            columns: object.fields.iter().map(|field| self.column(object, field)).collect(),
            relationships: belongs
                .map(|edge| RelationshipShown { name: &edge.name, object: &edge.target })
                .collect(),
        }
    }

    fn column<'a>(&'a self, object: &Object, field: &'a Field) -> ColumnShown<'a> {
        let values = field.shape.enum_values.iter().map(String::as_str);
        ColumnShown {
            name: &field.name,
            r#type: field.shape.field_type,
            comment: self.comment(field.comment.as_deref()),
            values: values.filter(|it| !self.mentions_blocked(it)).take(ASSISTANT_ENUM_VALUES).collect(),
            filter: field.indexed != Indexed::None,
            unique: object.is_unique(&field.name),
            required: field.must_be_set(),
            writable: !field.generated,
        }
    }

    /// A comment that speaks of what is blocked is not shown.
    fn comment(&self, comment: Option<&str>) -> Option<String> {
        let comment = comment.filter(|text| !self.mentions_blocked(text))?;
        Some(comment.chars().take(ASSISTANT_TEXT_CHARS).collect())
    }

    fn mentions_blocked(&self, text: &str) -> bool {
        if self.blocked.is_empty() {
            return false;
        }
        let text = text.to_lowercase();
        let is_part = |char: char| char.is_alphanumeric() || char == '_';
        let mut words = text.split(|char| !is_part(char));
        // A name that is no single word is looked for as it is.
        words.any(|word| self.blocked.contains(word))
            || self.blocked.iter().any(|name| !name.chars().all(is_part) && text.contains(name.as_str()))
    }

    /// The form of an answer: every name one of those offered, nothing optional and nothing beside it, which is what
    /// strict services take.
    fn schema(&self) -> Value {
        let objects = self.catalog.objects.iter();
        let columns: BTreeSet<&str> =
            objects.clone().flat_map(|it| &it.fields).map(|field| field.name.as_str()).collect();
        let edges = objects.clone().flat_map(|it| &it.relationships);
        let edges = edges.filter(|it| it.kind == RelationshipKind::BelongsTo).map(|it| it.name.as_str());
        let sources: BTreeSet<&str> = objects.map(|it| it.name.as_str()).chain(edges).collect();
        let operations: Vec<&str> = self.operations.iter().map(String::as_str).chain([NOTHING]).collect();
        let text = || json!({ "type": "string" });
        let column = || json!({ "$ref": "#/$defs/column" });
        let or_null = |schema: Value| json!({ "anyOf": [schema, { "type": "null" }] });
        let list = |of: Value| json!({ "type": "array", "items": of });
        let scalar = json!({ "anyOf": [
            { "type": "string" }, { "type": "number" }, { "type": "boolean" }, { "type": "null" },
        ]});
        let input = object(json!({
            "param": text(),
            "arg": column(),
            "required": { "type": "boolean" },
            "description": text(),
            "source": { "type": "string", "enum": ["model", "caller", "constant"] },
            "value": scalar,
        }));
        let projected = object(json!({
            "from": { "type": "string", "enum": sources },
            "column": column(),
            "leaf": text(),
        }));
        let order = object(json!({
            "column": column(),
            "direction": { "type": "string", "enum": ["asc", "desc"] },
        }));
        let mut schema = object(json!({
            "operation": { "type": "string", "enum": operations },
            "toolName": text(),
            "description": text(),
            "inputs": list(input),
            "projection": list(projected),
            "orderBy": list(order),
            "limit": { "type": "integer" },
            "keyColumn": or_null(column()),
            "keyParam": or_null(text()),
            "confidence": { "type": "number" },
            "reason": text(),
        }));
        schema["$defs"] = json!({ "column": { "type": "string", "enum": columns } });
        schema
    }
}

fn object(properties: Value) -> Value {
    let required: Vec<&String> = properties.as_object().into_iter().flat_map(|all| all.keys()).collect();
    json!({
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": false,
    })
}

/// Columns of a wide object that are not shown: those by which nothing is found and which no row needs go first.
fn left_out(object: &Object) -> BTreeSet<String> {
    let matters = |field: &&Field| {
        let holds = |fields: &[String]| fields.contains(&field.name);
        field.indexed != Indexed::None
            || field.must_be_set()
            || object.relationships.iter().any(|edge| holds(&edge.fields))
    };
    let (first, rest): (Vec<&Field>, Vec<&Field>) = object.fields.iter().partition(matters);
    first.into_iter().chain(rest).skip(ASSISTANT_COLUMNS).map(|field| field.name.clone()).collect()
}

#[cfg(test)]
#[path = "offer_tests.rs"]
mod tests;
