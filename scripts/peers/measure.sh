# One figure after the other. Sourced by bench_peers.sh.
# shellcheck shell=bash disable=SC2154,SC2034 # variables of and for lib.sh, contenders.sh and bench_peers.sh

# Checks of answers while others are counted: one each so many milliseconds.
PAUSE_MS=50
TICKS_PER_SECOND=$(getconf CLK_TCK)

threads() {
    local cores
    cores=$(nproc)
    echo $(($1 < cores ? $1 : cores))
}

# processes PID: it and all below it.
processes() {
    local child
    echo "$1"
    # shellcheck disable=SC2013 # ids on one line
    for child in $(cat "/proc/$1/task/"*/children 2>/dev/null); do processes "$child"; done
}

# cpu PID: clock ticks of it and of all below it, those that have ended included.
cpu() {
    local pid
    for pid in $(processes "$1"); do
        # The name, in parentheses, may hold blanks.
        sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null || true
    done | awk '{ticks += $12 + $13 + $14 + $15} END {print ticks + 0}'
}

resident_mib() {
    local pid
    for pid in $(processes "$1"); do cat "/proc/$pid/status" 2>/dev/null || true; done |
        awk '$1 == "VmRSS:" {kib += $2} END {printf "%.1f", kib / 1024}'
}

engine_pid() {
    case "$1" in postgres) echo "$POSTGRES_PID" ;; mysql) echo "$MYSQL_PID" ;; esac
}

engine_port() {
    case "$1" in postgres) echo "$POSTGRES_PORT" ;; mysql) echo "$MYSQL_PORT" ;; esac
}

# load "CONTENDER TOOLS" CONNECTIONS SECONDS [CHECK [PAUSE]]: request.lua's result; fails when a call failed.
load() {
    local out result
    out=$(PEERS_BODY=${BODIES[$1]} PEERS_KEY=${KEYS[$1]} PEERS_CHECK=${4:-} PEERS_PAUSE=${5:-0} \
        wrk -t "$(threads "$2")" -c "$2" -d "${3}s" --timeout 30s -s scripts/peers/request.lua "${URLS[$1]}" 2>&1 9>&-) || true
    result=$(sed -n 's/^RESULT //p' <<<"$out")
    if [ "$(cut -d ' ' -f 5 <<<"$result")" != 0 ]; then
        echo "$1: calls failed: $result"$'\n'"$(grep -v ^RESULT <<<"$out" | tail -n 5)" >&2
        return 1
    fi
    echo "$result"
}

# measure ENGINE CONTENDER TOOLS CLIENTS ROUND: appends one line of JSON to RESULTS.
measure() {
    local line
    if [ "$2" = floor ]; then
        line=$(floor "$1" "$4") || die "the floor was not measured"
    elif ! line=$(contender "$1" "$2 $3" "$4"); then
        # What answers errors has no figures.
        line='null null null null null null'
        FAILED=yes
    fi
    read -r rate p50 p99 own database resident <<<"$line"
    jq -nc --arg engine "$1" --arg contender "$2" --argjson tools "$3" --argjson clients "$4" --argjson round "$5" \
        --argjson rate "$rate" --argjson p50 "$p50" --argjson p99 "$p99" --argjson own "$own" --argjson database "$database" \
        --argjson resident "$resident" '{$engine, $contender, $tools, $clients, $round, callsPerSecond: $rate, p50Ms: $p50,
            p99Ms: $p99, ownCpuUs: $own, databaseCpuUs: $database, residentMiB: $resident}' >>"$RESULTS"
}

# contender ENGINE "CONTENDER TOOLS" CLIENTS: calls per second, p50, p99, its own and the database's CPU microseconds a
# call, resident MiB. Every answer of a second must hold the right row, and of those in the measured time one each
# PAUSE_MS; all of them must be as long.
contender() {
    local pid=${PIDS[$2]} engine checked own database result checker calls seconds p50 p99 bytes
    engine=$(engine_pid "$1")
    checked=$(load "$2" 1 1 1) || return 1
    own=$(cpu "$pid") database=$(cpu "$engine")
    load "$2" 1 "$BENCH_SECONDS" 1 "$PAUSE_MS" >"$DIR/checked" &
    checker=$!
    result=$(load "$2" "$3" "$BENCH_SECONDS") || { wait "$checker" || true; return 1; }
    wait "$checker" || return 1
    own=$(($(cpu "$pid") - own)) database=$(($(cpu "$engine") - database))
    read -r calls seconds p50 p99 _ bytes <<<"$result"
    if ! awk -v bytes="$bytes" -v checked="${checked##* }" 'BEGIN {exit !(bytes > checked * 0.98 && bytes < checked * 1.02)}'; then
        echo "$2: answers have $bytes bytes and should have ${checked##* }" >&2
        return 1
    fi
    # The checker's calls cost as much.
    figures "$calls" "$(cut -d ' ' -f 1 "$DIR/checked")" "$seconds" "$p50" "$p99" "$own" "$database" "$(resident_mib "$pid")"
}

