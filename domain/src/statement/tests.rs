mod refused;

use super::*;
use crate::catalog::fixture::clinic;
use crate::catalog::{Catalog, Object};
use events::IntegrationKind::{self, Mysql, Postgres};
use events::skill::{Action, Bind, Direction, Projected, Source};
use serde_json::{Value, json};

fn input(param: &str, arg: &str) -> RequestInput {
    RequestInput { param: param.into(), arg: arg.into(), ..RequestInput::default() }
}

fn optional(param: &str, arg: &str) -> RequestInput {
    RequestInput { required: Some(false), ..input(param, arg) }
}

fn constant(param: &str, arg: &str, value: Value) -> RequestInput {
    RequestInput { source: Source::Constant, value: Some(value), ..input(param, arg) }
}

fn leaf(object: &str, column: &str, leaf: &str) -> Projected {
    Projected { path: vec![object.into(), column.into()], leaf: leaf.into() }
}

fn read(object: &str, arg: &str, projection: Vec<Projected>) -> Request {
    Request {
        operation: format!("{object}.read"),
        inputs: vec![input("by", arg)],
        projection,
        ..Request::default()
    }
}

fn update(inputs: Vec<RequestInput>) -> Request {
    Request {
        operation: "patients.update".into(),
        inputs,
        key_column: Some("id".into()),
        key_param: Some("patient_id".into()),
        ..Request::default()
    }
}

fn insert(inputs: Vec<RequestInput>) -> Request {
    Request { operation: "patients.insert".into(), inputs, ..Request::default() }
}

fn compiled(kind: IntegrationKind, request: &Request) -> Statement {
    let catalog = clinic(kind);
    compile(&catalog, &Blocked::default(), request).unwrap_or_else(|errors| panic!("{errors:#?}")).1
}

fn scoping(scoping: Value) -> Blocked {
    serde_json::from_value(scoping).unwrap()
}

fn wrong_in(catalog: &Catalog, blocked: &Blocked, request: &Request) -> Vec<(String, &'static str)> {
    let errors = compile(catalog, blocked, request).expect_err("it must be refused");
    errors.into_iter().map(|error| (error.field, error.code)).collect()
}

