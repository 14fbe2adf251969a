#!/usr/bin/env bash
# What a live call costs. The floor is pgbench running the skill's own frozen statement, prepared, over the same TLS;
# beside it wrk posts the call to the server, whose CPU time and memory are read from /proc.
#
#   BENCH_SECONDS=10            of each measurement
#   BENCH_ROUNDS=3              each floor and call in turn; the round with the middle ratio is printed
#   LISTEN=HOST:PORT            instead of 127.0.0.1:8480
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
TARGET="${CARGO_TARGET_DIR:-target}/server"
DIR="$PWD/var/bench"
LISTEN=${LISTEN:-127.0.0.1:8480}
BENCH_SECONDS=${BENCH_SECONDS:-10}
BENCH_ROUNDS=${BENCH_ROUNDS:-3}
export BINDERY_URL="http://$LISTEN"
# One key makes all calls, so its rate limit is lifted.
export BINDERY_RATE_PER_KEY=1000000 BINDERY_RATE_PER_ORGANIZATION=1000000

stop_all() {
    stop_server
    scripts/engines.sh stop "$DIR" 9>&-
}

get() {
    curl -sf --noproxy '*' -H "Authorization: Bearer $BINDERY_KEY" "$BINDERY_URL/api/v1$1"
}

call_once() {
    curl -s --noproxy '*' -H "Authorization: Bearer $BINDERY_KEY" -H 'Content-Type: application/json' -d "$CALL_BODY" "$CALL_URL"
}

# CPU time of the server so far, in clock ticks.
ticks() {
    awk '{print $14 + $15}' "/proc/$SERVER_PID/stat"
}

memory_mib() {
    awk -v name="$1:" '$1 == name {printf "%.1f", $2 / 1024}' "/proc/$SERVER_PID/status"
}

# floor CLIENTS: prints calls per second, mean and p99 in milliseconds. The mean is clients by rate: pgbench reads its
# clock once for a transaction's end and the next one's begin, and so logs 0 for an answer that is there at once.
floor() {
    rm -f "$DIR"/pgbench_log.*
    PGPASSWORD=$FLOOR_PASSWORD PGSSLMODE=verify-full PGSSLROOTCERT="$CA_PEM" "$POSTGRES_BIN/pgbench" -n -M prepared \
        -f "$DIR/floor.sql" -D "value=$VALUE" -c "$1" -j "$(threads "$1")" -T "$BENCH_SECONDS" -l \
        --log-prefix="$DIR/pgbench_log" -h localhost -p "$POSTGRES_PORT" -U bench_floor clinic >"$DIR/pgbench.out" 2>&1 ||
        die "pgbench failed:"$'\n'"$(tail -n 20 "$DIR/pgbench.out")"
    awk -v clients="$1" '/^tps = / {tps = $3} END {printf "%.0f %.2f ", tps, clients / tps * 1000}' "$DIR/pgbench.out"
    cat "$DIR"/pgbench_log.* | cut -d ' ' -f 3 | sort -n | awk '
        {at[NR] = $1}
        END {printf "%.2f\n", at[int((NR + 1) * 0.99)] / 1000}'
}

threads() {
    local cores
    cores=$(nproc)
    echo $(($1 < cores ? $1 : cores))
}

# load CONNECTIONS SECONDS [CHECK]: what call.lua says of it; fails when a call failed.
load() {
    local result failed
    CALL_CHECK=${3:-} wrk -t "$(threads "$1")" -c "$1" -d "${2}s" --timeout 30s -s scripts/call.lua "$CALL_URL" \
        >"$DIR/wrk.out" 2>&1 || die "wrk failed: $(cat "$DIR/wrk.out")"
    result=$(sed -n 's/^RESULT //p' "$DIR/wrk.out")
    failed=$(cut -d ' ' -f 5 <<<"$result")
    [ "$failed" -eq 0 ] || die "$failed calls failed; the last answer: $(call_once)"
    echo "$result"
}

# ours CONNECTIONS: prints calls per second, p50, p99, the server's CPU microseconds a call. First a second in which
# every answer is looked at. Another outcome has another length, so it would show in the measured ones too.
ours() {
    local before after result checked calls seconds p50 p99 bytes
    checked=$(load "$1" 1 1)
    before=$(ticks)
    result=$(load "$1" "$BENCH_SECONDS")
    after=$(ticks)
    read -r calls seconds p50 p99 _ bytes <<<"$result"
    awk -v bytes="$bytes" -v checked="${checked##* }" 'BEGIN {exit !(bytes > checked * 0.99 && bytes < checked * 1.01)}' ||
        die "answers have $bytes bytes and should have ${checked##* }; the last answer: $(call_once)"
    awk -v calls="$calls" -v seconds="$seconds" -v p50="$p50" -v p99="$p99" -v ticks=$((after - before)) -v hz="$(getconf CLK_TCK)" \
        'BEGIN {printf "%.0f %.2f %.2f %.0f\n", calls / seconds, p50, p99, ticks / hz / calls * 1e6}'
}

