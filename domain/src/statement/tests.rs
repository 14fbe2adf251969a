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
        "SELECT t.`full_name`, t.`location` FROM `clinic`.`patients` AS t WHERE t.`phone` = ? \
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
    assert_eq!(statement.text, "INSERT INTO `clinic`.`patients` (`full_name`, `phone`) VALUES (?, ?)");
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
        "UPDATE `clinic`.`patients` AS t SET `balance` = CASE WHEN ? THEN CAST(? AS DECIMAL(8,2)) ELSE t.`balance` \
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
fn a_wrong_operation_is_answered_with_the_nearest_right_ones() {
    let near = |operation: &str| {
        let request = Request { operation: operation.into(), ..Request::default() };
        let errors = compile(&clinic(Postgres), &Blocked::default(), &request).unwrap_err();
        (errors[0].code, errors[0].nearest.clone())
    };
    assert_eq!(near("patient.read").1[0], "patients.read");
    assert_eq!(near("patient.read").0, "unknown_object");
    assert_eq!(near("patients.delete").0, "unknown_operation");
    assert_eq!(near("patients.delete").1, ["patients.read", "patients.insert", "patients.update"]);
    assert_eq!(near("patients").0, "unknown_operation");
}

#[test]
fn views_and_missing_privileges_refuse_the_operation() {
    let request = Request {
        operation: "daily_report.insert".into(),
        inputs: vec![input("d", "day")],
        ..Request::default()
    };
    assert_eq!(wrong(&request), ("operation".into(), "operation_not_allowed"));
    let catalog = changed(|object| object.privileges.update = false);
    let found = wrong_in(&catalog, &Blocked::default(), &update(vec![input("phone", "phone")]));
    assert_eq!(found, [("operation".to_owned(), "operation_not_allowed")]);
}

#[test]
fn a_read_filters_on_exactly_one_indexed_column() {
    let projection = || vec![leaf("patients", "id", "id")];
    let errors = compile(&clinic(Postgres), &Blocked::default(), &read("patients", "balance", projection()))
        .unwrap_err();
    assert_eq!((errors[0].field.as_str(), errors[0].code), ("inputs[0].arg", "filter_not_indexed"));
    assert!(errors[0].message.contains("`id`, `phone`, `email`, `ssn`"), "{}", errors[0].message);
    let mut request = read("patients", "phone", projection());
    request.inputs.push(input("mail", "email"));
    assert_eq!(wrong(&request), ("inputs[1].arg".into(), "too_many_filters"));
    request.inputs.clear();
    assert_eq!(wrong(&request), ("inputs".into(), "filter_missing"));
    request.inputs = vec![optional("phone", "phone")];
    assert_eq!(wrong(&request), ("inputs[0].required".into(), "filter_must_be_required"));
    request.inputs = vec![input("phone", "phone")];
    request.projection.clear();
    assert_eq!(wrong(&request), ("projection".into(), "projection_empty"));
}

#[test]
fn an_update_needs_a_unique_key_and_something_to_set() {
    let keyed = |column: &str, inputs| Request { key_column: Some(column.into()), ..update(inputs) };
    assert_eq!(wrong(&keyed("phone", vec![input("n", "full_name")])), ("keyColumn".into(), "key_not_unique"));
    assert_eq!(wrong(&update(vec![])), ("inputs".into(), "inputs_missing"));
    assert_eq!(
        wrong(&update(vec![input("x", "id"), input("n", "phone")])),
        ("inputs[0].arg".into(), "key_not_settable")
    );
    let request = Request { key_column: None, key_param: None, ..update(vec![input("n", "full_name")]) };
    assert_eq!(wrong(&request), ("keyColumn".into(), "key_missing"));
    let request = Request { key_column: None, ..update(vec![input("n", "full_name")]) };
    assert_eq!(wrong(&request), ("keyColumn".into(), "key_missing"));
    let request =
        Request { operation: "rooms.update".into(), ..keyed("clinic_id", vec![input("f", "floor")]) };
    assert_eq!(
        wrong(&request),
        ("keyColumn".into(), "key_not_unique"),
        "part of a composite key is not unique"
    );
}

