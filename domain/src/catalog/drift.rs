//! Whether a statement that was compiled earlier may still run against the schema and scoping of today.

use super::{Catalog, Field, Indexed, Object, ObjectKind};
use events::integration::QuarantineCause;
use events::scoping::Blocked;
use events::skill::{Action, Bind, Parameter, Statement, Touched};

/// `None` when it may. Judged by what the statement itself carries, never by compiling its binding again: what was
/// published must not depend on today's code. The second part is one sentence for the operator.
pub fn drift(
    statement: &Statement,
    catalog: &Catalog,
    blocked: &Blocked,
) -> Option<(QuarantineCause, String)> {
    for touched in &statement.touches {
        if let Some(reason) = blocked_part(touched, blocked) {
            return Some((QuarantineCause::Blocked, reason));
        }
    }
    drifted(statement, catalog).map(|reason| (QuarantineCause::Drifted, reason))
}

/// What lets a statement run again that was stopped for this cause, in one sentence for the operator.
pub fn remedy(cause: QuarantineCause) -> &'static str {
    match cause {
        QuarantineCause::Blocked => {
            "Unblock what it uses and set isEnabled to true after a review, or bind a skill without it and publish."
        }
        QuarantineCause::Drifted => {
            "Bring back what it relies on, discover again and set isEnabled to true after a review, or bind the skill \
             anew and publish."
        }
        QuarantineCause::TargetChanged => {
            "Discover the database that is connected now: what is valid there runs again by itself."
        }
        QuarantineCause::Disconnected => {
            "Connect and discover the database: what is valid there runs again by itself."
        }
    }
}

fn blocked_part(touched: &Touched, blocked: &Blocked) -> Option<String> {
    let object = &touched.object;
    if blocked.table(object) {
        return Some(format!("The statement uses `{object}`, which is blocked."));
    }
    let column = touched.columns.iter().find(|column| blocked.column(object, &column.name))?;
    Some(format!("The statement uses `{object}.{}`, which is blocked.", column.name))
}

fn drifted(statement: &Statement, catalog: &Catalog) -> Option<String> {
    if statement.dialect != catalog.kind {
        return Some(format!("The statement was written for {}.", statement.dialect));
    }
    for touched in &statement.touches {
        let Some(object) = catalog.object(&touched.object) else {
            return Some(format!("`{}` is gone.", touched.object));
        };
        for column in &touched.columns {
            let Some(field) = object.field(&column.name) else {
                return Some(format!("`{}.{}` is gone.", object.name, column.name));
            };
            if field.shape.native_type != column.native_type {
                return Some(format!(
                    "`{}.{}` was `{}` and is `{}` now.",
                    object.name, column.name, column.native_type, field.shape.native_type
                ));
            }
        }
        let reads = statement.action == Action::Read || !statement.columns.is_empty();
        if reads && !object.privileges.select {
            return Some(format!("The database user may no longer read `{}`.", object.name));
        }
    }
    let Some(object) = catalog.object(&statement.object) else {
        return Some(format!("`{}` is gone.", statement.object));
    };
    match statement.action {
        Action::Read => unindexed(statement, object),
        Action::Insert => {
            unwritable(statement, object, object.privileges.insert).or_else(|| unset(statement, object))
        }
        Action::Update => {
            unwritable(statement, object, object.privileges.update).or_else(|| not_unique(statement, object))
        }
    }
}

/// What a read or an update finds its rows by: the placeholder that stands last, in the WHERE clause.
fn filter(statement: &Statement) -> Option<&Parameter> {
    match statement.binds.last()? {
        Bind::Value { parameter } => statement.parameters.get(*parameter),
        Bind::Given { .. } => None,
    }
}

fn unindexed(statement: &Statement, object: &Object) -> Option<String> {
    let field = filter(statement).and_then(|parameter| object.field(&parameter.column));
    match field.map(|field| (field, field.indexed)) {
        Some((_, Indexed::Unique | Indexed::Leading)) => None,
        Some((field, Indexed::None)) => {
            Some(format!("No index leads with `{}.{}` any more.", object.name, field.name))
        }
        None => Some(format!("The statement has no filter on `{}`.", object.name)),
    }
}

fn not_unique(statement: &Statement, object: &Object) -> Option<String> {
    match filter(statement) {
        Some(parameter) if object.is_unique(&parameter.column) => None,
        Some(parameter) => Some(format!("`{}.{}` is no longer unique.", object.name, parameter.column)),
        None => Some(format!("The statement has no key on `{}`.", object.name)),
    }
}

fn unwritable(statement: &Statement, object: &Object, allowed: bool) -> Option<String> {
    if object.kind != ObjectKind::Table {
        return Some(format!("`{}` is no longer a table.", object.name));
    }
    if !allowed {
        let action = statement.action.as_str();
        return Some(format!("The database user may no longer {action} `{}`.", object.name));
    }
    let written: Vec<(&Parameter, &Field)> = written(statement)
        .filter_map(|parameter| Some((parameter, object.field(&parameter.column)?)))
        .collect();
    if let Some((_, field)) = written.iter().find(|(_, field)| field.generated) {
        return Some(format!("`{}.{}` is computed by the database now.", object.name, field.name));
    }
    let (_, field) = written.iter().find(|(parameter, field)| parameter.nullable && !field.nullable)?;
    Some(format!("`{}.{}` must not be NULL any more.", object.name, field.name))
}

