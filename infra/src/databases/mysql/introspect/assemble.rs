//! Rows of information_schema, put together into the catalog's objects.

use super::super::link::Record;
use super::types::{NativeType, shape};
use domain::catalog::{
    Field, Index, Indexed, Object, ObjectKind, Privileges, Relationship, RelationshipKind, Trigger,
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// A table on its way into the catalog.
struct Draft {
    object: Object,
    columns: Vec<Column>,
}

/// A column and what only the assembly needs of it.
struct Column {
    position: u64,
    field: Field,
    select: bool,
    insert: bool,
    update: bool,
}

impl Column {
    /// An INSERT that leaves it out fails.
    fn is_required(&self) -> bool {
        !self.field.nullable && !self.field.has_default && !self.field.generated
    }
}

pub(super) struct Assembly {
    schema: String,
    drafts: HashMap<String, Draft>,
    /// Columns with a `json_valid` check of their own.
    json: HashSet<(String, String)>,
}

impl Assembly {
    /// `tables`: name, type, whether its engine has transactions, comment, estimated rows.
    /// `checks`: table, clause.
    pub fn new(schema: &str, tables: &[Record], checks: &[Record]) -> Self {
        let mut drafts = HashMap::with_capacity(tables.len());
        for row in tables {
            let kind = match row.text(1) {
                "BASE TABLE" | "SYSTEM VERSIONED" => ObjectKind::Table,
                "VIEW" => ObjectKind::View,
                // sequences and the server's own views
                _ => continue,
            };
            let is_table = kind == ObjectKind::Table;
            let name = row.text(0).to_owned();
            let object = Object {
                name: name.clone(),
                schema: schema.to_owned(),
                table: name.clone(),
                kind,
                // A view's comment says VIEW, or what is broken about it.
                comment: row.optional(3).filter(|comment| is_table && !comment.is_empty()).map(str::to_owned),
                row_estimate: row.number(4).filter(|_| is_table),
                fields: Vec::new(),
                primary_key: Vec::new(),
                unique_keys: Vec::new(),
                indexes: Vec::new(),
                relationships: Vec::new(),
                triggers: Vec::new(),
                keeps_all_writes: is_table && row.text(2) != "YES",
                privileges: Privileges { select: false, insert: false, update: false },
            };
            drafts.insert(name, Draft { object, columns: Vec::new() });
        }
        let json = checks
            .iter()
            .filter_map(|row| {
                let column = row.text(1).strip_prefix("json_valid(`")?.strip_suffix("`)")?;
                (!column.contains("` ")).then(|| (row.text(0).to_owned(), column.replace("``", "`")))
            })
            .collect();
        Self { schema: schema.to_owned(), drafts, json }
    }

    /// `row`: table, column, position, default, nullable, data type, length, precision, scale, column type, extra,
    /// privileges, comment.
    pub fn add_column(&mut self, row: &Record) {
        let Some(draft) = self.drafts.get_mut(row.text(0)) else { return };
        let name = row.text(1).to_owned();
        let native = NativeType {
            data_type: row.text(5),
            column_type: row.text(9),
            length: row.number(6),
            precision: row.number(7),
            scale: row.number(8),
            checked_json: self.json.contains(&(row.text(0).to_owned(), name.clone())),
        };
        let extra = row.text(10).to_ascii_lowercase();
        // MySQL's DEFAULT_GENERATED is a default by expression, not a generated column.
        let generated =
            ["stored generated", "virtual generated", "persistent"].iter().any(|mark| extra.contains(mark));
        // MariaDB writes a missing default of a nullable column as the text NULL.
        let has_default = row.optional(3).is_some_and(|default| default != "NULL")
            || extra.contains("auto_increment")
            || extra.contains("default_generated");
        let privileges: Vec<&str> = row.text(11).split(',').collect();
        draft.columns.push(Column {
            position: row.number(2).unwrap_or(u64::MAX),
            field: Field {
                name,
                shape: shape(&native),
                cast: None,
                nullable: row.text(4) == "YES",
                has_default,
                generated,
                comment: row.optional(12).filter(|comment| !comment.is_empty()).map(str::to_owned),
                // settled by Catalog::finish
                indexed: Indexed::None,
            },
            select: privileges.contains(&"select"),
            insert: privileges.contains(&"insert"),
            update: privileges.contains(&"update"),
        });
    }

    /// `rows`: table, index, not unique, position, column, prefix length, type, in use.
    pub fn add_indexes(&mut self, rows: &[Record]) {
        let mut parts: BTreeMap<(&str, &str), Vec<&Record>> = BTreeMap::new();
        for row in rows {
            // Other structures answer no equality filter: FULLTEXT, SPATIAL, MariaDB's HASH of long unique keys.
            if row.text(6) == "BTREE" && row.text(7) == "YES" {
                parts.entry((row.text(0), row.text(1))).or_default().push(row);
            }
        }
        for ((table, index), mut parts) in parts {
            let Some(draft) = self.drafts.get_mut(table) else { continue };
            parts.sort_by_key(|row| row.number(3));
            // Up to the first part that is an expression, or that the user is not shown.
            let columns: Vec<String> = parts
                .iter()
                .zip(1..)
                .map_while(|(row, position)| row.optional(4).filter(|_| row.number(3) == Some(position)))
                .map(str::to_owned)
                .collect();
            if columns.is_empty() {
                continue;
            }
            let whole = columns.len() == parts.len() && parts.iter().all(|row| row.number(5).is_none());
            let unique = whole && parts.iter().all(|row| row.number(2) == Some(0));
            if index == "PRIMARY" {
                draft.object.primary_key = columns.clone();
            } else if unique {
                draft.object.unique_keys.push(columns.clone());
            }
            draft.object.indexes.push(Index { name: index.to_owned(), columns, unique });
        }
    }

    /// `keys`: table, constraint, position, column, target schema, target table, target column.
    /// `rules`: table, constraint, update rule, delete rule.
    pub fn add_foreign_keys(&mut self, keys: &[Record], rules: &[Record]) {
        let rules: HashMap<(&str, &str), &Record> =
            rules.iter().map(|row| ((row.text(0), row.text(1)), row)).collect();
        let mut parts: BTreeMap<(&str, &str), Vec<&Record>> = BTreeMap::new();
        for row in keys.iter().filter(|row| row.text(4) == self.schema) {
            parts.entry((row.text(0), row.text(1))).or_default().push(row);
        }
        for ((table, constraint), mut parts) in parts {
            let Some(draft) = self.drafts.get_mut(table) else { continue };
            parts.sort_by_key(|row| row.number(2));
            let rule = |column: usize| {
                let rule = rules.get(&(table, constraint))?.text(column);
                (!matches!(rule, "RESTRICT" | "NO ACTION" | "")).then(|| rule.to_owned())
            };
            draft.object.relationships.push(Relationship {
                // settled by Catalog::finish
                name: String::new(),
                kind: RelationshipKind::BelongsTo,
                fields: parts.iter().map(|row| row.text(3).to_owned()).collect(),
                target: parts.first().map_or("", |row| row.text(5)).to_owned(),
                target_fields: parts.iter().map(|row| row.text(6).to_owned()).collect(),
                constraint: constraint.to_owned(),
                on_update: rule(2),
                on_delete: rule(3),
            });
        }
    }

    /// `rows`: table, trigger, event.
    pub fn add_triggers(&mut self, rows: &[Record]) {
        for row in rows {
            let Some(draft) = self.drafts.get_mut(row.text(0)) else { continue };
            draft.object.triggers.push(Trigger {
                name: row.text(1).to_owned(),
                on_insert: row.text(2) == "INSERT",
                on_update: row.text(2) == "UPDATE",
                on_delete: row.text(2) == "DELETE",
            });
        }
    }

    /// Objects with at least one readable column. What the user may not read is left out of them, and with it keys
    /// and indexes that need it.
    pub fn objects(self) -> Vec<Object> {
        self.drafts.into_values().filter_map(Draft::finish).collect()
    }
}

impl Draft {
    fn finish(mut self) -> Option<Object> {
        self.columns.sort_by_key(|column| column.position);
        let (readable, hidden): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.columns).into_iter().partition(|column| column.select);
        if readable.is_empty() {
            return None;
        }
        let writable = self.object.kind == ObjectKind::Table && !self.object.keeps_all_writes;
        let all = |may: fn(&Column) -> bool| {
            writable && readable.iter().all(|column| column.field.generated || may(column))
        };
        self.object.privileges = Privileges {
            select: true,
            insert: all(|column| column.insert) && !hidden.iter().any(Column::is_required),
            update: all(|column| column.update),
        };
        self.object.fields = readable.into_iter().map(|column| column.field).collect();

        let names: HashSet<&str> = self.object.fields.iter().map(|field| field.name.as_str()).collect();
        let known = |columns: &[String]| columns.iter().all(|column| names.contains(column.as_str()));
        if !known(&self.object.primary_key) {
            self.object.primary_key.clear();
        }
        self.object.unique_keys.retain(|key| known(key));
        for index in &mut self.object.indexes {
            let kept = index.columns.iter().take_while(|column| names.contains(column.as_str())).count();
            index.unique &= kept == index.columns.len();
            index.columns.truncate(kept);
        }
        self.object.indexes.retain(|index| !index.columns.is_empty());
        Some(self.object)
    }
}