#[test]
fn an_insert_sets_what_must_be_set_and_does_not_overwrite_defaults() {
    assert_eq!(wrong(&insert(vec![input("p", "phone")])), ("inputs".into(), "required_column_missing"));
    let inputs = vec![optional("n", "full_name")];
    assert_eq!(wrong(&insert(inputs)), ("inputs[0].required".into(), "required_column_optional"));
    let inputs = vec![input("n", "full_name"), optional("c", "created_at")];
    assert_eq!(wrong(&insert(inputs)), ("inputs[1].required".into(), "default_overwritten"));
    let inputs = vec![input("n", "full_name"), input("m", "full_name")];
    assert_eq!(wrong(&insert(inputs)), ("inputs[1].arg".into(), "duplicate_column"));
    let inputs = vec![input("n", "full_name"), input("l", "location")];
    assert_eq!(wrong(&insert(inputs)), ("inputs[1].arg".into(), "type_not_bindable"));
    let request = Request { key_column: Some("id".into()), ..insert(vec![input("n", "full_name")]) };
    assert_eq!(wrong(&request), ("keyColumn".into(), "key_not_applicable"));
    let request = Request {
        operation: "appointments.insert".into(),
        inputs: vec![input("p", "patient_id"), input("s", "starts_at"), input("x", "search")],
        ..Request::default()
    };
    assert_eq!(wrong(&request), ("inputs[2].arg".into(), "column_generated"));
}

#[test]
fn sources_and_values_belong_together() {
    let with = |input: RequestInput| insert(vec![input, constant("n", "full_name", json!("x"))]);
    let caller = |param: &str| RequestInput { source: Source::Caller, ..input(param, "phone") };
    let bare = RequestInput { source: Source::Constant, ..input("p", "phone") };
    let valued = RequestInput { value: Some(json!("x")), ..input("p", "phone") };
    assert_eq!(wrong(&with(bare)), ("inputs[0].value".into(), "constant_without_value"));
    assert_eq!(wrong(&with(valued)), ("inputs[0].value".into(), "value_without_constant"));
    assert_eq!(wrong(&with(constant("p", "phone", json!(7)))), ("inputs[0].value".into(), "invalid_value"));
    assert_eq!(wrong(&with(caller("callers_phone"))), ("inputs[0].param".into(), "unknown_caller_param"));
    let statement = compiled(Postgres, &with(caller("caller_phone")));
    assert_eq!(
        parameters_schema(&statement)["properties"],
        json!({}),
        "neither caller nor constant is the model's"
    );
    assert!(required_params(&statement).is_empty());
}

#[test]
fn names_of_parameters_and_leaves_are_checked_even_when_the_operation_is_unknown() {
    let request = Request {
        operation: "nothing.read".into(),
        inputs: vec![input("1st", "x"), input("a", "x"), input("a", "y")],
        projection: vec![leaf("x", "y", "Name"), leaf("x", "y", "b"), leaf("x", "y", "b")],
        limit: Some(101),
        ..Request::default()
    };
    let found = wrong_in(&clinic(Postgres), &Blocked::default(), &request);
    let expected = [
        ("operation", "unknown_object"),
        ("limit", "limit_out_of_range"),
        ("projection[0].leaf", "invalid_leaf"),
        ("projection[2].leaf", "duplicate_leaf"),
        ("inputs[0].param", "invalid_param"),
        ("inputs[2].param", "duplicate_param"),
    ];
    assert_eq!(found, expected.map(|(field, code)| (field.to_owned(), code)));
}

#[test]
fn paths_that_lead_nowhere_twice_or_too_far_are_told_apart() {
    let path = |path: &[&str]| {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        wrong(&read("visits", "clinic_id", vec![Projected { path, leaf: "x".into() }]))
    };
    assert_eq!(path(&["visits"]), ("projection[0].path".into(), "path_invalid"));
    assert_eq!(path(&["room", "nothing"]), ("projection[0].path[0]".into(), "unknown_relationship"));
    assert_eq!(path(&["rooms", "flor"]), ("projection[0].path[1]".into(), "unknown_column"));
    assert_eq!(path(&["patients", "phone"]), ("projection[0].path[0]".into(), "ambiguous_relationship"));
    assert_eq!(path(&["appointments", "note"]), ("projection[0].path[0]".into(), "unknown_relationship"));
    let twice = vec![leaf("appointments", "note", "a"), leaf("visits_patient_fk", "clinic_id", "b")];
    assert_eq!(wrong(&read("patients", "id", twice)), ("projection[1].path[0]".into(), "path_invalid"));
    let write = Request {
        projection: vec![leaf("appointments", "note", "note")],
        ..insert(vec![input("n", "full_name")])
    };
    assert_eq!(wrong(&write), ("projection[0].path[0]".into(), "path_invalid"));
}