/// The parameters whose values a write stores: all but an update's key.
pub fn written(statement: &Statement) -> impl Iterator<Item = &Parameter> {
    let key = match (statement.action, statement.binds.last()) {
        (Action::Update, Some(Bind::Value { parameter })) => Some(*parameter),
        (Action::Read | Action::Insert | Action::Update, _) => None,
    };
    let parameters = statement.parameters.iter().enumerate();
    parameters.filter(move |(at, _)| Some(*at) != key).map(|(_, parameter)| parameter)
}

fn unset(statement: &Statement, object: &Object) -> Option<String> {
    let set = |field: &Field| statement.parameters.iter().any(|parameter| parameter.column == field.name);
    let field = object.fields.iter().find(|field| field.must_be_set() && !set(field))?;
    Some(format!("`{}.{}` must be set now, and the statement does not set it.", object.name, field.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::fixture::{clinic, required};
    use crate::statement::{Request, RequestInput, compile};
    use events::IntegrationKind;
    use events::skill::{FieldType, Projected};

    fn input(param: &str, arg: &str) -> RequestInput {
        RequestInput { param: param.into(), arg: arg.into(), ..RequestInput::default() }
    }

    fn compiled(request: &Request) -> (Catalog, Statement) {
        let catalog = clinic(IntegrationKind::Postgres);
        let statement = compile(&catalog, &Blocked::default(), request).unwrap().1;
        assert_eq!(drift(&statement, &catalog, &Blocked::default()), None);
        (catalog, statement)
    }

    fn read() -> (Catalog, Statement) {
        compiled(&Request {
            operation: "appointments.read".into(),
            inputs: vec![input("patient", "patient_id")],
            projection: vec![Projected {
                path: vec!["patient".into(), "full_name".into()],
                leaf: "name".into(),
            }],
            ..Request::default()
        })
    }

    fn change(catalog: &mut Catalog, object: &str, change: impl FnOnce(&mut Object)) {
        change(catalog.objects.iter_mut().find(|candidate| candidate.name == object).unwrap());
    }

    fn reason(statement: &Statement, catalog: &Catalog) -> String {
        let (cause, reason) = drift(statement, catalog, &Blocked::default()).expect("it drifted");
        assert_eq!(cause, QuarantineCause::Drifted);
        reason
    }

    #[test]
    fn a_blocked_column_of_a_joined_object_stops_the_statement() {
        let (catalog, statement) = read();
        let blocked: Blocked =
            serde_json::from_value(serde_json::json!({ "blockedColumns": { "patients": ["full_name"] } }))
                .unwrap();
        let (cause, reason) = drift(&statement, &catalog, &blocked).unwrap();
        assert_eq!(cause, QuarantineCause::Blocked);
        assert!(reason.contains("patients.full_name"));
    }

    #[test]
    fn a_read_drifts_with_its_columns_types_and_index() {
        let (mut catalog, statement) = read();
        change(&mut catalog, "appointments", |object| {
            object.indexes.retain(|index| index.columns[0] == "id")
        });
        assert!(reason(&statement, &catalog.finish()).contains("No index"));
        let (mut catalog, statement) = read();
        change(&mut catalog, "patients", |object| object.fields[1].shape.native_type = "bytea".into());
        assert!(reason(&statement, &catalog).contains("`bytea` now"));
        let (mut catalog, statement) = read();
        change(&mut catalog, "patients", |object| object.fields.retain(|field| field.name != "id"));
        assert_eq!(reason(&statement, &catalog), "`patients.id` is gone.");
        let (mut catalog, statement) = read();
        change(&mut catalog, "patients", |object| object.privileges.select = false);
        assert!(reason(&statement, &catalog).contains("no longer read"));
    }

    #[test]
    fn an_insert_drifts_when_a_new_column_must_be_set() {
        let (mut catalog, statement) = compiled(&Request {
            operation: "patients.insert".into(),
            inputs: vec![
                input("name", "full_name"),
                RequestInput { required: Some(false), ..input("tel", "phone") },
            ],
            ..Request::default()
        });
        change(&mut catalog, "patients", |object| object.fields.push(required("insurer", FieldType::String)));
        assert!(reason(&statement, &catalog).contains("patients.insurer` must be set"));
        let mut catalog = clinic(IntegrationKind::Postgres);
        change(&mut catalog, "patients", |object| object.fields[2].nullable = false);
        assert!(reason(&statement, &catalog).contains("must not be NULL"));
    }

    #[test]
    fn an_update_drifts_when_its_key_is_no_longer_unique_or_its_table_became_a_view() {
        let (mut catalog, statement) = compiled(&Request {
            operation: "patients.update".into(),
            inputs: vec![input("tel", "phone")],
            key_column: Some("email".into()),
            key_param: Some("email".into()),
            ..Request::default()
        });
        change(&mut catalog, "patients", |object| object.unique_keys.clear());
        assert!(reason(&statement, &catalog).contains("no longer unique"));
        change(&mut catalog, "patients", |object| object.kind = ObjectKind::View);
        assert!(reason(&statement, &catalog).contains("no longer a table"));
    }
}
