//! The model of a customer's schema, the same for every engine.

mod changes;
mod drift;
mod finish;
#[cfg(test)]
pub(crate) mod fixture;
mod visible;

pub use drift::{drift, remedy, written};

use events::IntegrationKind;
use events::skill::{Action, FieldType, Shape};
use serde::{Deserialize, Serialize};

/// All objects of a database that its user may see, sorted by name. A name occurs once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Catalog {
    pub kind: IntegrationKind,
    /// The schema whose objects are named without it: `public`, or the MySQL database.
    pub default_schema: String,
    pub objects: Vec<Object>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Object {
    /// `table`, or `schema.table` outside the default schema.
    pub name: String,
    pub schema: String,
    /// As the engine spells it.
    pub table: String,
    pub kind: ObjectKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The planner's guess. Not part of the schema hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_estimate: Option<u64>,
    /// In the table's order.
    pub fields: Vec<Field>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub primary_key: Vec<String>,
    /// Every set of columns that is unique and not null-proof only by a partial or expression index; the primary
    /// key is not repeated here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unique_keys: Vec<Vec<String>>,
    /// Indexes that can serve a filter: valid, not partial, first key a plain column.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<Index>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relationships: Vec<Relationship>,
    /// What a write to this object sets off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<Trigger>,
    /// What keeps its rows has no transactions: a write that went wrong could not be taken back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keeps_all_writes: bool,
    /// What the connected user may do here, so that no binding is offered that the engine would refuse.
    pub privileges: Privileges,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    Table,
    View,
    MaterializedView,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Field {
    pub name: String,
    #[serde(flatten)]
    pub shape: Shape,
    /// The type's name as a cast needs it, quoted and qualified by the engine itself. PostgreSQL only; it is the
    /// base type, without length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cast: Option<String>,
    pub nullable: bool,
    pub has_default: bool,
    /// The engine computes it: always an identity, or a generated column. It cannot be written.
    pub generated: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    pub indexed: Indexed,
}

/// How a column can be filtered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Indexed {
    /// It alone is a primary or unique key.
    Unique,
    /// It is the first column of an index.
    Leading,
    None,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    pub name: String,
    /// Key columns in order, up to the first that is an expression.
    pub columns: Vec<String>,
    pub unique: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Relationship {
    /// See [`Catalog::finish`].
    pub name: String,
    pub kind: RelationshipKind,
    pub fields: Vec<String>,
    /// Name of the other object.
    pub target: String,
    pub target_fields: Vec<String>,
    /// The engine's name of the foreign key.
    pub constraint: String,
    /// What the engine does to the referencing rows, when it is more than to refuse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_update: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_delete: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RelationshipKind {
    /// This object holds the foreign key.
    BelongsTo,
    /// The target holds it.
    HasMany,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trigger {
    pub name: String,
    pub on_insert: bool,
    pub on_update: bool,
    pub on_delete: bool,
}

/// Column privileges count when they cover every column that is readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Privileges {
    pub select: bool,
    pub insert: bool,
    pub update: bool,
}

impl Object {
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The primary key and every unique key, the primary key first.
    pub fn keys(&self) -> impl Iterator<Item = &[String]> {
        std::iter::once(self.primary_key.as_slice())
            .filter(|key| !key.is_empty())
            .chain(self.unique_keys.iter().map(Vec::as_slice))
    }

    pub fn relationship(&self, name: &str) -> Option<&Relationship> {
        self.relationships.iter().find(|relationship| relationship.name == name)
    }

    /// Whether at most one row has any given value in this column.
    pub fn is_unique(&self, column: &str) -> bool {
        self.keys().any(|key| matches!(key, [only] if only == column))
    }

    /// What can be bound here at best: a read needs a usable index, an insert a value for every column that must
    /// have one, an update a single-column unique key and something beside it to change.
    pub fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.privileges.select
            && self.fields.iter().any(|field| field.indexed != Indexed::None && is_bindable(&field.shape))
        {
            actions.push(Action::Read);
        }
        if self.kind == ObjectKind::Table {
            let writable = |field: &Field| !field.generated && is_bindable(&field.shape);
            if self.privileges.insert
                && self.fields.iter().any(writable)
                && self.fields.iter().all(|field| !field.must_be_set() || is_bindable(&field.shape))
            {
                actions.push(Action::Insert);
            }
            let key = |field: &Field| field.indexed == Indexed::Unique && is_bindable(&field.shape);
            let updatable =
                |key: &Field| self.fields.iter().any(|field| field.name != key.name && writable(field));
            if self.privileges.update && self.fields.iter().any(|field| key(field) && updatable(field)) {
                actions.push(Action::Update);
            }
        }
        actions
    }

    /// `<object>.read` and so on.
    pub fn operations(&self) -> Vec<String> {
        self.actions().into_iter().map(|action| format!("{}.{}", self.name, action.as_str())).collect()
    }
}

impl Field {
    /// An insert that leaves it out is refused by the engine.
    pub fn must_be_set(&self) -> bool {
        !self.nullable && !self.has_default && !self.generated
    }
}

impl Catalog {
    pub fn object(&self, name: &str) -> Option<&Object> {
        self.objects
            .binary_search_by(|object| object.name.as_str().cmp(name))
            .ok()
            .map(|at| &self.objects[at])
    }

    pub fn field_count(&self) -> u64 {
        self.objects.iter().map(|object| object.fields.len() as u64).sum()
    }

    /// Foreign keys, each counted once.
    pub fn edge_count(&self) -> u64 {
        let belongs = |object: &Object| {
            object.relationships.iter().filter(|edge| edge.kind == RelationshipKind::BelongsTo).count() as u64
        };
        self.objects.iter().map(belongs).sum()
    }

    pub fn operation_count(&self) -> u64 {
        self.objects.iter().map(|object| object.actions().len() as u64).sum()
    }
}

/// Whether values of this type can be compared with a parameter and written from one.
pub fn is_bindable(shape: &Shape) -> bool {
    match shape.field_type {
        FieldType::Other => false,
        FieldType::Array => shape.set || shape.element.as_deref().is_some_and(is_bindable),
        FieldType::String
        | FieldType::Integer
        | FieldType::Bigint
        | FieldType::Decimal
        | FieldType::Float
        | FieldType::Boolean
        | FieldType::Date
        | FieldType::Time
        | FieldType::Timestamp
        | FieldType::Timestamptz
        | FieldType::Interval
        | FieldType::Uuid
        | FieldType::Json
        | FieldType::Binary
        | FieldType::Enum => true,
    }
}
