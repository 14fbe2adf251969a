#!/usr/bin/env bash
# Discovers every schema of a folder and compares what was found with what the engine itself says.
#
#   eval_schemas.sh DIR         reads DIR/postgresql/*.sql and DIR/mysql/*.sql; each gets a database and an organization
#   LISTEN=HOST:PORT            instead of 127.0.0.1:8480
set -euo pipefail
SCHEMAS=$(realpath -e "${1:?usage: make eval-schemas SCHEMAS=dir}")
cd "$(dirname "$0")/.."
. scripts/lib.sh
. scripts/discovery.sh
DIR="$PWD/var/eval"
LISTEN=${LISTEN:-127.0.0.1:8480}

stop_all() {
    stop_server
    scripts/engines.sh stop "$DIR" 9>&-
}

# A script that makes a database of its own, and enters it, is loaded into ours.
without_database() {
    sed -E '/^\s*((DROP|CREATE) DATABASE|USE|\\c(onnect)?)\b.*;?\s*$/Id' "$1"
}

# load KIND DATABASE FILE
load() {
    case "$1" in
    postgres)
        postgres_admin postgres -c "CREATE DATABASE \"$2\""
        without_database "$3" | postgres_admin "$2" >"$DIR/load.log" 2>&1
        ;;
    mysql)
        mysql_admin -e "CREATE DATABASE \`$2\` CHARACTER SET utf8mb4"
        without_database "$3" | mysql_admin --init-command='SET foreign_key_checks = 0' "$2" >"$DIR/load.log" 2>&1
        ;;
    esac
}

# truth KIND DATABASE: tables and views, their columns, foreign keys.
truth() {
    case "$1" in
    postgres)
        postgres_admin "$2" -At -F ' ' <<'SQL'
WITH objects AS (
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
)
SELECT (SELECT count(*) FROM objects),
       (SELECT count(*) FROM pg_attribute a JOIN objects o ON o.oid = a.attrelid WHERE a.attnum > 0 AND NOT a.attisdropped),
       (SELECT count(*) FROM pg_constraint k JOIN objects o ON o.oid = k.conrelid WHERE k.contype = 'f' AND k.conparentid = 0)
SQL
        ;;
    mysql)
        mysql_admin -N "$2" <<'SQL' | tr '\t' ' '
SELECT (SELECT count(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type IN ('BASE TABLE', 'VIEW')),
       (SELECT count(*) FROM information_schema.columns WHERE table_schema = DATABASE()),
       (SELECT count(*) FROM information_schema.referential_constraints WHERE constraint_schema = DATABASE());
SQL
        ;;
    esac
}

scripts/install.sh jq
cargo build --release --locked --bin bindery
take_folder "$DIR"
! is_taken "$LISTEN" || die "something listens on $LISTEN already; choose another address by LISTEN="
trap stop_all EXIT
trap 'exit 130' INT TERM HUP
start_engines "$DIR"
start_server "$DIR" "$LISTEN"
password=$(openssl rand -hex 16)

row='%-34s %8s %8s %8s %8s %9s  %s\n'
# shellcheck disable=SC2059 # the row is the format
printf "$row" schema objects columns keys skills seconds result
failures=0
for file in "$SCHEMAS"/postgresql/*.sql "$SCHEMAS"/mysql/*.sql; do
    [ -e "$file" ] || continue
    kind=postgres
    [ "$(basename "$(dirname "$file")")" = postgresql ] || kind=mysql
    database=$(basename "$file" .sql | tr -c 'a-z0-9\n' _)
    key=$(mint_key "$DIR" "$kind-$database")
    result=equal operations=- seconds=-
    read -r objects columns keys <<<'- - -'
    if ! load "$kind" "$database" "$file"; then
        result="cannot be loaded: $(grep -m 1 -i error "$DIR/load.log")"
    else
        make_reader "$kind" "$database" "$password"
        counted=$(truth "$kind" "$database")
        began=$EPOCHREALTIME
        if ! { connect "$key" "$kind" "$database" "$password" && found=$(discover "$key" "$kind"); } 2>"$DIR/discover.log"; then
            result=$(head -n 1 "$DIR/discover.log")
        else
            seconds=$(awk -v began="$began" -v ended="$EPOCHREALTIME" 'BEGIN {printf "%.2f", ended - began}')
            read -r objects columns keys operations < <(jq -r '"\(.objectCount) \(.fieldCount) \(.edgeCount) \(.operationCount)"' <<<"$found")
            [ "$objects $columns $keys" = "$counted" ] || result="the engine counts $counted"
        fi
    fi
    [ "$result" = equal ] || failures=$((failures + 1))
    # shellcheck disable=SC2059
    printf "$row" "$kind/$database" "$objects" "$columns" "$keys" "$operations" "$seconds" "$result"
done
[ "$failures" -eq 0 ] || die "$failures schemas were not discovered as they are"
