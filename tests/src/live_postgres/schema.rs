//! Catalogs and plans.

use super::*;
use domain::catalog::{Catalog, Indexed, ObjectKind, RelationshipKind};
use infra::databases::error::Fault;
use infra::secret::Secret;

#[tokio::test]
async fn a_plan_names_the_index_of_the_bound_table_without_values() {
    let credentials = database(BOOKINGS);
    let mut connection = open(&credentials, Session::ReadOnly).await;
    let by_key = statement(
        Action::Read,
        "bookings",
        "SELECT note FROM public.bookings WHERE id = $1::int4 LIMIT 6",
        1,
        1,
        5,
    );
    let plan = connection.explain(&by_key).await.unwrap();
    assert_eq!((plan.uses_index.as_deref(), plan.estimated_rows), (Some("bookings_pkey"), Some(1)));
    let by_note =
        statement(Action::Read, "bookings", "SELECT id FROM public.bookings WHERE note = $1::text", 1, 1, 5);
    assert_eq!(connection.explain(&by_note).await.unwrap().uses_index, None);
    let write = update("UPDATE public.bookings SET note = $1::text WHERE id = $2::int4");
    assert_eq!(connection.explain(&write).await.unwrap().uses_index.as_deref(), Some("bookings_pkey"));
    let broken = read_statement("SELECT nothing FROM public.bookings", 0, 5);
    assert_eq!(connection.explain(&broken).await.unwrap_err().fault, Fault::SchemaMismatch);
    // The connection is as it was.
    assert!(connection.into_reader().read(&by_key, &[Bound::Integer(1)], soon()).await.is_ok());
}

#[tokio::test]
async fn an_extensions_type_is_compared_by_its_own_operators() {
    let credentials = database(
        "CREATE EXTENSION citext;
         CREATE TABLE members (id int PRIMARY KEY, email citext UNIQUE);
         INSERT INTO members SELECT i, 'Member' || i || '@Example.com' FROM generate_series(1, 1000) AS i;
         ANALYZE members",
    );
    let mut connection = open(&credentials, Session::ReadOnly).await;
    let catalog = connection.introspect(&|_| {}).await.unwrap();
    let email = catalog.object("members").unwrap().field("email").unwrap();
    assert_eq!(email.cast.as_deref(), Some("public.citext"));
    let by_email = "SELECT email FROM public.members WHERE email = $1::public.citext LIMIT 6";
    let by_email = statement(Action::Read, "members", by_email, 1, 1, 5);
    let plan = connection.explain(&by_email).await.unwrap();
    assert_eq!(plan.uses_index.as_deref(), Some("members_email_key"));
    let found = connection.into_reader().read(&by_email, &[text("MEMBER7@example.COM")], soon()).await;
    assert_eq!(found.unwrap().rows, [["Member7@Example.com"]]);
}

const SHOP: &str = r#"
    CREATE SCHEMA sales; CREATE SCHEMA hidden;
    CREATE TYPE sales.state AS ENUM ('new', 'paid');
    CREATE DOMAIN phone AS varchar(20) NOT NULL;
    CREATE TABLE customers (
        id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, phone phone UNIQUE, name text COLLATE "C" NOT NULL,
        "Odd ""Name" numeric(10,2) DEFAULT 0, secret text, tags text[], lower_name text GENERATED ALWAYS AS (lower(name)) STORED);
    COMMENT ON TABLE customers IS 'who calls'; COMMENT ON COLUMN customers.phone IS 'E.164';
    CREATE INDEX by_name ON customers (name, id) INCLUDE (phone);
    CREATE INDEX by_name_other ON customers (lower_name COLLATE "POSIX");
    CREATE INDEX by_lower ON customers (lower(name));
    CREATE UNIQUE INDEX partial ON customers (secret) WHERE secret IS NOT NULL;
    CREATE INDEX tags_gin ON customers USING gin (tags);
    CREATE TABLE sales.orders (
        region int, number bigserial, customer_id int NOT NULL REFERENCES customers ON DELETE CASCADE ON UPDATE SET NULL,
        state sales.state DEFAULT 'new', placed timestamptz(3), where_from inet, PRIMARY KEY (region, number));
    CREATE TABLE sales.lines (region int, number bigint, line int,
        FOREIGN KEY (region, number) REFERENCES sales.orders, UNIQUE (line, number));
    CREATE TABLE sales.parts (id int, day date) PARTITION BY RANGE (day);
    CREATE TABLE sales.parts_2024 PARTITION OF sales.parts FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
    CREATE INDEX parts_day ON sales.parts (day);
    CREATE VIEW open_orders AS SELECT * FROM sales.orders WHERE state = 'new';
    CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM sales.orders;
    CREATE TABLE hidden.things (id int PRIMARY KEY);
    CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER audit BEFORE INSERT OR UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION noop();
    CREATE TRIGGER off AFTER DELETE ON customers FOR EACH ROW EXECUTE FUNCTION noop();
    ALTER TABLE customers DISABLE TRIGGER off;
    CREATE ROLE live_clerk LOGIN PASSWORD 'clerk';
    GRANT USAGE ON SCHEMA sales TO live_clerk;
    GRANT SELECT (id, phone, name), INSERT (phone, name), UPDATE (id, phone, name) ON customers TO live_clerk;
    GRANT SELECT ON sales.orders, open_orders TO live_clerk;
