//! What a catalog tells of columns, keys, engines and rights.

use super::*;
use domain::catalog::{Indexed, ObjectKind, RelationshipKind};
use infra::secret::Secret;

#[tokio::test]
async fn columns_tell_their_defaults_lengths_and_what_the_engine_computes() {
    let admin = database(
        "CREATE TABLE parent (a INT, b VARCHAR(5), PRIMARY KEY (a, b)) COMMENT 'the ''parent''';
        CREATE TABLE child (id INT PRIMARY KEY AUTO_INCREMENT, pa INT, pb VARCHAR(5) NOT NULL COMMENT 'second',
            n VARCHAR(40) NOT NULL DEFAULT 'x', m VARCHAR(40) DEFAULT NULL, g INT AS (LENGTH(n) + 1) STORED,
            v INT AS (LENGTH(n)) VIRTUAL, at DATETIME DEFAULT CURRENT_TIMESTAMP, doc JSON, body TEXT, place POINT,
            UNIQUE KEY un (n), KEY prefixed (m(10)), KEY hidden (at) IGNORED, FULLTEXT KEY words (body),
            CONSTRAINT to_parent FOREIGN KEY (pa, pb) REFERENCES parent (a, b) ON DELETE CASCADE ON UPDATE CASCADE);
        CREATE TABLE heap (id INT PRIMARY KEY) ENGINE = MyISAM;
        CREATE VIEW seen AS SELECT id, n FROM child;
        CREATE TRIGGER before_child BEFORE UPDATE ON child FOR EACH ROW SET NEW.m = NEW.n",
    );
    let catalog = catalog(&admin).await;
    let child = catalog.object("child").unwrap();
    let facts = |name: &str| {
        let field = child.field(name).unwrap();
        (field.nullable, field.has_default, field.generated)
    };
    assert_eq!(facts("id"), (false, true, false));
    assert_eq!(facts("pa"), (true, false, false));
    assert_eq!(facts("pb"), (false, false, false));
    assert_eq!(facts("n"), (false, true, false));
    assert_eq!(facts("m"), (true, false, false));
    assert_eq!(facts("g"), (true, false, true));
    assert_eq!(facts("v"), (true, false, true));
    assert_eq!(facts("at"), (true, true, false));
    assert_eq!(child.field("n").unwrap().shape.max_length, Some(40));
    assert_eq!(child.field("pb").unwrap().comment.as_deref(), Some("second"));
    assert_eq!(child.field("doc").unwrap().shape.field_type, FieldType::Json);
    assert_eq!(child.field("place").unwrap().shape.field_type, FieldType::Other);
    assert_eq!(child.unique_keys, [["n"]]);
    let indexes: Vec<_> = child.indexes.iter().map(|index| (index.name.as_str(), index.unique)).collect();
    assert_eq!(indexes, [("PRIMARY", true), ("prefixed", false), ("to_parent", false), ("un", true)]);
    let edge = child.relationships.iter().find(|edge| edge.kind == RelationshipKind::BelongsTo).unwrap();
    assert_eq!(
        (edge.fields.as_slice(), edge.target.as_str()),
        (["pa".into(), "pb".into()].as_slice(), "parent")
    );
    assert_eq!((edge.on_update.as_deref(), edge.on_delete.as_deref()), (Some("CASCADE"), Some("CASCADE")));
    assert_eq!(child.triggers.len(), 1);
    assert!(child.triggers[0].on_update && !child.triggers[0].on_insert);
    assert_eq!(catalog.object("parent").unwrap().comment.as_deref(), Some("the 'parent'"));
    let seen = catalog.object("seen").unwrap();
    assert_eq!((seen.kind, seen.fields.len(), seen.indexes.len()), (ObjectKind::View, 2, 0));
    // An engine that cannot roll back takes no writes.
    let heap = catalog.object("heap").unwrap().privileges;
    assert!(heap.select && !heap.insert && !heap.update);
}

#[tokio::test]
async fn a_catalog_holds_what_its_user_may_read_and_its_rights() {
    let mut login = database(
        "CREATE TABLE open (id INT PRIMARY KEY, a INT, KEY (a));
         CREATE TABLE partly (id INT PRIMARY KEY, a INT, secret INT NOT NULL,
            UNIQUE KEY s (secret), KEY mixed (a, secret));
         CREATE TABLE closed (id INT PRIMARY KEY);
         CREATE USER limited IDENTIFIED BY 'limited 1' REQUIRE SSL;
         GRANT SELECT, INSERT ON open TO limited;
         GRANT SELECT (id, a), INSERT (id, a, secret), UPDATE (a) ON partly TO limited",
    );
    login.user = "limited".into();
    login.password = Secret::new("limited 1".into());
    let mut connection = read_only(&login).await;
    let catalog = connection.introspect(&|_| {}).await.unwrap();
    let names: Vec<_> = catalog.objects.iter().map(|object| object.name.as_str()).collect();
    assert_eq!(names, ["open", "partly"]);
    let open = catalog.object("open").unwrap().privileges;
    assert!(open.select && open.insert && !open.update);
    let partly = catalog.object("partly").unwrap();
    assert_eq!(partly.fields.len(), 2);
    assert!(partly.unique_keys.is_empty());
    let mixed = partly.indexes.iter().find(|index| index.name == "mixed").unwrap();
    assert_eq!((mixed.columns.as_slice(), mixed.unique), (["a".to_owned()].as_slice(), false));
    // The required column that it may not see stands in the way of any insert.
    assert!(!partly.privileges.insert && !partly.privileges.update);
    assert_eq!(connection.count_objects().await.unwrap(), 2);
    assert_eq!(connection.probe_read().await.unwrap().as_deref(), Some("open"));
}

#[tokio::test]
async fn a_table_may_refer_to_itself_and_have_a_composite_key() {
    let admin = database(
        "CREATE TABLE Employee (EmployeeId INT PRIMARY KEY, LastName VARCHAR(20) NOT NULL, ReportsTo INT,
            CONSTRAINT boss FOREIGN KEY (ReportsTo) REFERENCES Employee (EmployeeId));
         CREATE TABLE Shift (EmployeeId INT, Day DATE, PRIMARY KEY (EmployeeId, Day))",
    );
    let catalog = catalog(&admin).await;
    assert_eq!(catalog.default_schema, admin.database);
    let employee = catalog.object("Employee").unwrap();
    let edge = employee.relationships.iter().find(|edge| edge.kind == RelationshipKind::BelongsTo).unwrap();
    assert_eq!((edge.fields[0].as_str(), edge.target.as_str()), ("ReportsTo", "Employee"));
    let indexed = |name: &str| employee.field(name).unwrap().indexed;
    assert_eq!(indexed("EmployeeId"), Indexed::Unique);
    assert_eq!(indexed("ReportsTo"), Indexed::Leading);
    assert_eq!(indexed("LastName"), Indexed::None);
    assert_eq!(catalog.object("Shift").unwrap().primary_key, ["EmployeeId", "Day"]);
}
