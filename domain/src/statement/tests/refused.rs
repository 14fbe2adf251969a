//! What cannot be bound, and what the client is told.

use super::*;

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