scripts/install.sh wrk jq
# Without the SDKs of AWS, which would double the build.
cargo build --profile server --locked --no-default-features --package functions --package tests --bin bindery --bin story
take_folder "$DIR"
! is_taken "$LISTEN" || die "something listens on $LISTEN already; choose another address by LISTEN="
trap stop_all EXIT
trap 'exit 130' INT TERM HUP

say "starting the engines, the clinic and the server"
start_engines "$DIR"
load_clinic
start_server "$DIR" "$LISTEN"
BINDERY_KEY=$(mint_key "$DIR" bench)
export BINDERY_KEY
"$TARGET/story" --setup >"$DIR/setup.env" 9>&-
agent=$(sed -n 's/^AGENT=//p' "$DIR/setup.env")
skill=$(sed -n 's/^SKILL=//p' "$DIR/setup.env")
arguments=$(sed -n 's/^ARGUMENTS=//p' "$DIR/setup.env")
CALL_URL="$BINDERY_URL/api/v1/agents/$agent/skills/$skill/call"
CALL_BODY=$(jq -nc --argjson arguments "$arguments" '{arguments: $arguments}')
export CALL_BODY

statement=$(get "/agents/$agent/skills/$skill" | jq -er .data.executionConfig.statement)
# shellcheck disable=SC2016 # the statement's own placeholders
case "$statement" in
*'$2'*) die "the floor knows statements with one parameter: $statement" ;;
esac
# pgbench's parameters have names.
echo "${statement//\$1/:value}" >"$DIR/floor.sql"
VALUE=$(jq -er 'to_entries[0].value' <<<"$arguments")
FLOOR_PASSWORD=$(openssl rand -hex 16)
postgres_admin clinic -c "CREATE ROLE bench_floor LOGIN PASSWORD '$FLOOR_PASSWORD'" \
    -c 'GRANT SELECT ON ALL TABLES IN SCHEMA public TO bench_floor' -c 'ANALYZE'

say "a start of the server until its first answers"
stop_server
started=$EPOCHREALTIME
start_server "$DIR" "$LISTEN"
healthy=$EPOCHREALTIME
answer=$(call_once)
answered=$EPOCHREALTIME
[ "$(jq -r .data.outcome <<<"$answer")" = ok ] || die "the call is not answered: $answer"
awk -v started="$started" -v healthy="$healthy" -v answered="$answered" -v memory="$(memory_mib VmRSS)" \
    'BEGIN {printf "first health answer after %.0f ms, first live call after %.0f ms, resident %s MiB\n",
        (healthy - started) * 1000, (answered - started) * 1000, memory}'

# round CLIENTS: one floor and one call: the ratio, then what is printed of them.
round() {
    local measured floor_rate floor_mean floor_p99 rate p50 p99 cpu
    measured=$(floor "$1")
    read -r floor_rate floor_mean floor_p99 <<<"$measured"
    measured=$(ours "$1")
    read -r rate p50 p99 cpu <<<"$measured"
    awk -v ours="$rate" -v floor="$floor_rate" 'BEGIN {printf "%.2f ", ours / floor}'
    echo "$floor_rate $floor_mean $floor_p99 $rate $p50 $p99 $cpu $(memory_mib VmRSS)"
}

rounds() {
    local round
    for ((round = 0; round < BENCH_ROUNDS; round++)); do round "$1"; done
}

say "$BENCH_SECONDS s for each figure, the middle of $BENCH_ROUNDS; latencies in ms, CPU in µs of the server for each call"
row='%-8s %10s %8s %8s   %10s %8s %8s %8s %9s %8s\n'
# shellcheck disable=SC2059 # the row is the format
printf "$row" clients 'floor/s' mean p99 'bindery/s' p50 p99 CPU 'RSS MiB' ratio
for clients in 1 8 32; do
    middle=$(rounds "$clients" | sort -n | sed -n "$(((BENCH_ROUNDS + 1) / 2))p")
    read -r ratio measured <<<"$middle"
    # shellcheck disable=SC2059,SC2086 # the row is the format, each figure a column
    printf "$row" "$clients" $measured "$ratio"
done