# figures CALLS CHECKED SECONDS P50 P99 OWN_TICKS DATABASE_TICKS RESIDENT
figures() {
    awk -v calls="$1" -v checked="$2" -v seconds="$3" -v p50="$4" -v p99="$5" -v own="$6" -v database="$7" -v resident="$8" \
        -v hz="$TICKS_PER_SECOND" 'BEGIN {
            us = 1e6 / hz / (calls + checked)
            printf "%.0f %.3f %.3f %.1f %.1f %s\n", calls / seconds, p50, p99, own * us, database * us, resident
        }'
}

# floor ENGINE CLIENTS: the same of the engine's own benchmark.
floor() {
    local engine database own TIMEFORMAT='%U %S' out="$DIR/floor.out" calls latencies
    engine=$(engine_pid "$1")
    database=$(cpu "$engine")
    { time "floor_$1" "$2" >"$out" 2>&1; } 2>"$DIR/floor.time" || die "the floor failed:"$'\n'"$(tail -n 20 "$out")"
    database=$(($(cpu "$engine") - database))
    own=$(awk -v hz="$TICKS_PER_SECOND" '{printf "%.0f", ($1 + $2) * hz}' "$DIR/floor.time")
    case "$1" in
    postgres)
        calls=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$out")
        latencies=$(cat "$DIR"/pgbench_log.* | cut -d ' ' -f 3 | sort -n |
            awk '{at[NR] = $1 / 1000} END {print at[int((NR + 1) / 2)], at[int(NR * 0.99)]}')
        ;;
    mysql)
        calls=$(awk '/total number of events:/ {print $NF}' "$out")
        latencies=$(awk '/Latency histogram/ {inside = 1} /SQL statistics/ {inside = 0}
            inside && $2 ~ /^\|/ {value[++n] = $1; count[n] = $NF; total += $NF}
            END {
                for (i = 1; i <= n; i++) {
                    seen += count[i]
                    if (p50 == "" && seen >= total * 0.5) p50 = value[i]
                    if (p99 == "" && seen >= total * 0.99) p99 = value[i]
                }
                print p50, p99
            }' "$out")
        ;;
    esac
    # shellcheck disable=SC2086 # two figures
    figures "$calls" 0 "$BENCH_SECONDS" $latencies "$own" "$database" null
}

floor_postgres() {
    rm -f "$DIR"/pgbench_log.*
    # pgbench's parameters have names.
    printf '\\set id random(1, 1000000)\n%s\n' "${STATEMENT//\$1/:id}" >"$DIR/floor.sql"
    PGPASSWORD=$PASSWORD PGSSLMODE=verify-full PGSSLROOTCERT="$CA_PEM" "$POSTGRES_BIN/pgbench" -n -M prepared \
        -f "$DIR/floor.sql" -c "$1" -j "$(threads "$1")" -T "$BENCH_SECONDS" -l --log-prefix="$DIR/pgbench_log" \
        -h localhost -p "$POSTGRES_PORT" -U reader peers 9>&-
}

# sysbench takes its certificates from where it runs, and does not go without one of its own.
floor_mysql() {
    local floor="$PWD/scripts/peers/floor.lua"
    mkdir -p "$DIR/floor"
    ln -sf "$ENGINES_HOME/tls/server.pem" "$DIR/floor/client-cert.pem"
    ln -sf "$ENGINES_HOME/tls/server.key" "$DIR/floor/client-key.pem"
    ln -sf "$CA_PEM" "$DIR/floor/cacert.pem"
    (cd "$DIR/floor" && PEERS_STATEMENT=$STATEMENT sysbench --mysql-host=127.0.0.1 --mysql-port="$MYSQL_PORT" \
        --mysql-user=reader --mysql-password="$PASSWORD" --mysql-db=peers --mysql-ssl=on --threads="$1" \
        --time="$BENCH_SECONDS" --histogram=on --percentile=99 "$floor" run 9>&-)
}
