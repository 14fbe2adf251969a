//! Statements that the compiler makes of a discovered schema, run as they are.

use super::*;
use domain::catalog::Indexed;

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[tokio::test]
async fn every_indexed_column_finds_the_row_it_was_taken_from() {
    let clinic = clinic();
    let catalog = catalog(&clinic).await;
    let (mut planner, connection) = (read_only(&clinic).await, reader(&clinic).await);
    let mut asked = 0;
    for object in &catalog.objects {
        for field in object.fields.iter().filter(|field| field.indexed != Indexed::None) {
            let (column, table) = (quoted(&field.name), quoted(&object.table));
            let sample = format!("SELECT {column} FROM {table} WHERE {column} IS NOT NULL LIMIT 1");
            let sample = statement(Action::Read, &sample, &[], &[(&field.name, &field.shape)]);
            let sample = connection.read(&sample, &[], soon()).await.unwrap().rows;
            let value = sample[0][0].clone();
            let read = read_by(&catalog, &object.name, &field.name);
            planner.explain(&read).await.unwrap();
            let argument = bound(&read, &json!({ "key": value })).unwrap();
            let found = connection.read(&read, &argument, soon()).await.unwrap();
            let at = object.fields.iter().position(|other| other.name == field.name).unwrap();
            assert!(!found.rows.is_empty(), "{}.{}", object.name, field.name);
            assert!(found.rows.iter().all(|row| row[at] == value), "{}.{}", object.name, field.name);
            asked += 1;
        }
    }
    assert!(asked >= 30, "{asked}");
}

#[tokio::test]
async fn a_plan_names_the_index_and_estimates_rows() {
    let clinic = clinic();
    let catalog = catalog(&clinic).await;
    let mut connection = read_only(&clinic).await;
    let plan = connection.explain(&read_by(&catalog, "patients", "last_name")).await.unwrap();
    assert_eq!(plan.uses_index.as_deref(), Some("patients_last_name"));
    let plan = connection.explain(&read_by(&catalog, "patients", "id")).await.unwrap();
    assert_eq!((plan.uses_index.as_deref(), plan.estimated_rows), (Some("PRIMARY"), Some(1)));
    let text = shape(FieldType::String, "varchar(200)");
    let scan = "SELECT reason FROM appointments WHERE reason = ? LIMIT 6";
    let scan = statement(Action::Read, scan, &[("reason", &text)], &[("reason", &text)]);
    assert_eq!(connection.explain(&scan).await.unwrap().uses_index, None);
}

#[tokio::test]
async fn rows_beyond_the_limit_are_cut_and_said_to_be() {
    let admin = database(
        "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, team INT NOT NULL, KEY (team));
         INSERT INTO t (team) VALUES (1), (1), (1), (1), (1), (1), (2)",
    );
    let catalog = catalog(&admin).await;
    let connection = reader(&admin).await;
    let by_team = read_by(&catalog, "t", "team");
    let found = connection.read(&by_team, &[Bound::Integer(1)], soon()).await.unwrap();
    assert_eq!((found.rows.len(), found.truncated), (5, true));
    let found = connection.read(&by_team, &[Bound::Integer(2)], soon()).await.unwrap();
    assert_eq!((found.rows.len(), found.truncated), (1, false));
    let text = shape(FieldType::String, "longtext");
    let big = statement(Action::Read, "SELECT REPEAT('x', 100000)", &[], &[("big", &text)]);
    let found = connection.read(&big, &[], soon()).await.unwrap();
    assert_eq!((found.rows.len(), found.truncated), (0, true));
    assert!(connection.is_usable());
}

#[tokio::test]
async fn a_compiled_insert_and_update_change_their_one_row() {
    let admin = database(
        "CREATE TABLE bookings (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, code CHAR(6) NOT NULL UNIQUE,
            guest VARCHAR(40) NOT NULL, starts DATETIME NOT NULL, price DECIMAL(8,2), paid TINYINT(1) NOT NULL DEFAULT 0)",
    );
    let catalog = catalog(&admin).await;
    let insert = Request {
        operation: "bookings.insert".into(),
        inputs: ["code", "guest", "starts", "price"].map(|column| input(column, column)).into(),
        ..Request::default()
    };
    let insert = compile(&catalog, &Blocked::default(), &insert).unwrap().1;
    let optional = |column: &str| RequestInput { required: Some(false), ..input(column, column) };
    let update = Request {
        operation: "bookings.update".into(),
        inputs: vec![optional("guest"), optional("price"), optional("paid")],
        key_column: Some("code".into()),
        key_param: Some("code".into()),
        ..Request::default()
    };
    let update = compile(&catalog, &Blocked::default(), &update).unwrap().1;
    let mut writer = writer(&admin).await;
    writer.explain(&insert).await.unwrap();
    writer.explain(&update).await.unwrap();

    let booking =
        json!({ "code": "AB12CD", "guest": "Ada", "starts": "2026-05-01T10:00:00+02:00", "price": 12.5 });
    let written = writer.write(&insert, &bound(&insert, &booking).unwrap(), soon(), None).await.unwrap();
    assert_eq!((written.matched, written.changed), (1, 1));
    let paid = json!({ "code": "AB12CD", "paid": true });
    let written = writer.write(&update, &bound(&update, &paid).unwrap(), soon(), None).await.unwrap();
    assert_eq!((written.matched, written.changed), (1, 1));
    let written = writer.write(&update, &bound(&update, &paid).unwrap(), soon(), None).await.unwrap();
    assert_eq!((written.matched, written.changed), (1, 0));

    let by_code = read_by(&catalog, "bookings", "code");
    let key = bound(&by_code, &json!({ "key": "AB12CD" })).unwrap();
    let rows = reader(&admin).await.read(&by_code, &key, soon()).await.unwrap().rows;
    assert_eq!(
        rows,
        [vec![
            json!(1),
            json!("AB12CD"),
            json!("Ada"),
            json!("2026-05-01T08:00:00"),
            json!("12.50"),
            json!(true)
        ]]
    );
}
