//! A small clinic, for the tests of this crate.

use super::*;

pub fn shape(field_type: FieldType) -> Shape {
    Shape {
        field_type,
        native_type: field_type.as_str().to_owned(),
        integer_bytes: None,
        unsigned: false,
        max_length: None,
        precision: None,
        enum_values: Vec::new(),
        set: false,
        element: None,
    }
}

/// Nullable and without default.
pub fn field(name: &str, field_type: FieldType) -> Field {
    Field {
        name: name.to_owned(),
        shape: shape(field_type),
        cast: Some(field_type.as_str().to_owned()),
        nullable: true,
        has_default: false,
        generated: false,
        comment: None,
        indexed: Indexed::None,
    }
}

pub fn required(name: &str, field_type: FieldType) -> Field {
    Field { nullable: false, ..field(name, field_type) }
}

pub fn with_default(name: &str, field_type: FieldType) -> Field {
    Field { nullable: false, has_default: true, ..field(name, field_type) }
}

pub fn table(name: &str) -> Object {
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

pub fn belongs_to(constraint: &str, fields: &[&str], target: &str, target_fields: &[&str]) -> Relationship {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Relationship {
        name: String::new(),
        kind: RelationshipKind::BelongsTo,
        fields: owned(fields),
        target: target.to_owned(),
        target_fields: owned(target_fields),
        constraint: constraint.to_owned(),
        on_update: None,
        on_delete: None,
    }
}

pub fn index(name: &str, columns: &[&str]) -> Index {
    Index {
        name: name.to_owned(),
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        unique: false,
    }
}

/// Patients have appointments and visits; a visit belongs to a patient twice, and to a room by a composite key.
pub fn clinic(kind: IntegrationKind) -> Catalog {
    let mut patients = table("patients");
    patients.fields = vec![
        with_default("id", FieldType::Bigint),
        required("full_name", FieldType::String),
        field("phone", FieldType::String),
        field("email", FieldType::String),
        field("ssn", FieldType::String),
        field("balance", FieldType::Decimal),
        with_default("created_at", FieldType::Timestamptz),
        field("location", FieldType::Other),
    ];
    patients.fields[5].shape.precision = Some((8, 2));
    patients.fields[1].shape.max_length = Some(80);
    patients.primary_key = vec!["id".into()];
    patients.unique_keys = vec![vec!["email".into()]];
    patients.indexes = vec![
        Index { unique: true, ..index("patients_pkey", &["id"]) },
        Index { unique: true, ..index("patients_email_key", &["email"]) },
        index("patients_phone_idx", &["phone", "full_name"]),
        index("patients_ssn_idx", &["ssn"]),
    ];

    let mut appointments = table("appointments");
    appointments.fields = vec![
        with_default("id", FieldType::Bigint),
        required("patient_id", FieldType::Bigint),
        required("starts_at", FieldType::Timestamptz),
        with_default("status", FieldType::Enum),
        field("note", FieldType::String),
        Field { generated: true, ..field("search", FieldType::String) },
    ];
    appointments.fields[3].shape.enum_values = vec!["booked".into(), "cancelled".into()];
    appointments.primary_key = vec!["id".into()];
    appointments.indexes = vec![
        Index { unique: true, ..index("appointments_pkey", &["id"]) },
        index("appointments_patient_idx", &["patient_id"]),
    ];
    appointments.relationships =
        vec![belongs_to("appointments_patient_id_fkey", &["patient_id"], "patients", &["id"])];
    appointments.triggers =
        vec![Trigger { name: "log_change".into(), on_insert: true, on_update: false, on_delete: true }];

    let mut rooms = table("rooms");
    rooms.fields = vec![
        required("clinic_id", FieldType::Integer),
        required("number", FieldType::Integer),
        field("floor", FieldType::Integer),
    ];
    rooms.primary_key = vec!["clinic_id".into(), "number".into()];
    rooms.indexes = vec![Index { unique: true, ..index("rooms_pkey", &["clinic_id", "number"]) }];

    let mut visits = table("visits");
    visits.fields = vec![
        required("clinic_id", FieldType::Integer),
        required("room_number", FieldType::Integer),
        field("patient_id", FieldType::Bigint),
        field("referred_by_id", FieldType::Bigint),
    ];
    visits.primary_key = vec!["clinic_id".into(), "room_number".into()];
    visits.indexes = vec![Index { unique: true, ..index("visits_pkey", &["clinic_id", "room_number"]) }];
    visits.relationships = vec![
        belongs_to("visits_patient_fk", &["patient_id"], "patients", &["id"]),
        belongs_to("visits_referrer_fk", &["referred_by_id"], "patients", &["id"]),
        Relationship {
            on_update: Some("CASCADE".into()),
            ..belongs_to("visits_room_fk", &["clinic_id", "room_number"], "rooms", &["clinic_id", "number"])
        },
    ];

    let mut report = Object { kind: ObjectKind::View, ..table("daily_report") };
    report.fields = vec![field("day", FieldType::Date), field("total", FieldType::Bigint)];

    let default_schema = match kind {
        IntegrationKind::Postgres => "public",
        IntegrationKind::Mysql => "clinic",
    };
    let mut objects = vec![visits, rooms, patients, report, appointments];
    for object in &mut objects {
        object.schema = default_schema.to_owned();
        if kind == IntegrationKind::Mysql {
            object.fields.iter_mut().for_each(|field| field.cast = None);
        }
    }
    Catalog { kind, default_schema: default_schema.to_owned(), objects }.finish()
}