/// Of a request with one fault: its field and code.
fn wrong(request: &Request) -> (String, &'static str) {
    let found = wrong_in(&clinic(Postgres), &Blocked::default(), request);
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

fn changed(change: impl Fn(&mut Object)) -> Catalog {
    let mut catalog = clinic(Postgres);
    catalog.objects.iter_mut().filter(|object| object.name == "patients").for_each(change);
    catalog.finish()
}

#[test]
fn a_read_selects_what_was_asked_for_and_one_row_more_than_its_limit() {
    let request = Request {
        order_by: vec![("full_name".into(), Direction::Desc), ("balance".into(), Direction::Desc)],
        limit: Some(3),
        ..read(
            "patients",
            "phone",
            vec![leaf("patient", "full_name", "name"), leaf("patients", "location", "at")],
        )
    };
    let statement = compiled(Postgres, &request);
    assert_eq!(
        statement.text,
        "SELECT t.\"full_name\", t.\"location\"::text FROM \"public\".\"patients\" AS t \
         WHERE t.\"phone\" = $1::string \
         ORDER BY t.\"full_name\" DESC, t.\"balance\" DESC NULLS LAST, t.\"id\" LIMIT 4"
    );
    assert_eq!(statement.binds, [Bind::Value { parameter: 0 }]);
    assert_eq!(statement.uses_index.as_deref(), Some("patients_phone_idx"));
    assert_eq!((statement.limit, statement.estimated_rows), (3, None));
    assert_eq!(allowed_fields(&statement), ["name", "at"]);
    assert_eq!(
        compiled(Mysql, &request).text,
        "SELECT t.`full_name`, t.`location` FROM `patients` AS t WHERE t.`phone` = ? \
         ORDER BY t.`full_name` DESC, t.`balance` DESC, t.`id` LIMIT 4"
    );
}

#[test]
fn a_projection_follows_one_foreign_key_by_relationship_or_by_an_unambiguous_target() {
    for first in ["patient", "patients"] {
        let statement = compiled(Postgres, &read("appointments", "id", vec![leaf(first, "phone", "phone")]));
        assert_eq!(
            statement.text,
            "SELECT r1.\"phone\" FROM \"public\".\"appointments\" AS t \
             LEFT JOIN \"public\".\"patients\" AS r1 ON r1.\"id\" = t.\"patient_id\" \
             WHERE t.\"id\" = $1::bigint LIMIT 6"
        );
        let touched: Vec<String> = statement
            .touches
            .iter()
            .flat_map(|touched| {
                touched.columns.iter().map(|column| format!("{}.{}", touched.object, column.name))
            })
            .collect();
        assert_eq!(touched, ["appointments.id", "appointments.patient_id", "patients.id", "patients.phone"]);
        assert_eq!(statement.estimated_rows, Some(1));
    }
}

#[test]
fn a_composite_foreign_key_joins_on_all_its_columns_once() {
    let projection = vec![leaf("rooms", "floor", "floor"), leaf("rooms", "number", "number")];
    let text = compiled(Postgres, &read("visits", "clinic_id", projection)).text;
    assert!(
        text.contains(
            "AS r1 ON r1.\"clinic_id\" = t.\"clinic_id\" AND r1.\"number\" = t.\"room_number\" WHERE"
        )
    );
    assert!(!text.contains("r2"));
}

#[test]
fn an_insert_holds_its_constants_beside_the_text() {
    let request = insert(vec![input("name", "full_name"), constant("status", "phone", json!("unknown"))]);
    let statement = compiled(Mysql, &request);
    assert_eq!(statement.text, "INSERT INTO `patients` (`full_name`, `phone`) VALUES (?, ?)");
    assert_eq!(statement.parameters[1].value, Some(json!("unknown")));
    assert_eq!(required_params(&statement), ["name"]);
    let request = Request { projection: vec![leaf("patient", "id", "id")], ..request };
    assert_eq!(
        compiled(Postgres, &request).text,
        "INSERT INTO \"public\".\"patients\" AS t (\"full_name\", \"phone\") VALUES ($1::string, $2::string) \
         RETURNING t.\"id\""
    );
    let found = wrong_in(&clinic(Mysql), &Blocked::default(), &request);
    assert_eq!(found, [("projection".to_owned(), "projection_not_supported")]);
}

#[test]
fn an_update_leaves_alone_what_is_not_given_and_binds_its_key_last() {
    let statement = compiled(Postgres, &update(vec![input("phone", "phone"), optional("owes", "balance")]));
    assert_eq!(
        statement.text,
        "UPDATE \"public\".\"patients\" AS t SET \"phone\" = $1::string, \
         \"balance\" = CASE WHEN $2::boolean THEN $3::decimal ELSE t.\"balance\" END WHERE t.\"id\" = $4::bigint"
    );
    assert_eq!(
        statement.binds,
        [
            Bind::Value { parameter: 1 },
            Bind::Given { parameter: 2 },
            Bind::Value { parameter: 2 },
            Bind::Value { parameter: 0 }
        ]
    );
    assert_eq!(required_params(&statement), ["patient_id", "phone"]);
    assert_eq!(
        compiled(Mysql, &update(vec![optional("owes", "balance")])).text,
        "UPDATE `patients` AS t SET `balance` = CASE WHEN ? THEN CAST(? AS DECIMAL(8,2)) ELSE t.`balance` \
         END WHERE t.`id` = ?"
    );
}

#[test]
fn the_key_parameter_may_be_an_input_of_its_own() {
    let mut request = update(vec![input("patient_id", "id"), input("phone", "phone")]);
    let declared = compiled(Postgres, &update(vec![input("phone", "phone")]));
    let own = compiled(Postgres, &request);
    assert_eq!((own.text, own.binds), (declared.text, declared.binds));
    request.key_param = None;
    assert_eq!(compiled(Postgres, &request).binds.last(), Some(&Bind::Value { parameter: 0 }));
    request.key_param = Some("phone".into());
    assert!(
        wrong_in(&clinic(Postgres), &Blocked::default(), &request)
            .contains(&("keyParam".into(), "key_mismatch"))
    );
    let by_key = Request {
        inputs: Vec::new(),
        key_column: Some("email".into()),
        key_param: Some("mail".into()),
        ..read("patients", "", vec![leaf("patient", "id", "id")])
    };
    assert_eq!(compiled(Postgres, &by_key).parameters[0].name, "mail", "a read may be keyed the same way");
}

#[test]
fn whatever_a_name_holds_it_stays_a_name() {
    for kind in IntegrationKind::ALL {
        let evil = "a\"b`c'd\n;-- $1 ? \\ ä.select";
        let mut catalog = clinic(kind);
        let at = catalog.objects.iter().position(|object| object.name == "rooms").unwrap();
        catalog.objects[at].table = evil.into();
        catalog.objects[at].fields[0].name = evil.into();
        catalog.objects[at].primary_key = vec![evil.into()];
        let catalog = catalog.finish();
        let request = read("rooms", evil, vec![leaf("room", evil, "x")]);
        let text = compile(&catalog, &Blocked::default(), &request).unwrap().1.text;
        let quoted = match kind {
            Postgres => format!("\"{}\"", evil.replace('"', "\"\"")),
            Mysql => format!("`{}`", evil.replace('`', "``")),
        };
        assert_eq!(text.matches(&quoted).count(), 3, "{text}");
    }
    let catalog = changed(|object| object.table = "a\0b".into());
    let found =
        wrong_in(&catalog, &Blocked::default(), &read("patients", "id", vec![leaf("patient", "id", "id")]));
    assert_eq!(found, [("operation".to_owned(), "name_unusable")]);
}

#[test]
fn triggers_and_cascades_of_a_write_are_told() {
    let request = Request {
        operation: "appointments.insert".into(),
        inputs: vec![input("p", "patient_id"), input("s", "starts_at")],
        ..Request::default()
    };
    let effects = compiled(Postgres, &request).side_effects;
    assert!(effects.len() == 1 && effects[0].contains("`log_change`"), "{effects:?}");
    let catalog = changed(|object| object.unique_keys.push(vec!["phone".into()]));
    let mut catalog = catalog;
    for object in &mut catalog.objects {
        for edge in &mut object.relationships {
            if edge.constraint == "visits_patient_fk" {
                edge.on_update = Some("CASCADE".into());
            }
        }
    }
    let request = Request {
        key_column: Some("email".into()),
        key_param: Some("mail".into()),
        ..update(vec![input("new_id", "id")])
    };
    let statement = compile(&catalog, &Blocked::default(), &request).unwrap().1;
    let effects = &statement.side_effects;
    assert!(effects.len() == 1 && effects[0].contains("`visits`"), "{effects:?}");
    assert_eq!(side_effects(&statement, &catalog, &Blocked::default()), *effects, "told again later");
    let blocked = scoping(json!({ "blockedTables": ["visits"] }));
    let effects = compile(&catalog, &blocked, &request).unwrap().1.side_effects;
    assert!(effects.len() == 1 && !effects[0].contains("visits"), "{effects:?}");
    assert_eq!(side_effects(&statement, &catalog, &blocked), effects, "as the scoping is then");
    let before = clinic(Postgres);
    assert_eq!(side_effects(&statement, &before, &blocked), Vec::<String>::new(), "where nothing cascades");
}

#[test]
fn the_hash_follows_what_runs_and_not_what_is_said_about_it() {
    let request = insert(vec![input("n", "full_name"), constant("p", "phone", json!("1"))]);
    let first = compiled(Postgres, &request);
    assert_eq!(first.hash, hash(&first));
    let mut described = request.clone();
    described.inputs[0].description = Some("who".into());
    assert_eq!(compiled(Postgres, &described).hash, first.hash);
    let mut other = request.clone();
    other.inputs[1].value = Some(json!("2"));
    assert_ne!(compiled(Postgres, &other).hash, first.hash);
    assert_ne!(compiled(Mysql, &request).hash, first.hash);
}

#[test]
fn the_tools_schema_is_closed_and_typed_by_column() {
    let request = Request {
        operation: "appointments.insert".into(),
        inputs: vec![
            input("patient", "patient_id"),
            RequestInput { description: Some("When it begins".into()), ..input("begin", "starts_at") },
            input("status", "status"),
            optional("note", "note"),
        ],
        ..Request::default()
    };
    assert_eq!(
        parameters_schema(&compiled(Postgres, &request)),
        json!({
            "type": "object",
            "properties": {
                "patient": { "type": ["integer", "string"], "pattern": "^-?[0-9]+$" },
                "begin": { "type": "string", "format": "date-time", "description": "When it begins" },
                "status": { "type": "string", "enum": ["booked", "cancelled"] },
                "note": { "type": "string" },
            },
            "required": ["patient", "begin", "status"],
            "additionalProperties": false,
        })
    );
}

#[test]
fn the_binding_is_what_its_author_wrote_with_the_gaps_filled() {
    let request = read("patients", "phone", vec![leaf("patient", "id", "id")]);
    let (binding, statement) = compile(&clinic(Postgres), &Blocked::default(), &request).unwrap();
    assert_eq!(
        (binding.limit, binding.inputs[0].required, binding.operation.as_str()),
        (5, true, "patients.read")
    );
    assert_eq!(statement.action, Action::Read);
}

#[test]
fn a_binding_compiles_to_the_same_statement_again() {
    let mut inputs = vec![input("name", "full_name"), optional("mail", "email")];
    inputs.push(constant("status", "phone", json!("unknown")));
    let mut ordered = read("appointments", "patient_id", vec![leaf("patient", "phone", "phone")]);
    ordered.order_by = vec![("starts_at".into(), Direction::Desc)];
    for request in [insert(inputs), update(vec![optional("owes", "balance")]), ordered] {
        let catalog = clinic(Postgres);
        let (binding, statement) = compile(&catalog, &Blocked::default(), &request).unwrap();
        let again = compile(&catalog, &Blocked::default(), &Request::from(&binding)).unwrap();
        assert_eq!(again, (binding, statement));
    }
}