"#;

async fn catalog(credentials: &Credentials) -> Catalog {
    open(credentials, Session::ReadOnly).await.introspect(&|_| {}).await.unwrap()
}

#[tokio::test]
async fn a_schema_is_read_with_its_types_keys_indexes_relationships_and_triggers() {
    let credentials = database(SHOP);
    let all = catalog(&credentials).await;
    let names: Vec<_> = all.objects.iter().map(|object| object.name.as_str()).collect();
    assert_eq!(
        names,
        ["customers", "hidden.things", "open_orders", "sales.lines", "sales.orders", "sales.parts", "totals"]
    );
    let customers = all.object("customers").unwrap();
    assert_eq!(customers.comment.as_deref(), Some("who calls"));
    assert_eq!(customers.primary_key, ["id"]);
    assert_eq!(customers.unique_keys, [["phone"]]);
    let indexes: Vec<_> =
        customers.indexes.iter().map(|index| (index.name.as_str(), index.columns.join(","))).collect();
    assert_eq!(
        indexes,
        [
            ("by_name", "name,id".into()),
            ("customers_phone_key", "phone".into()),
            ("customers_pkey", "id".into())
        ]
    );
    let id = customers.field("id").unwrap();
    assert!(id.generated && id.has_default && !id.nullable);
    assert_eq!(id.indexed, Indexed::Unique);
    let phone = customers.field("phone").unwrap();
    assert_eq!(phone.shape.field_type, FieldType::String);
    assert_eq!((phone.shape.max_length, phone.nullable), (Some(20), false));
    assert_eq!(phone.shape.native_type, "public.phone");
    assert_eq!(phone.cast.as_deref(), Some("character varying"));
    assert_eq!(phone.comment.as_deref(), Some("E.164"));
    assert_eq!(customers.field("name").unwrap().indexed, Indexed::Leading);
    assert_eq!(customers.field("secret").unwrap().indexed, Indexed::None);
    let odd = customers.field("Odd \"Name").unwrap();
    assert_eq!((odd.shape.precision, odd.has_default), (Some((10, 2)), true));
    assert_eq!(odd.shape.native_type, "numeric(10,2)");
    let tags = customers.field("tags").unwrap();
    assert_eq!(tags.shape.field_type, FieldType::Array);
    assert_eq!(tags.shape.element.as_ref().unwrap().field_type, FieldType::String);
    assert_eq!(tags.cast.as_deref(), Some("text[]"));
    let lower = customers.field("lower_name").unwrap();
    assert!(lower.generated && !lower.has_default);
    let triggers: Vec<_> =
        customers.triggers.iter().map(|t| (t.name.as_str(), t.on_insert, t.on_update, t.on_delete)).collect();
    assert_eq!(triggers, [("audit", true, true, false)]);

    let orders = all.object("sales.orders").unwrap();
    assert_eq!(orders.primary_key, ["region", "number"]);
    assert!(orders.field("number").unwrap().has_default);
    let state = orders.field("state").unwrap();
    assert_eq!(state.shape.enum_values, ["new", "paid"]);
    assert_eq!(state.cast.as_deref(), Some("sales.state"));
    assert_eq!(orders.field("placed").unwrap().shape.native_type, "timestamp(3) with time zone");
    assert_eq!(orders.field("where_from").unwrap().shape.field_type, FieldType::Other);
    let edge = orders.relationships.iter().find(|edge| edge.kind == RelationshipKind::BelongsTo).unwrap();
    assert_eq!(
        (edge.target.as_str(), edge.fields.as_slice()),
        ("customers", ["customer_id".to_owned()].as_slice())
    );
    assert_eq!((edge.on_delete.as_deref(), edge.on_update.as_deref()), (Some("CASCADE"), Some("SET NULL")));
    let lines = all.object("sales.lines").unwrap();
    let edge = lines.relationships.iter().find(|edge| edge.kind == RelationshipKind::BelongsTo).unwrap();
    assert_eq!(
        (edge.fields.join(","), edge.target_fields.join(",")),
        ("region,number".into(), "region,number".into())
    );
    assert_eq!(lines.unique_keys, [["line", "number"]]);
    assert_eq!(all.object("sales.parts").unwrap().field("day").unwrap().indexed, Indexed::Leading);
    assert_eq!(all.object("open_orders").unwrap().kind, ObjectKind::View);
    assert_eq!(all.object("totals").unwrap().kind, ObjectKind::MaterializedView);

    let mut clerk = credentials.clone();
    clerk.user = "live_clerk".into();
    clerk.password = Secret::new("clerk".into());
    let some = catalog(&clerk).await;
    let names: Vec<_> = some.objects.iter().map(|object| object.name.as_str()).collect();
    assert_eq!(names, ["customers", "open_orders", "sales.orders"]);
    let customers = some.object("customers").unwrap();
    let fields: Vec<_> = customers.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(fields, ["id", "phone", "name"]);
    assert!(!customers.privileges.insert, "one readable column cannot be inserted");
    assert!(customers.privileges.update);
    let orders = some.object("sales.orders").unwrap();
    assert!(!orders.privileges.insert && !orders.privileges.update && orders.privileges.select);
}
