//! Rows of the catalog, in the order of the queries, become objects.

use super::types::Types;
use domain::catalog::{
    Catalog, Field, Index, Indexed, Object, ObjectKind, Privileges, Relationship, RelationshipKind, Trigger,
};
use events::IntegrationKind;
use std::collections::HashMap;

const DEFAULT_SCHEMA: &str = "public";

pub(super) struct TableRow {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    /// `relkind`
    pub kind: String,
    /// -1 when it was never analyzed.
    pub rows: f64,
    pub comment: Option<String>,
    pub insert: bool,
    pub update: bool,
}

pub(super) struct Column {
    pub table: u32,
    pub number: i16,
    pub name: String,
    pub kind: u32,
    pub modifier: i32,
    pub not_null: bool,
    pub has_default: bool,
    pub generated: bool,
    pub comment: Option<String>,
    pub insert: bool,
    pub update: bool,
}

pub(super) struct IndexRow {
    pub table: u32,
    pub name: String,
    pub unique: bool,
    pub primary: bool,
    pub serves_equality: bool,
    /// Column numbers, 0 for an expression.
    pub columns: Vec<i16>,
}

pub(super) struct ForeignKey {
    pub table: u32,
    pub name: String,
    pub columns: Vec<i16>,
    pub target: u32,
    pub target_columns: Vec<i16>,
    pub on_update: String,
    pub on_delete: String,
}

pub(super) struct Builder {
    types: Types,
    tables: Vec<Table>,
    by_oid: HashMap<u32, usize>,
    begun: u64,
}

struct Table {
    object: Object,
    /// Numbers of `object.fields`, ascending; numbers of columns that are dropped or unreadable are missing.
    numbers: Vec<i16>,
}

impl Table {
    fn column(&self, number: i16) -> Option<&str> {
        let at = self.numbers.binary_search(&number).ok()?;
        Some(&self.object.fields[at].name)
    }

    /// None when one of them is not readable.
    fn columns(&self, numbers: &[i16]) -> Option<Vec<String>> {
        numbers.iter().map(|number| self.column(*number).map(str::to_owned)).collect()
    }
}

impl Builder {
    pub(super) fn new(types: Types) -> Self {
        Self { types, tables: Vec::new(), by_oid: HashMap::new(), begun: 0 }
    }

    /// Tables whose columns have begun to arrive.
    pub(super) fn tables_begun(&self) -> u64 {
        self.begun
    }

    pub(super) fn table(&mut self, row: TableRow) {
        let kind = match row.kind.as_str() {
            "v" => ObjectKind::View,
            "m" => ObjectKind::MaterializedView,
            _ => ObjectKind::Table,
        };
        let name = if row.schema == DEFAULT_SCHEMA {
            row.name.clone()
        } else {
            format!("{}.{}", row.schema, row.name)
        };
        let object = Object {
            name,
            schema: row.schema,
            table: row.name,
            kind,
            comment: row.comment,
            row_estimate: (row.rows >= 0.0 && kind != ObjectKind::View).then_some(row.rows as u64),
            fields: Vec::new(),
            primary_key: Vec::new(),
            unique_keys: Vec::new(),
            indexes: Vec::new(),
            relationships: Vec::new(),
            triggers: Vec::new(),
            // What stands behind a foreign table may commit at once.
            keeps_all_writes: row.kind == "f",
            privileges: Privileges { select: true, insert: row.insert, update: row.update },
        };
        self.by_oid.insert(row.oid, self.tables.len());
        self.tables.push(Table { object, numbers: Vec::new() });
    }

    pub(super) fn column(&mut self, row: Column) {
        let Some(table) = self.by_oid.get(&row.table).map(|at| &mut self.tables[*at]) else { return };
        let privileges = &mut table.object.privileges;
        if table.numbers.is_empty() {
            self.begun += 1;
            // The table's own privilege includes every column; without it each column has to have its own.
            *privileges = Privileges { select: true, insert: true, update: true };
        }
        privileges.insert &= row.insert;
        privileges.update &= row.update;
        let resolved = self.types.resolve(row.kind, row.modifier);
        table.numbers.push(row.number);
        table.object.fields.push(Field {
            name: row.name,
            shape: resolved.shape,
            cast: Some(resolved.cast),
            nullable: !(row.not_null || resolved.not_null),
            has_default: row.has_default || (resolved.has_default && !row.generated),
            generated: row.generated,
            comment: row.comment,
            indexed: Indexed::None,
        });
    }

    pub(super) fn index(&mut self, row: IndexRow) {
        let Some(table) = self.by_oid.get(&row.table).map(|at| &mut self.tables[*at]) else { return };
        if row.unique
            && let Some(columns) = table.columns(&row.columns)
        {
            let object = &mut table.object;
            if row.primary {
                object.primary_key = columns;
            } else if !object.unique_keys.contains(&columns) {
                object.unique_keys.push(columns);
            }
        }
        if !row.serves_equality {
            return;
        }
        let leading = row.columns.iter().map_while(|number| table.column(*number));
        let columns: Vec<_> = leading.map(str::to_owned).collect();
        if !columns.is_empty() {
            // Unique says that all of its keys are; a cut list is no key any more.
            let unique = row.unique && columns.len() == row.columns.len();
            table.object.indexes.push(Index { name: row.name, columns, unique });
        }
    }

    pub(super) fn foreign_key(&mut self, row: ForeignKey) {
        let (Some(from), Some(to)) = (self.by_oid.get(&row.table), self.by_oid.get(&row.target)) else {
            return;
        };
        let (from, target) = (*from, &self.tables[*to]);
        let Some(target_fields) = target.columns(&row.target_columns) else { return };
        let Some(fields) = self.tables[from].columns(&row.columns) else { return };
        let relationship = Relationship {
            name: row.name.clone(),
            kind: RelationshipKind::BelongsTo,
            fields,
            target: target.object.name.clone(),
            target_fields,
            constraint: row.name,
            on_update: reaction(&row.on_update),
            on_delete: reaction(&row.on_delete),
        };
        self.tables[from].object.relationships.push(relationship);
    }

    pub(super) fn trigger(&mut self, table: u32, trigger: Trigger) {
        if let Some(at) = self.by_oid.get(&table) {
            self.tables[*at].object.triggers.push(trigger);
        }
    }

    pub(super) fn finish(self) -> Catalog {
        let mut objects: Vec<_> = self.tables.into_iter().map(|table| table.object).collect();
        for object in &mut objects {
            if object.keeps_all_writes {
                object.privileges = Privileges { insert: false, update: false, ..object.privileges };
            }
            // The same columns may have a unique index beside the primary key.
            let primary_key = &object.primary_key;
            object.unique_keys.retain(|key| key != primary_key);
        }
        Catalog { kind: IntegrationKind::Postgres, default_schema: DEFAULT_SCHEMA.to_owned(), objects }
            .finish()
    }
}

/// What a foreign key does beyond refusing.
fn reaction(code: &str) -> Option<String> {
    let reaction = match code {
        "c" => "CASCADE",
        "n" => "SET NULL",
        "d" => "SET DEFAULT",
        _ => return None,
    };
    Some(reaction.to_owned())
}
