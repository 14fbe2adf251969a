//! Goals with known answers: Spider's look-ups in its `tables.json` form, and plain goals over real schemas.

use domain::catalog::{
    Catalog, Field, Index, Indexed, Object, ObjectKind, Privileges, Relationship, RelationshipKind,
};
use events::IntegrationKind;
use events::skill::{FieldType, Shape};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A goal and what a good proposal for it is.
pub struct Question {
    pub database: String,
    pub goal: String,
    pub operation: String,
    /// Any of them will do.
    pub tables: Vec<String>,
    /// Columns that may find the rows; nothing is asked of an insert.
    pub keys: Vec<String>,
    /// Columns that the answer must hold, or that a write must set.
    pub outputs: Vec<String>,
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        other => {
            other.as_array().into_iter().flatten().filter_map(|one| Some(one.as_str()?.to_owned())).collect()
        }
    }
}

/// Lines of `lookups-tune.jsonl`, in one of their two wordings: `goal` or `question_syn`.
pub fn lookups(text: &str, wording: &str) -> Vec<Question> {
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .map(|line| Question {
            database: line["db"].as_str().unwrap_or_default().to_owned(),
            goal: line[wording].as_str().unwrap_or_default().to_owned(),
            operation: "read".to_owned(),
            tables: strings(&line["gold"]["table"]),
            keys: strings(&line["gold"]["keys"]),
            outputs: strings(&line["gold"]["outputs"]),
        })
        .filter(|question| !question.goal.is_empty())
        .collect()
}

/// A list of goals with `db`, `goal`, `operation`, `table`, `keys` (or `acceptable_keys`) and perhaps `outputs`.
pub fn goals(text: &str) -> Vec<Question> {
    let list: Vec<Value> = serde_json::from_str(text).unwrap_or_default();
    list.iter()
        .map(|goal| Question {
            database: match goal["db"].as_str().unwrap_or_default() {
                "fineract" => "mysql/fineract-sample".to_owned(),
                other => other.to_owned(),
            },
            goal: goal["goal"].as_str().unwrap_or_default().to_owned(),
            operation: goal["operation"].as_str().unwrap_or("read").to_owned(),
            tables: strings(&goal["table"]),
            keys: [strings(&goal["keys"]), strings(&goal["acceptable_keys"])].concat(),
            outputs: strings(&goal["outputs"]),
        })
        .collect()
}

/// Spider's schemas. Their indexes are not known: keys, and what the questions look up by, count as indexed.
pub fn spider(text: &str, questions: &[Question]) -> BTreeMap<String, Catalog> {
    let schemas: Vec<Value> = serde_json::from_str(text).unwrap_or_default();
    let named = |schema: &Value| schema["db_id"].as_str().unwrap_or_default().to_owned();
    schemas.iter().map(|schema| (named(schema), catalog(schema, &named(schema), questions))).collect()
}

fn catalog(schema: &Value, database: &str, questions: &[Question]) -> Catalog {
    let columns: Vec<(usize, &str)> = schema["column_names_original"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|column| {
            (column[0].as_i64().map_or(usize::MAX, |table| table as usize), column[1].as_str().unwrap_or(""))
        })
        .collect();
    let mut objects: Vec<Object> =
        strings(&schema["table_names_original"]).iter().map(|name| table(name)).collect();
    let looked_up: BTreeSet<(String, String)> = questions
        .iter()
        .filter(|question| question.database == database)
        .flat_map(|question| {
            question.keys.iter().map(|key| (question.tables[0].to_lowercase(), key.to_lowercase()))
        })
        .collect();
    for (at, (owner, name)) in columns.iter().enumerate() {
        let Some(object) = objects.get_mut(*owner) else { continue };
        let kind = schema["column_types"][at].as_str().unwrap_or("text");
        object.fields.push(field(name, kind));
        if looked_up.contains(&(object.name.to_lowercase(), name.to_lowercase())) {
            object.indexes.push(index(name));
        }
    }
    let at = |value: &Value| value.as_u64().and_then(|at| columns.get(at as usize)).copied();
    for (owner, name) in schema["primary_keys"].as_array().into_iter().flatten().filter_map(at) {
        objects[owner].primary_key.push(name.to_owned());
        objects[owner].indexes.push(index(name));
    }
    for key in schema["foreign_keys"].as_array().into_iter().flatten() {
        let (Some((from, column)), Some((to, target))) = (at(&key[0]), at(&key[1])) else { continue };
        let target_name = objects[to].name.clone();
        objects[from].indexes.push(index(column));
        let constraint = format!("{}_{column}_fkey", objects[from].name);
        objects[from].relationships.push(belongs_to(constraint, column, target_name, target));
    }
    Catalog { kind: IntegrationKind::Postgres, default_schema: "public".to_owned(), objects }.finish()
}

fn table(name: &str) -> Object {
    Object {
        name: name.to_owned(),
        schema: "public".to_owned(),
        table: name.to_owned(),
        kind: ObjectKind::Table,
        comment: None,
        row_estimate: None,
        fields: Vec::new(),
        primary_key: Vec::new(),
        unique_keys: Vec::new(),
        indexes: Vec::new(),
        relationships: Vec::new(),
        triggers: Vec::new(),
        keeps_all_writes: false,
        privileges: Privileges { select: true, insert: true, update: true },
    }
}

fn field(name: &str, kind: &str) -> Field {
    let field_type = match kind {
        "number" => FieldType::Bigint,
        "time" => FieldType::Timestamp,
        "boolean" => FieldType::Boolean,
        _ => FieldType::String,
    };
    Field {
        name: name.to_owned(),
        shape: Shape {
            field_type,
            native_type: field_type.as_str().to_owned(),
            integer_bytes: None,
            unsigned: false,
            max_length: None,
            precision: None,
            enum_values: Vec::new(),
            set: false,
            element: None,
        },
        cast: Some("text".to_owned()),
        nullable: true,
        has_default: false,
        generated: false,
        comment: None,
        indexed: Indexed::None,
    }
}

fn index(column: &str) -> Index {
    Index { name: format!("{column}_idx"), columns: vec![column.to_owned()], unique: false }
}

fn belongs_to(constraint: String, column: &str, target: String, target_column: &str) -> Relationship {
    Relationship {
        name: String::new(),
        kind: RelationshipKind::BelongsTo,
        fields: vec![column.to_owned()],
        target,
        target_fields: vec![target_column.to_owned()],
        constraint,
        on_update: None,
        on_delete: None,
    }
}
