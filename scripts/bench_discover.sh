#!/usr/bin/env bash
# What discovery of a big schema costs: 10,000 tables of 20 columns on PostgreSQL, 2,000 on MariaDB, chained by foreign
# keys. Prints the time until the result and the server's peak memory, and fails when something was not found.
#
#   TABLES="10000 2000"         on PostgreSQL and on MariaDB
#   LISTEN=HOST:PORT            instead of 127.0.0.1:8480
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
. scripts/discovery.sh
DIR="$PWD/var/bench"
LISTEN=${LISTEN:-127.0.0.1:8480}
read -r POSTGRES_TABLES MYSQL_TABLES <<<"${TABLES:-10000 2000}"
COLUMNS_EACH=20

stop_all() {
    stop_server
    scripts/engines.sh stop "$DIR" 9>&-
}

# schema TABLES: CREATE TABLE statements that both engines understand.
schema() {
    awk -v tables="$1" 'BEGIN {
        for (n = 1; n <= tables; n++) {
            printf "CREATE TABLE record_%05d (id bigint PRIMARY KEY, parent_id bigint, code varchar(20) NOT NULL UNIQUE,", n
            printf " name varchar(80) NOT NULL, email varchar(120), amount decimal(12, 2) NOT NULL DEFAULT 0,"
            printf " quantity int, rate double precision, active boolean NOT NULL, born date, seen timestamp NULL, note text,"
            for (column = 1; column <= 8; column++) printf " attribute_%d varchar(40),", column
            if (n == 1) print " CHECK (quantity >= 0));"
            else printf " CONSTRAINT record_%05d_parent FOREIGN KEY (parent_id) REFERENCES record_%05d (id));\n", n, n - 1
            printf "CREATE INDEX record_%05d_by_parent ON record_%05d (parent_id);\n", n, n
        }
    }'
}

# The peak is counted from here on.
reset_peak_memory() {
    echo 5 >"/proc/$SERVER_PID/clear_refs"
}

# measure KEY KIND TABLES ROUND
measure() {
    local began ended found
    reset_peak_memory
    began=$EPOCHREALTIME
    found=$(discover "$1" "$2")
    ended=$EPOCHREALTIME
    jq -e --argjson tables "$3" --argjson columns "$COLUMNS_EACH" \
        '.objectCount == $tables and .fieldCount == $tables * $columns and .edgeCount == $tables - 1' >/dev/null <<<"$found" ||
        die "not all was found: $(jq -c '{objectCount, fieldCount, edgeCount}' <<<"$found")"
    awk -v kind="$2" -v tables="$3" -v round="$4" -v began="$began" -v ended="$ended" \
        '$1 == "VmHWM:" {printf "%-10s %6d tables  %-8s %7.2f s   peak %7.1f MiB\n", kind, tables, round, ended - began, $2 / 1024}' \
        "/proc/$SERVER_PID/status"
}

scripts/install.sh jq
cargo build --release --locked --no-default-features --features embedded --package functions --bin bindery
take_folder "$DIR"
! is_taken "$LISTEN" || die "something listens on $LISTEN already; choose another address by LISTEN="
trap stop_all EXIT
trap 'exit 130' INT TERM HUP

say "starting the engines and the server"
start_engines "$DIR"
start_server "$DIR" "$LISTEN"
key=$(mint_key "$DIR" bench)
password=$(openssl rand -hex 16)

say "creating $POSTGRES_TABLES tables on PostgreSQL and $MYSQL_TABLES on MariaDB: a minute or two"
postgres_admin postgres -c 'CREATE DATABASE wide'
schema "$POSTGRES_TABLES" | postgres_admin wide
mysql_admin -e 'CREATE DATABASE wide CHARACTER SET utf8mb4'
schema "$MYSQL_TABLES" | mysql_admin wide

for kind in postgres mysql; do
    make_reader "$kind" wide "$password"
    connect "$key" "$kind" wide "$password"
    tables=$POSTGRES_TABLES
    [ "$kind" = postgres ] || tables=$MYSQL_TABLES
    measure "$key" "$kind" "$tables" first
    measure "$key" "$kind" "$tables" again
done