#[test]
fn orders_are_for_reads_and_columns_that_have_one() {
    let order = |columns: &[&str]| Request {
        order_by: columns.iter().map(|column| ((*column).to_owned(), Direction::Asc)).collect(),
        ..read("patients", "id", vec![leaf("patient", "id", "id")])
    };
    assert_eq!(wrong(&order(&["nme"])), ("orderBy[0].column".into(), "unknown_column"));
    assert_eq!(wrong(&order(&["location"])), ("orderBy[0].column".into(), "order_not_sortable"));
    assert_eq!(wrong(&order(&["phone", "phone"])), ("orderBy[1].column".into(), "duplicate_column"));
    let request = Request { order_by: order(&["id"]).order_by, ..insert(vec![input("n", "full_name")]) };
    assert_eq!(wrong(&request), ("orderBy".into(), "order_not_applicable"));
}

#[test]
fn what_is_blocked_cannot_be_bound_and_is_never_suggested() {
    let catalog = clinic(Postgres);
    let blocked =
        scoping(json!({ "blockedTables": ["rooms"], "blockedColumns": { "patients": ["ssn", "phone"] } }));
    let one = |request: &Request| {
        let found = wrong_in(&catalog, &blocked, request);
        assert_eq!(found.len(), 1, "{found:?}");
        found.into_iter().next().unwrap()
    };
    let id = || vec![leaf("patients", "id", "id")];
    assert_eq!(one(&read("rooms", "clinic_id", id())).1, "column_blocked");
    assert_eq!(one(&read("patients", "phone", id())), ("inputs[0].arg".into(), "column_blocked"));
    assert_eq!(
        one(&read("patients", "id", vec![leaf("patients", "ssn", "x")])),
        ("projection[0].path[1]".into(), "column_blocked")
    );
    assert_eq!(one(&read("visits", "clinic_id", vec![leaf("rooms", "floor", "x")])).1, "column_blocked");
    assert_eq!(one(&read("appointments", "id", vec![leaf("patient", "phone", "x")])).1, "column_blocked");
    for request in [
        read("roms", "x", id()),
        read("patients", "snn", id()),
        read("patients", "phne", id()),
        read("patients", "balance", id()),
        read("visits", "clinic_id", vec![leaf("room", "floor", "x")]),
    ] {
        let text = serde_json::to_string(&compile(&catalog, &blocked, &request).unwrap_err()).unwrap();
        for name in ["ssn", "`phone`", "\"phone\"", "rooms"] {
            assert!(!text.contains(name), "{name} in {text}");
        }
    }
}

#[test]
fn a_blocked_column_that_must_be_set_shuts_the_insert_without_naming_it() {
    let blocked = scoping(json!({ "blockedColumns": { "patients": ["full_name"] } }));
    let errors = compile(&clinic(Postgres), &blocked, &insert(vec![input("p", "phone")])).unwrap_err();
    assert_eq!(errors[0].code, "column_blocked");
    assert!(!errors[0].message.contains("full_name"));
}

#[test]
fn a_blocked_primary_key_breaks_no_ties() {
    let blocked = scoping(json!({ "blockedColumns": { "patients": ["id"] } }));
    let request = Request {
        order_by: vec![("email".into(), Direction::Asc)],
        ..read("patients", "phone", vec![leaf("patient", "email", "mail")])
    };
    let statement = compile(&clinic(Postgres), &blocked, &request).unwrap().1;
    assert!(statement.text.ends_with("ORDER BY t.\"email\" LIMIT 6"), "{}", statement.text);
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
    let effects = compile(&catalog, &Blocked::default(), &request).unwrap().1.side_effects;
    assert!(effects.len() == 1 && effects[0].contains("`visits`"), "{effects:?}");
    let blocked = scoping(json!({ "blockedTables": ["visits"] }));
    let effects = compile(&catalog, &blocked, &request).unwrap().1.side_effects;
    assert!(effects.len() == 1 && !effects[0].contains("visits"), "{effects:?}");
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
                "note": { "type": ["string", "null"] },
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
