//! The engine's types and the normalized types they become.

use events::skill::{FieldType, Shape};
use std::collections::{BTreeSet, HashMap};

/// A row of `pg_type`.
pub(super) struct EngineType {
    pub name: String,
    /// It lives in `pg_catalog`.
    pub builtin: bool,
    /// `b`ase, `d`omain, `e`num, `c`omposite, `r`ange, `m`ultirange, `p`seudo.
    pub kind: String,
    /// `A` for arrays.
    pub category: String,
    /// 0 for none.
    pub element: u32,
    /// Of a domain, else 0.
    pub base: u32,
    pub base_modifier: i32,
    /// What a domain demands and supplies.
    pub not_null: bool,
    pub has_default: bool,
    pub cast: String,
    pub labels: Vec<String>,
}

#[derive(Default)]
pub(super) struct Types {
    by_oid: HashMap<u32, EngineType>,
    native: HashMap<(u32, i32), String>,
    /// Most columns of a schema share a few shapes.
    resolved: HashMap<(u32, i32), Resolved>,
}

#[derive(Clone)]
pub(super) struct Resolved {
    pub shape: Shape,
    pub cast: String,
    pub not_null: bool,
    pub has_default: bool,
}

/// Domains over domains and arrays of arrays of them end long before this.
const DEPTH_MAX: usize = 16;

impl Types {
    pub(super) fn insert(&mut self, oid: u32, engine_type: EngineType) {
        self.by_oid.insert(oid, engine_type);
    }

    pub(super) fn insert_native(&mut self, oid: u32, modifier: i32, native: String) {
        self.native.insert((oid, modifier), native);
    }

    /// Types of columns, each once.
    pub(super) fn used(&self) -> Vec<u32> {
        let used: BTreeSet<u32> = self.native.keys().map(|(oid, _)| *oid).collect();
        used.into_iter().collect()
    }

    pub(super) fn resolve(&mut self, oid: u32, modifier: i32) -> Resolved {
        if let Some(resolved) = self.resolved.get(&(oid, modifier)) {
            return resolved.clone();
        }
        let mut resolved = self.build(oid, modifier, 0);
        if let Some(native) = self.native.get(&(oid, modifier)) {
            resolved.shape.native_type.clone_from(native);
        }
        self.resolved.insert((oid, modifier), resolved.clone());
        resolved
    }

    fn build(&self, oid: u32, modifier: i32, depth: usize) -> Resolved {
        let Some(engine_type) = self.by_oid.get(&oid).filter(|_| depth < DEPTH_MAX) else {
            // Dropped between two queries of one snapshot: cannot be, but is no reason to fail a discovery.
            return Resolved {
                shape: shape(FieldType::Other, "unknown"),
                cast: String::new(),
                not_null: false,
                has_default: false,
            };
        };
        if engine_type.kind == "d" {
            let base = self.build(engine_type.base, engine_type.base_modifier, depth + 1);
            let mut shape = base.shape;
            shape.native_type.clone_from(&engine_type.cast);
            return Resolved {
                shape,
                cast: base.cast,
                not_null: engine_type.not_null || base.not_null,
                has_default: engine_type.has_default || base.has_default,
            };
        }
        Resolved {
            shape: self.plain(engine_type, modifier, depth),
            cast: engine_type.cast.clone(),
            not_null: false,
            has_default: false,
        }
    }

    /// Whatever is no domain.
    fn plain(&self, engine_type: &EngineType, modifier: i32, depth: usize) -> Shape {
        let mut shape = shape(field_type(engine_type), &engine_type.cast);
        match shape.field_type {
            FieldType::Integer | FieldType::Bigint => {
                shape.integer_bytes = match engine_type.name.as_str() {
                    "int2" => Some(2),
                    "int4" => Some(4),
                    _ => Some(8),
                };
            }
            // Lengths and precisions are kept four above what they say; -1 is none.
            FieldType::String if matches!(engine_type.name.as_str(), "varchar" | "bpchar") => {
                shape.max_length = u64::try_from(modifier - 4).ok();
            }
            FieldType::Decimal if modifier >= 4 => {
                let packed = modifier - 4;
                let scale = ((packed & 0x7ff) ^ 1024) - 1024;
                shape.precision = u32::try_from(packed >> 16 & 0xffff).ok().zip(u32::try_from(scale).ok());
            }
            FieldType::Enum => shape.enum_values.clone_from(&engine_type.labels),
            FieldType::Array => {
                let element = self.build(engine_type.element, modifier, depth + 1);
                shape.element = Some(Box::new(element.shape));
            }
            _ => {}
        }
        shape
    }
}

fn shape(field_type: FieldType, native_type: &str) -> Shape {
    Shape {
        field_type,
        native_type: native_type.to_owned(),
        integer_bytes: None,
        unsigned: false,
        max_length: None,
        precision: None,
        enum_values: Vec::new(),
        set: false,
        element: None,
    }
}

fn field_type(engine_type: &EngineType) -> FieldType {
    if engine_type.kind == "e" {
        return FieldType::Enum;
    }
    if engine_type.kind != "b" {
        return FieldType::Other;
    }
    if !engine_type.builtin {
        // An extension's: only citext, which is text, and arrays of what is known can be read as binary.
        return match engine_type.name.as_str() {
            "citext" => FieldType::String,
            _ if engine_type.category == "A" => FieldType::Array,
            _ => FieldType::Other,
        };
    }
    match engine_type.name.as_str() {
        "bool" => FieldType::Boolean,
        "int2" | "int4" => FieldType::Integer,
        "int8" => FieldType::Bigint,
        "numeric" => FieldType::Decimal,
        "float4" | "float8" => FieldType::Float,
        "text" | "varchar" | "bpchar" | "name" => FieldType::String,
        "date" => FieldType::Date,
        "time" => FieldType::Time,
        "timestamp" => FieldType::Timestamp,
        "timestamptz" => FieldType::Timestamptz,
        "interval" => FieldType::Interval,
        "uuid" => FieldType::Uuid,
        "json" | "jsonb" => FieldType::Json,
        "bytea" => FieldType::Binary,
        // Written without braces and commas, in spite of their category.
        "int2vector" | "oidvector" => FieldType::Other,
        _ if engine_type.category == "A" => FieldType::Array,
        _ => FieldType::Other,
    }
}
