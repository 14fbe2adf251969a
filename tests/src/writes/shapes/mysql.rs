//! Shapes of tables on MariaDB.

use super::Expected::{NotBound, Nothing, One};
use super::{Shape, Write, note, update};
use serde_json::json;

#[rustfmt::skip] // a line of facts each
pub fn shapes() -> Vec<Shape> {
    let shape = |name, sql, write, expected| Shape { name, sql, write, expected };
    vec![
        shape("trail", "CREATE TABLE trail (what varchar(40));", note(), NotBound("unknown_column")),
        // Keys
        shape("counted", "CREATE TABLE counted (id int AUTO_INCREMENT PRIMARY KEY, note varchar(9));
            INSERT INTO counted (note) VALUES ('a'), ('a');", note(), One(&[])),
        shape("counted_insert", "CREATE TABLE counted_insert (id int AUTO_INCREMENT PRIMARY KEY, note varchar(9));
            INSERT INTO counted_insert (note) VALUES ('a');", Write::Insert(json!({ "note": "b" })), One(&[])),
        shape("sequenced", "CREATE SEQUENCE numbers; CREATE TABLE sequenced (id int DEFAULT NEXTVAL(numbers) PRIMARY KEY, note varchar(9));
            INSERT INTO sequenced (note) VALUES ('a');", Write::Insert(json!({ "note": "b" })), One(&[])),
        shape("uuids", "CREATE TABLE uuids (id uuid PRIMARY KEY, note varchar(9));
            INSERT INTO uuids VALUES ('00000000-0000-0000-0000-000000000001', 'a'), (UUID(), 'a');",
            update("id", json!("00000000-0000-0000-0000-000000000001"), "note", json!("b")), One(&[])),
        shape("keyless", "CREATE TABLE keyless (id int, note varchar(9)); INSERT INTO keyless VALUES (1, 'a'), (1, 'a');",
            note(), NotBound("key_not_unique")),
        shape("halves", "CREATE TABLE halves (id int, b int, note varchar(9), UNIQUE (id, b)); INSERT INTO halves VALUES (1, 1, 'a'), (1, 2, 'a');",
            note(), NotBound("key_not_unique")),
        shape("prefixed", "CREATE TABLE prefixed (id varchar(90), note varchar(9), UNIQUE (id(1)));
            INSERT INTO prefixed VALUES ('x', 'a');", update("id", json!("x"), "note", json!("b")), NotBound("key_not_unique")),
        shape("long_key", "CREATE TABLE long_key (id text, note varchar(9), UNIQUE (id)); INSERT INTO long_key VALUES ('x', 'a');",
            update("id", json!("x"), "note", json!("b")), NotBound("key_not_unique")),
        shape("ignored", "CREATE TABLE ignored (id int, note varchar(9), UNIQUE u (id) IGNORED); INSERT INTO ignored VALUES (1, 'a');",
            note(), NotBound("key_not_unique")),
        shape("nullable", "CREATE TABLE nullable (id int UNIQUE, note varchar(9)); INSERT INTO nullable VALUES (NULL, 'a'), (NULL, 'a'), (1, 'a');",
            note(), One(&[])),
        shape("cased", "CREATE TABLE cased (id varchar(9) PRIMARY KEY, note varchar(9)); INSERT INTO cased VALUES ('x', 'a'), ('y', 'a');",
            update("id", json!("X"), "note", json!("b")), One(&[])),
        shape("accented", "CREATE TABLE accented (id varchar(9) COLLATE utf8mb4_unicode_ci PRIMARY KEY, note varchar(9));
            INSERT INTO accented VALUES ('Ä', 'a'), ('y', 'a');", update("id", json!("a"), "note", json!("b")), One(&[])),
        shape("binary_key", "CREATE TABLE binary_key (id varchar(9) COLLATE utf8mb4_bin PRIMARY KEY, note varchar(9));
            INSERT INTO binary_key VALUES ('x', 'a'), ('X', 'a');", update("id", json!("X"), "note", json!("b")), One(&[])),
        shape("padded", "CREATE TABLE padded (id char(8) PRIMARY KEY, note varchar(9)); INSERT INTO padded VALUES ('x', 'a'), ('y', 'a');",
            update("id", json!("x  "), "note", json!("b")), One(&[])),
        shape("latin", "CREATE TABLE latin (id varchar(9) CHARACTER SET latin1 PRIMARY KEY, note varchar(9)); INSERT INTO latin VALUES ('ü', 'a'), ('z', 'a');",
            update("id", json!("ü"), "note", json!("b")), One(&[])),
        shape("enumerated", "CREATE TABLE enumerated (id enum('red', 'blue') PRIMARY KEY, note varchar(9)); INSERT INTO enumerated VALUES ('red', 'a'), ('blue', 'a');",
            update("id", json!("red"), "note", json!("b")), One(&[])),
        shape("decimal_key", "CREATE TABLE decimal_key (id decimal(9, 2) PRIMARY KEY, note varchar(9)); INSERT INTO decimal_key VALUES (1.5, 'a'), (1.6, 'a');",
            update("id", json!("1.50"), "note", json!("b")), One(&[])),
        shape("dated", "CREATE TABLE dated (id date PRIMARY KEY, note varchar(9)); INSERT INTO dated VALUES ('2026-01-02', 'a'), ('2026-01-03', 'a');",
            update("id", json!("2026-01-02"), "note", json!("b")), One(&[])),
        shape("numbers_as_text", "CREATE TABLE numbers_as_text (id varchar(9) PRIMARY KEY, note varchar(9)); INSERT INTO numbers_as_text VALUES ('x', 'a'), ('y', 'a'), ('0', 'a');",
            update("id", json!("0"), "note", json!("b")), One(&[])),
        shape("key_of_text_as_number", "CREATE TABLE key_of_text_as_number (id varchar(9) PRIMARY KEY, note varchar(9)); INSERT INTO key_of_text_as_number VALUES ('x', 'a'), ('y', 'a');",
            update("id", json!(0), "note", json!("b")), Nothing("invalid_arguments", "invalid_type")),
        // Columns
        shape("generated_set", "CREATE TABLE generated_set (id int PRIMARY KEY, n int, twice int AS (n * 2) STORED); INSERT INTO generated_set (id, n) VALUES (1, 1);",
            update("id", json!(1), "twice", json!(2)), NotBound("column_generated")),
        shape("virtual_key", "CREATE TABLE virtual_key (n int, id int AS (n + 1) STORED UNIQUE, note varchar(9)); INSERT INTO virtual_key (n, note) VALUES (0, 'a'), (5, 'a');",
            note(), One(&[])),
        shape("checked", "CREATE TABLE checked (id int PRIMARY KEY, n int CHECK (n > 0)); INSERT INTO checked VALUES (1, 1), (2, 2);",
            update("id", json!(1), "n", json!(-1)), Nothing("refused", "constraint_violated")),
        shape("clashing", "CREATE TABLE clashing (id int PRIMARY KEY, n int UNIQUE); INSERT INTO clashing VALUES (1, 1), (2, 2);",
            update("id", json!(1), "n", json!(2)), Nothing("refused", "constraint_violated")),
        shape("zero_dates", "SET sql_mode = ''; CREATE TABLE zero_dates (id int PRIMARY KEY, at date NOT NULL DEFAULT '0000-00-00', note varchar(9));
            INSERT INTO zero_dates VALUES (1, '0000-00-00', 'a'), (2, '0000-00-00', 'a'); SET sql_mode = DEFAULT;", note(), One(&[])),
        shape("touched", "CREATE TABLE touched (id int PRIMARY KEY, note varchar(9), at timestamp DEFAULT '2020-01-01' ON UPDATE CURRENT_TIMESTAMP);
            INSERT INTO touched (id, note) VALUES (1, 'a'), (2, 'a');", note(), One(&[])),
        shape("unchanged", "CREATE TABLE unchanged (id int PRIMARY KEY, note varchar(9)); INSERT INTO unchanged VALUES (1, 'a'), (2, 'a');",
            update("id", json!(9), "note", json!("b")), Nothing("not_found", "no_rows")),
        shape("too_long", "CREATE TABLE too_long (id int PRIMARY KEY, note tinyint); INSERT INTO too_long VALUES (1, 1), (2, 2);",
            update("id", json!(1), "note", json!(300)), Nothing("invalid_arguments", "out_of_range")),
        shape("invisible", "CREATE TABLE invisible (id int PRIMARY KEY, note varchar(9), secret int INVISIBLE DEFAULT 1); INSERT INTO invisible (id, note) VALUES (1, 'a'), (2, 'a');",
            note(), One(&[])),
        shape("compressed", "CREATE TABLE compressed (id int PRIMARY KEY, note text COMPRESSED) ROW_FORMAT = DYNAMIC; INSERT INTO compressed VALUES (1, 'a'), (2, 'a');",
            note(), One(&[])),
        // Triggers
        shape("before_row", "CREATE TABLE before_row (id int PRIMARY KEY, note varchar(9)); INSERT INTO before_row VALUES (1, 'a'), (2, 'a');
            CREATE TRIGGER before_trailing BEFORE UPDATE ON before_row FOR EACH ROW INSERT INTO trail VALUES ('a'), ('b');", note(), One(&["before_trailing"])),
        shape("after_row", "CREATE TABLE after_row (id int PRIMARY KEY, note varchar(9)); INSERT INTO after_row VALUES (1, 'a'), (2, 'a');
            CREATE TRIGGER after_trailing AFTER UPDATE ON after_row FOR EACH ROW DELETE FROM trail;", note(), One(&["after_trailing"])),
        shape("own_row", "CREATE TABLE own_row (id int PRIMARY KEY, note varchar(9), n int DEFAULT 0); INSERT INTO own_row VALUES (1, 'a', 0), (2, 'a', 0);
            CREATE TRIGGER counting BEFORE UPDATE ON own_row FOR EACH ROW SET NEW.n = OLD.n + 1;", note(), One(&["counting"])),
        shape("on_insert", "CREATE TABLE on_insert (id int PRIMARY KEY, note varchar(9));
            CREATE TRIGGER insert_trailing AFTER INSERT ON on_insert FOR EACH ROW INSERT INTO trail VALUES ('a'), ('b');",
            Write::Insert(json!({ "id": 1, "note": "b" })), One(&["insert_trailing"])),
        shape("signalling", "CREATE TABLE signalling (id int PRIMARY KEY, note varchar(9)); INSERT INTO signalling VALUES (1, 'a'), (2, 'a');
            CREATE TRIGGER protesting BEFORE UPDATE ON signalling FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not on sundays';",
            note(), Nothing("refused", "constraint_violated")),
        // Foreign keys
        shape("cascading", "CREATE TABLE cascading (id int PRIMARY KEY, code varchar(9) UNIQUE); INSERT INTO cascading VALUES (1, 'x'), (2, 'y');
            CREATE TABLE followers (id int PRIMARY KEY, code varchar(9) UNIQUE, FOREIGN KEY (code) REFERENCES cascading (code) ON UPDATE CASCADE);
            CREATE TABLE followers_followers (code varchar(9), FOREIGN KEY (code) REFERENCES followers (code) ON UPDATE CASCADE);
            INSERT INTO followers VALUES (1, 'x'); INSERT INTO followers_followers VALUES ('x'), ('x');",
            update("id", json!(1), "code", json!("z")), One(&["`followers`", "`followers_followers`"])),
        shape("nulling", "CREATE TABLE nulling (id int PRIMARY KEY, code varchar(9) UNIQUE); INSERT INTO nulling VALUES (1, 'x'), (2, 'y');
            CREATE TABLE nulled (code varchar(9), FOREIGN KEY (code) REFERENCES nulling (code) ON UPDATE SET NULL); INSERT INTO nulled VALUES ('x'), ('x');",
            update("id", json!(1), "code", json!("z")), One(&["`nulled`", "SET NULL"])),
        shape("restricting", "CREATE TABLE restricting (id int PRIMARY KEY, code varchar(9) UNIQUE); INSERT INTO restricting VALUES (1, 'x');
            CREATE TABLE restricted (code varchar(9), FOREIGN KEY (code) REFERENCES restricting (code)); INSERT INTO restricted VALUES ('x');",
            update("id", json!(1), "code", json!("z")), Nothing("refused", "constraint_violated")),
        shape("own_parent", "CREATE TABLE own_parent (id int PRIMARY KEY, boss int, FOREIGN KEY (boss) REFERENCES own_parent (id)); INSERT INTO own_parent VALUES (1, NULL), (2, 1);",
            update("id", json!(2), "boss", json!(2)), One(&[])),
        // Kinds of tables
        shape("partitioned", "CREATE TABLE partitioned (id int PRIMARY KEY, note varchar(9)) PARTITION BY HASH (id) PARTITIONS 4; INSERT INTO partitioned VALUES (1, 'a'), (2, 'a');",
            note(), One(&[])),
        shape("versioned", "CREATE TABLE versioned (id int PRIMARY KEY, note varchar(9)) WITH SYSTEM VERSIONING; INSERT INTO versioned VALUES (1, 'a'), (2, 'a');",
            note(), One(&[])),
        shape("periods", "CREATE TABLE periods (id int, note varchar(9), s date, e date, PERIOD FOR valid (s, e), UNIQUE (id, valid WITHOUT OVERLAPS));
            INSERT INTO periods VALUES (1, 'a', '2026-01-01', '2026-02-01'), (1, 'a', '2026-02-01', '2026-03-01');", note(), NotBound("key_not_unique")),
        shape("myisam", "CREATE TABLE myisam (id int PRIMARY KEY, note varchar(9)) ENGINE = MyISAM; INSERT INTO myisam VALUES (1, 'a');",
            note(), NotBound("operation_not_allowed")),
        shape("aria", "CREATE TABLE aria (id int PRIMARY KEY, note varchar(9)) ENGINE = Aria; INSERT INTO aria VALUES (1, 'a');",
            note(), NotBound("operation_not_allowed")),
        shape("in_memory", "CREATE TABLE in_memory (id int PRIMARY KEY, note varchar(9)) ENGINE = MEMORY; INSERT INTO in_memory VALUES (1, 'a');",
            note(), NotBound("operation_not_allowed")),
        shape("in_files", "CREATE TABLE in_files (id int NOT NULL, note varchar(9) NOT NULL) ENGINE = CSV;",
            Write::Insert(json!({ "id": 1, "note": "b" })), NotBound("operation_not_allowed")),
        shape("simple_view", "CREATE VIEW simple_view AS SELECT * FROM counted;", note(), NotBound("operation_not_allowed")),
    ]
}
