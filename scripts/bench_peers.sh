#!/usr/bin/env bash
# The live call beside its peers: the same SELECT by primary key of a table with a million rows, over TLS, as Bindery's
# call and by its MCP endpoint, by MCP Toolbox for Databases and by DBHub, and in the engines' own benchmarks. All run on
# this machine in turn, so what else it does falls on all of them; the CPU time of each contender is told apart.
#
#   BENCH_SECONDS=10             of each measurement
#   BENCH_ROUNDS=3               each contender in turn; the middle of the rounds is printed
#   BENCH_CLIENTS="1 8 32"       connections; the most also with 200 tools
#   BENCH_TOOLS="1 200"          how many tools a contender has
#   BENCH_ENGINES="postgres mysql"
#   BENCH_CONTENDERS="floor call mcp toolbox toolbox-mcp dbhub"
#   LISTEN=HOST:PORT             instead of 127.0.0.1:8480: all of them take free ports above
#   BINDERY_TOOLS=DIR            where the peers are installed, instead of var/tools
#
# Each measurement goes to var/bench-peers.jsonl as one line of JSON.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
TARGET="${CARGO_TARGET_DIR:-target}/server"
. scripts/discovery.sh
. scripts/peers/measure.sh
. scripts/peers/contenders.sh
DIR="$PWD/var/bench"
RESULTS="$PWD/var/bench-peers.jsonl"
TOOLS=$(realpath -m "${BINDERY_TOOLS:-var/tools}")/peers
LISTEN=${LISTEN:-127.0.0.1:8480}
BENCH_SECONDS=${BENCH_SECONDS:-10}
BENCH_ROUNDS=${BENCH_ROUNDS:-3}
BENCH_CLIENTS=${BENCH_CLIENTS:-1 8 32}
BENCH_TOOLS=${BENCH_TOOLS:-1 200}
BENCH_ENGINES=${BENCH_ENGINES:-postgres mysql}
BENCH_CONTENDERS=${BENCH_CONTENDERS:-floor call mcp toolbox toolbox-mcp dbhub}
CLIENTS_MOST=$(tr ' ' '\n' <<<"$BENCH_CLIENTS" | sort -n | tail -n 1)
FAILED=
# One key makes all calls, so its rate limit is lifted.
export BINDERY_RATE_PER_KEY=1000000 BINDERY_RATE_PER_ORGANIZATION=1000000

stop_all() {
    stop_contenders
    scripts/engines.sh stop "$DIR" 9>&-
}

# A million customers on each engine, and a user who may read them.
load_customers() {
    local table='CREATE TABLE customers (
        id bigint PRIMARY KEY, name varchar(80) NOT NULL, email varchar(120) NOT NULL, phone varchar(20), city varchar(40),
        balance decimal(12, 2) NOT NULL, visits int NOT NULL, joined_at timestamp NOT NULL)'
    local values="concat('Customer ', n), concat('customer', n, '@example.com'), concat('+4930', n), concat('City ', n % 500),
        n % 10000 / 100.0, n % 50, timestamp '2020-01-01 00:00:00' + interval"
    postgres_admin postgres -c 'CREATE DATABASE peers'
    postgres_admin peers -c "$table" \
        -c "INSERT INTO customers SELECT n, $values '1 minute' * n FROM generate_series(1, 1000000) AS n" -c 'VACUUM ANALYZE'
    mysql_admin -e 'CREATE DATABASE peers CHARACTER SET utf8mb4'
    mysql_admin peers -e "$table; INSERT INTO customers SELECT n, $values n MINUTE FROM (SELECT seq AS n FROM seq_1_to_1000000) AS numbers;
        ANALYZE NO_WRITE_TO_BINLOG TABLE customers" >/dev/null
    make_reader postgres peers "$PASSWORD"
    make_reader mysql peers "$PASSWORD"
}

# rounds ENGINE CLIENTS TOOLS…
rounds() {
    local engine=$1 clients=$2 round contender tools
    shift 2
    for ((round = 1; round <= BENCH_ROUNDS; round++)); do
        for contender in $BENCH_CONTENDERS; do
            for tools in "$@"; do
                if [ "$contender" != floor ] || [ "$tools" -eq 1 ]; then
                    measure "$engine" "$contender" "$tools" "$clients" "$round"
                fi
            done
        done
    done
}

report() {
    local row='%-9s %7s  %-11s %5s  %8s %9s %8s %8s %8s %8s  %8s %8s %8s\n' line
    # shellcheck disable=SC2059 # the row is the format
    printf "$row" engine clients contender tools 'own µs' calls/s p50 p99 'db µs' MiB '/ floor' '/ peer' 'µs/peer'
    jq -rs -f scripts/peers/report.jq "$RESULTS" | while read -r line; do
        # shellcheck disable=SC2059,SC2086 # the row is the format, each figure a column
        printf "$row" $line
    done
}

scripts/install.sh wrk jq sysbench python3
scripts/peers_tools.sh
# Without the SDKs of AWS, which would double the build.
cargo build --profile server --locked --no-default-features --features embedded --package functions --bin bindery
take_folder "$DIR"
trap stop_all EXIT
trap 'exit 130' INT TERM HUP
PASSWORD=$(openssl rand -hex 16)
rm -f "$RESULTS"

say "starting the engines, with a million rows each"
start_engines "$DIR"
load_customers
for engine in $BENCH_ENGINES; do
    say "$engine, each figure $BENCH_SECONDS s, $BENCH_ROUNDS rounds"
    for tools in 1 $BENCH_TOOLS; do start_contenders "$engine" "$tools"; done
    for clients in $BENCH_CLIENTS; do
        if [ "$clients" -eq "$CLIENTS_MOST" ]; then
            # shellcheck disable=SC2086 # each a number
            rounds "$engine" "$clients" $BENCH_TOOLS
        else
            rounds "$engine" "$clients" 1
        fi
    done
    stop_contenders
done
say "the middle of $BENCH_ROUNDS rounds; latencies in ms, CPU in µs a call, ratios to the floor and to the best peer"
report
[ -z "$FAILED" ] || die "some answered errors and have no figures there; see above"
