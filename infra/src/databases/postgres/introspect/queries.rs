//! The catalog queries. Each but one starts from the same set of visible tables.

/// Tables, partitioned tables, views, materialized views and foreign tables that the user may read from, without
/// partitions, with what it may do to the table as a whole. Evaluated once for each table and not for each column.
const VISIBLE: &str = "\
    (SELECT c.oid, c.relname, c.relkind, c.reltuples, n.nspname, \
        pg_catalog.has_table_privilege(c.oid, 'SELECT') AS may_select, \
        pg_catalog.has_table_privilege(c.oid, 'INSERT') AS may_insert, \
        pg_catalog.has_table_privilege(c.oid, 'UPDATE') AS may_update \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition \
        AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
        AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
        AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT') OFFSET 0)";

pub(super) fn tables() -> String {
    format!(
        "SELECT v.oid, v.nspname::text, v.relname::text, v.relkind::text, v.reltuples::float8, d.description, \
            v.may_insert, v.may_update \
         FROM {VISIBLE} v LEFT JOIN pg_catalog.pg_description d ON d.objoid = v.oid \
            AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid = 0"
    )
}

/// In the table's order. A column of a domain has its default where the domain has one.
pub(super) fn columns() -> String {
    format!(
        "SELECT a.attrelid, a.attnum, a.attname::text, a.atttypid, a.atttypmod, a.attnotnull, \
            (a.atthasdef AND a.attgenerated = '') OR a.attidentity <> '', \
            a.attgenerated <> '' OR a.attidentity = 'a', d.description, \
            v.may_insert OR pg_catalog.has_column_privilege(v.oid, a.attnum, 'INSERT'), \
            v.may_update OR pg_catalog.has_column_privilege(v.oid, a.attnum, 'UPDATE') \
         FROM {VISIBLE} v JOIN pg_catalog.pg_attribute a ON a.attrelid = v.oid \
         LEFT JOIN pg_catalog.pg_description d ON d.objoid = a.attrelid AND d.objsubid = a.attnum \
            AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass \
         WHERE a.attnum > 0 AND NOT a.attisdropped \
            AND (v.may_select OR pg_catalog.has_column_privilege(v.oid, a.attnum, 'SELECT')) \
         ORDER BY a.attrelid, a.attnum"
    )
}

/// Every type that a visible column has, with its length or precision, as the engine writes it.
pub(super) fn native_types() -> String {
    format!(
        "SELECT u.atttypid, u.atttypmod, pg_catalog.format_type(u.atttypid, u.atttypmod) \
         FROM (SELECT DISTINCT a.atttypid, a.atttypmod \
            FROM {VISIBLE} v JOIN pg_catalog.pg_attribute a ON a.attrelid = v.oid \
            WHERE a.attnum > 0 AND NOT a.attisdropped) u"
    )
}

/// The types `$1`, and what they are made of: elements of arrays, bases of domains.
pub(super) const TYPES: &str = "\
    WITH RECURSIVE used(oid) AS ( \
        SELECT pg_catalog.unnest($1) \
        UNION SELECT p.oid FROM used u JOIN pg_catalog.pg_type t ON t.oid = u.oid \
            CROSS JOIN LATERAL (VALUES (t.typelem), (t.typbasetype)) AS p(oid) WHERE p.oid <> 0) \
    SELECT t.oid, t.typname::text, t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace, t.typtype::text, \
        t.typcategory::text, t.typelem, t.typbasetype, t.typtypmod, t.typnotnull, t.typdefault IS NOT NULL, \
        pg_catalog.format_type(t.oid, -1), \
        ARRAY(SELECT e.enumlabel::text FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid \
            ORDER BY e.enumsortorder) \
    FROM used JOIN pg_catalog.pg_type t ON t.oid = used.oid";

/// Valid indexes that cover all rows. An index serves equality when it is a btree or a hash and compares its first
/// column as the column itself does; it makes a key when it compares all of them so. Included columns are no keys; 0
/// stands for an expression.
pub(super) fn indexes() -> String {
    format!(
        "SELECT i.indrelid, ic.relname::text, \
            i.indisunique AND NOT EXISTS (SELECT FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) n \
                JOIN pg_catalog.pg_attribute k ON k.attrelid = i.indrelid AND k.attnum = i.indkey[n] \
                WHERE i.indcollation[n] <> k.attcollation), \
            i.indisprimary, \
            am.amname IN ('btree', 'hash') \
                AND (i.indcollation[0] = 0 OR a.attcollation IS NULL OR i.indcollation[0] = a.attcollation), \
            (i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1] \
         FROM {VISIBLE} v JOIN pg_catalog.pg_index i ON i.indrelid = v.oid \
         JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid \
         JOIN pg_catalog.pg_am am ON am.oid = ic.relam \
         LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
         WHERE i.indisvalid AND i.indislive AND i.indpred IS NULL \
         ORDER BY i.indrelid, ic.relname"
    )
}

/// Without the copies that a partitioned table makes for its partitions.
pub(super) fn foreign_keys() -> String {
    format!(
        "SELECT k.conrelid, k.conname::text, k.conkey, k.confrelid, k.confkey, k.confupdtype::text, \
            k.confdeltype::text \
         FROM {VISIBLE} v JOIN pg_catalog.pg_constraint k ON k.conrelid = v.oid \
         WHERE k.contype = 'f' AND k.conparentid = 0 ORDER BY k.conrelid, k.conname"
    )
}

/// Triggers that a customer wrote and that are on, and rewrite rules, which are triggers by another name. A write to a
/// table reaches its partitions and heirs, and what hangs there and not on the table itself. Bits of `tgtype`: 4
/// insert, 8 delete, 16 update.
pub(super) fn triggers() -> String {
    format!(
        "WITH RECURSIVE reached(root, oid) AS ( \
            SELECT v.oid, v.oid FROM {VISIBLE} v \
            UNION SELECT r.root, i.inhrelid FROM reached r JOIN pg_catalog.pg_inherits i ON i.inhparent = r.oid) \
         SELECT r.root, t.tgname::text, pg_catalog.bool_or(t.tgtype & 4 <> 0), \
            pg_catalog.bool_or(t.tgtype & 16 <> 0), pg_catalog.bool_or(t.tgtype & 8 <> 0) \
         FROM reached r JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid \
         WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 28 <> 0 \
            AND (r.root = r.oid OR t.tgtype & 1 <> 0) \
         GROUP BY r.root, t.tgname \
         UNION ALL \
         SELECT v.oid, r.rulename::text, r.ev_type = '3', r.ev_type = '2', r.ev_type = '4' \
         FROM {VISIBLE} v JOIN pg_catalog.pg_rewrite r ON r.ev_class = v.oid \
         WHERE r.ev_type <> '1' AND r.ev_enabled <> 'D' ORDER BY 1, 2"
    )
}
