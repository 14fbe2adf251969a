//! Shapes of tables on PostgreSQL.

use super::Expected::{NotBound, Nothing, One};
use super::{Shape, Write, note, update};
use serde_json::json;

/// The function of a trigger, and a table for what triggers leave behind.
const SHARED: &str = "CREATE TABLE trail (what text);
    CREATE FUNCTION leave_trail() RETURNS trigger LANGUAGE plpgsql
        AS $$BEGIN INSERT INTO trail VALUES ('a'), ('b'); RETURN COALESCE(NEW, OLD); END$$;
    CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
    CREATE FUNCTION protest() RETURNS trigger LANGUAGE plpgsql
        AS $$BEGIN RAISE EXCEPTION 'not on sundays'; END$$;";

#[rustfmt::skip] // a line of facts each
pub fn shapes() -> Vec<Shape> {
    let shape = |name, sql, write, expected| Shape { name, sql, write, expected };
    vec![
        shape("shared", SHARED, note(), NotBound("unknown_object")),
        // Keys
        shape("serials", "CREATE TABLE serials (id serial PRIMARY KEY, note text);
            INSERT INTO serials (note) VALUES ('a'), ('a');", note(), One(&[])),
        shape("identities", "CREATE TABLE identities (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text);
            INSERT INTO identities (note) VALUES ('a'), ('a');", Write::Insert(json!({ "note": "b" })), One(&[])),
        shape("always", "CREATE TABLE always (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text);
            INSERT INTO always (note) VALUES ('a');", Write::Insert(json!({ "id": 7, "note": "b" })), NotBound("column_generated")),
        shape("uuids", "CREATE TABLE uuids (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), note text);
            INSERT INTO uuids VALUES ('00000000-0000-0000-0000-000000000001', 'a'), (DEFAULT, 'a');",
            update("id", json!("00000000-0000-0000-0000-000000000001"), "note", json!("b")), One(&[])),
        shape("keyless", "CREATE TABLE keyless (id int, note text); INSERT INTO keyless VALUES (1, 'a'), (1, 'a');",
            note(), NotBound("key_not_unique")),
        shape("halves", "CREATE TABLE halves (id int, b int, note text, UNIQUE (id, b));
            INSERT INTO halves VALUES (1, 1, 'a'), (1, 2, 'a');", note(), NotBound("key_not_unique")),
        shape("partial", "CREATE TABLE partial (id int, live boolean, note text);
            CREATE UNIQUE INDEX ON partial (id) WHERE live; INSERT INTO partial VALUES (1, true, 'a'), (1, false, 'a');",
            note(), NotBound("key_not_unique")),
        shape("expressed", "CREATE TABLE expressed (id int, note text); CREATE UNIQUE INDEX ON expressed (abs(id));
            INSERT INTO expressed VALUES (1, 'a');", note(), NotBound("key_not_unique")),
        shape("mixed", "CREATE TABLE mixed (id int, code text, note text); CREATE UNIQUE INDEX ON mixed (id, lower(code));
            INSERT INTO mixed VALUES (1, 'a', 'a'), (1, 'b', 'a');", note(), NotBound("key_not_unique")),
        shape("including", "CREATE TABLE including (id int, code text, note text);
            CREATE UNIQUE INDEX ON including (id) INCLUDE (code); INSERT INTO including VALUES (1, 'a', 'a'), (2, 'b', 'a');",
            note(), One(&[])),
        shape("nullable", "CREATE TABLE nullable (id int UNIQUE, note text);
            INSERT INTO nullable VALUES (NULL, 'a'), (NULL, 'a'), (1, 'a');", note(), One(&[])),
        shape("nulls_alike", "CREATE TABLE nulls_alike (id int UNIQUE NULLS NOT DISTINCT, note text);
            INSERT INTO nulls_alike VALUES (NULL, 'a'), (1, 'a');", note(), One(&[])),
        shape("deferred", "CREATE TABLE deferred (id int UNIQUE DEFERRABLE INITIALLY DEFERRED, note text);
            INSERT INTO deferred VALUES (1, 'a'), (2, 'a');", note(), One(&[])),
        shape("deferred_clash", "CREATE TABLE deferred_clash (id int PRIMARY KEY, code int UNIQUE DEFERRABLE INITIALLY DEFERRED);
            INSERT INTO deferred_clash VALUES (1, 1), (2, 2);", update("id", json!(1), "code", json!(2)),
            Nothing("refused", "constraint_violated")),
        shape("padded", "CREATE TABLE padded (id char(8) PRIMARY KEY, note text);
            INSERT INTO padded VALUES ('x', 'a'), ('y', 'a');", update("id", json!("x"), "note", json!("b")), One(&[])),
        shape("enumerated", "CREATE TYPE colour AS ENUM ('red', 'blue'); CREATE TABLE enumerated (id colour PRIMARY KEY, note text);
            INSERT INTO enumerated VALUES ('red', 'a'), ('blue', 'a');", update("id", json!("red"), "note", json!("b")), One(&[])),
        shape("domains", "CREATE DOMAIN code AS text CHECK (VALUE ~ '^[a-z]$'); CREATE TABLE domains (id code PRIMARY KEY, note text);
            INSERT INTO domains VALUES ('x', 'a'), ('y', 'a');", update("id", json!("x"), "note", json!("b")), One(&[])),
        shape("cased", "CREATE EXTENSION citext; CREATE TABLE cased (id citext PRIMARY KEY, note text);
            INSERT INTO cased VALUES ('x', 'a'), ('y', 'a');", update("id", json!("X"), "note", json!("b")), One(&[])),
        shape("collated", "CREATE COLLATION anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
            CREATE TABLE collated (id text COLLATE anycase PRIMARY KEY, note text);
            INSERT INTO collated VALUES ('x', 'a'), ('y', 'a');", update("id", json!("X"), "note", json!("b")), One(&[])),
        shape("collated_otherwise", "CREATE TABLE collated_otherwise (id text COLLATE anycase, note text);
            CREATE UNIQUE INDEX ON collated_otherwise (id COLLATE \"C\");
            INSERT INTO collated_otherwise VALUES ('x', 'a'), ('X', 'a');", update("id", json!("x"), "note", json!("b")),
            NotBound("key_not_unique")),
        shape("excluding", "CREATE TABLE excluding (id int PRIMARY KEY, stay int4range, EXCLUDE USING gist (stay WITH &&), note int4range
            GENERATED ALWAYS AS (stay) STORED, n int); INSERT INTO excluding VALUES (1, '[1,3)'), (2, '[5,9)');",
            update("id", json!(1), "n", json!(7)), One(&[])),
        shape("overlapping", "CREATE TABLE overlapping (id int PRIMARY KEY, n int, EXCLUDE (n WITH =));
            INSERT INTO overlapping VALUES (1, 1), (2, 2);", update("id", json!(1), "n", json!(2)), Nothing("refused", "constraint_violated")),
        // Columns
        shape("generated_set", "CREATE TABLE generated_set (id int PRIMARY KEY, n int, twice int GENERATED ALWAYS AS (n * 2) STORED);
            INSERT INTO generated_set VALUES (1, 1);", update("id", json!(1), "twice", json!(2)), NotBound("column_generated")),
        shape("checked", "CREATE TABLE checked (id int PRIMARY KEY, n int CHECK (n > 0)); INSERT INTO checked VALUES (1, 1), (2, 2);",
            update("id", json!(1), "n", json!(-1)), Nothing("refused", "constraint_violated")),
        shape("key_moves", "CREATE TABLE key_moves (id int PRIMARY KEY, note text); INSERT INTO key_moves VALUES (1, 'a'), (2, 'a');",
            update("id", json!(1), "id", json!(2)), NotBound("key_not_settable")),
        // Triggers
        shape("before_row", "CREATE TABLE before_row (id int PRIMARY KEY, note text); INSERT INTO before_row VALUES (1, 'a'), (2, 'a');
            CREATE TRIGGER leaving BEFORE UPDATE ON before_row FOR EACH ROW EXECUTE FUNCTION leave_trail();", note(), One(&["leaving"])),
        shape("after_statement", "CREATE TABLE after_statement (id int PRIMARY KEY, note text); INSERT INTO after_statement VALUES (1, 'a');
            CREATE TRIGGER leaving AFTER UPDATE ON after_statement EXECUTE FUNCTION leave_trail();", note(), One(&["leaving"])),
        shape("of_column", "CREATE TABLE of_column (id int PRIMARY KEY, note text); INSERT INTO of_column VALUES (1, 'a'), (2, 'a');
            CREATE TRIGGER leaving AFTER UPDATE OF note ON of_column FOR EACH ROW EXECUTE FUNCTION leave_trail();", note(), One(&["leaving"])),
        shape("on_insert", "CREATE TABLE on_insert (id int PRIMARY KEY, note text);
            CREATE TRIGGER leaving AFTER INSERT ON on_insert FOR EACH ROW EXECUTE FUNCTION leave_trail();",
            Write::Insert(json!({ "id": 1, "note": "b" })), One(&["leaving"])),
        shape("swallowed", "CREATE TABLE swallowed (id int PRIMARY KEY, note text); INSERT INTO swallowed VALUES (1, 'a');
            CREATE TRIGGER swallowing BEFORE UPDATE ON swallowed FOR EACH ROW EXECUTE FUNCTION swallow();", note(), Nothing("not_found", "no_rows")),
        shape("protesting", "CREATE TABLE protesting (id int PRIMARY KEY, note text); INSERT INTO protesting VALUES (1, 'a');
            CREATE TRIGGER protesting BEFORE UPDATE ON protesting FOR EACH ROW EXECUTE FUNCTION protest();", note(),
            Nothing("refused", "constraint_violated")),
        shape("protesting_late", "CREATE TABLE protesting_late (id int PRIMARY KEY, note text); INSERT INTO protesting_late VALUES (1, 'a');
            CREATE CONSTRAINT TRIGGER protesting AFTER UPDATE ON protesting_late DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION protest();", note(), Nothing("refused", "constraint_violated")),
        shape("disabled", "CREATE TABLE disabled (id int PRIMARY KEY, note text); INSERT INTO disabled VALUES (1, 'a'), (2, 'a');
            CREATE TRIGGER leaving AFTER UPDATE ON disabled FOR EACH ROW EXECUTE FUNCTION leave_trail();
            ALTER TABLE disabled DISABLE TRIGGER leaving;", note(), One(&[])),
        shape("ruled_also", "CREATE TABLE ruled_also (id int PRIMARY KEY, note text); INSERT INTO ruled_also VALUES (1, 'a'), (2, 'a');
            CREATE RULE also AS ON UPDATE TO ruled_also DO ALSO INSERT INTO trail VALUES ('r');", note(), One(&["also"])),
        shape("ruled_nothing", "CREATE TABLE ruled_nothing (id int PRIMARY KEY, note text); INSERT INTO ruled_nothing VALUES (1, 'a');
            CREATE RULE never AS ON UPDATE TO ruled_nothing DO INSTEAD NOTHING;", note(), Nothing("not_found", "no_rows")),
        shape("ruled_all", "CREATE TABLE ruled_targets (note text); INSERT INTO ruled_targets VALUES ('a'), ('a');
            CREATE TABLE ruled_all (id int PRIMARY KEY, note text); INSERT INTO ruled_all VALUES (1, 'a'), (2, 'a');
            CREATE RULE everywhere AS ON UPDATE TO ruled_all DO INSTEAD UPDATE ruled_targets SET note = NEW.note;", note(),
            Nothing("refused", "not_one_row")),
        // Foreign keys
        shape("cascading", "CREATE TABLE cascading (id int PRIMARY KEY, code text UNIQUE); INSERT INTO cascading VALUES (1, 'x'), (2, 'y');
            CREATE TABLE followers (id int PRIMARY KEY, code text UNIQUE REFERENCES cascading (code) ON UPDATE CASCADE);
            CREATE TABLE followers_followers (code text REFERENCES followers (code) ON UPDATE CASCADE);
            CREATE TRIGGER leaving AFTER UPDATE ON followers_followers FOR EACH ROW EXECUTE FUNCTION leave_trail();
            INSERT INTO followers VALUES (1, 'x'); INSERT INTO followers_followers VALUES ('x'), ('x');",
            update("id", json!(1), "code", json!("z")), One(&["`followers`", "`followers_followers`", "leaving"])),
        shape("nulling", "CREATE TABLE nulling (id int PRIMARY KEY, code text UNIQUE); INSERT INTO nulling VALUES (1, 'x'), (2, 'y');
            CREATE TABLE nulled (code text REFERENCES nulling (code) ON UPDATE SET NULL); INSERT INTO nulled VALUES ('x'), ('x');",
            update("id", json!(1), "code", json!("z")), One(&["`nulled`", "SET NULL"])),
        shape("restricting", "CREATE TABLE restricting (id int PRIMARY KEY, code text UNIQUE); INSERT INTO restricting VALUES (1, 'x');
            CREATE TABLE restricted (code text REFERENCES restricting (code)); INSERT INTO restricted VALUES ('x');",
            update("id", json!(1), "code", json!("z")), Nothing("refused", "constraint_violated")),
        shape("own_parent", "CREATE TABLE own_parent (id int PRIMARY KEY, boss int REFERENCES own_parent ON UPDATE CASCADE, note text);
            INSERT INTO own_parent VALUES (1, NULL, 'a'), (2, 1, 'a');", update("id", json!(2), "boss", json!(2)), One(&[])),
        shape("deferred_reference", "CREATE TABLE deferred_reference (id int PRIMARY KEY, boss int
            REFERENCES deferred_reference DEFERRABLE INITIALLY DEFERRED); INSERT INTO deferred_reference VALUES (1, NULL);",
            update("id", json!(1), "boss", json!(99)), Nothing("refused", "constraint_violated")),
        // Partitions and heirs
        shape("partitioned", "CREATE TABLE partitioned (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);
            CREATE TABLE partitioned_1 PARTITION OF partitioned FOR VALUES FROM (0) TO (10);
            CREATE TABLE partitioned_2 PARTITION OF partitioned FOR VALUES FROM (10) TO (20);
            INSERT INTO partitioned VALUES (1, 'a'), (11, 'a');", note(), One(&[])),
        shape("moving", "CREATE TABLE moving (id int, part int, note text, UNIQUE (part)) PARTITION BY LIST (part);
            CREATE TABLE moving_1 PARTITION OF moving FOR VALUES IN (1); CREATE TABLE moving_2 PARTITION OF moving FOR VALUES IN (2);
            INSERT INTO moving VALUES (1, 1, 'a');", update("part", json!(1), "id", json!(5)), One(&[])),
        shape("watched_part", "CREATE TABLE watched_part (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);
            CREATE TABLE watched_part_1 PARTITION OF watched_part FOR VALUES FROM (0) TO (10);
            CREATE TRIGGER leaving AFTER UPDATE ON watched_part_1 FOR EACH ROW EXECUTE FUNCTION leave_trail();
            INSERT INTO watched_part VALUES (1, 'a');", note(), One(&["leaving"])),
        shape("inherited", "CREATE TABLE inherited (id int PRIMARY KEY, note text); CREATE TABLE inherited_heir () INHERITS (inherited);
            INSERT INTO inherited VALUES (1, 'a'); INSERT INTO inherited_heir VALUES (1, 'a');", note(), Nothing("refused", "not_one_row")),
        shape("watched_heir", "CREATE TABLE watched_heir (id int PRIMARY KEY, note text); CREATE TABLE heir_of () INHERITS (watched_heir);
            CREATE TRIGGER leaving AFTER UPDATE ON heir_of FOR EACH ROW EXECUTE FUNCTION leave_trail();
            INSERT INTO heir_of VALUES (1, 'a');", note(), One(&["leaving"])),
        // What is no table, or is only partly there
        shape("simple_view", "CREATE TABLE below (id int PRIMARY KEY, note text); INSERT INTO below VALUES (1, 'a');
            CREATE VIEW simple_view AS SELECT * FROM below;", note(), NotBound("operation_not_allowed")),
        shape("instead_view", "CREATE VIEW instead_view AS SELECT * FROM below;
            CREATE TRIGGER leaving INSTEAD OF UPDATE ON instead_view FOR EACH ROW EXECUTE FUNCTION leave_trail();", note(),
            NotBound("operation_not_allowed")),
        shape("ruled_view", "CREATE VIEW ruled_view AS SELECT * FROM below;
            CREATE RULE everywhere AS ON UPDATE TO ruled_view DO INSTEAD UPDATE below SET note = NEW.note;", note(),
            NotBound("operation_not_allowed")),
        shape("kept_view", "CREATE MATERIALIZED VIEW kept_view AS SELECT * FROM below; CREATE UNIQUE INDEX ON kept_view (id);", note(),
            NotBound("operation_not_allowed")),
        shape("foreign_rows", "CREATE EXTENSION postgres_fdw; CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw;
            CREATE FOREIGN TABLE foreign_rows (id int, note text) SERVER elsewhere;", Write::Insert(json!({ "id": 1, "note": "b" })),
            NotBound("operation_not_allowed")),
        shape("unlogged", "CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY, note text); INSERT INTO unlogged VALUES (1, 'a'), (2, 'a');",
            note(), One(&[])),
        shape("hidden_rows", "CREATE TABLE hidden_rows (id int PRIMARY KEY, note text); INSERT INTO hidden_rows VALUES (1, 'a'), (2, 'a');
            ALTER TABLE hidden_rows ENABLE ROW LEVEL SECURITY; CREATE POLICY second ON hidden_rows USING (id = 2);", note(),
            Nothing("not_found", "no_rows")),
        shape("guarded_rows", "CREATE TABLE guarded_rows (id int PRIMARY KEY, note text); INSERT INTO guarded_rows VALUES (1, 'a'), (2, 'a');
            ALTER TABLE guarded_rows ENABLE ROW LEVEL SECURITY;
            CREATE POLICY no_b ON guarded_rows USING (true) WITH CHECK (note <> 'b');", note(), Nothing("refused", "permission_denied")),
        shape("wide_insert", "CREATE TABLE wide_insert (id int PRIMARY KEY, tags text[], at timestamptz DEFAULT now(), note text);",
            Write::Insert(json!({ "id": 1, "tags": ["a", "b"], "note": "b" })), One(&[])),
    ]
}
