# What the scripts that start a Bindery server share. Sourced, not run; the working directory is the checkout.
# shellcheck shell=bash

export LC_ALL=C.UTF-8 PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
TARGET="${CARGO_TARGET_DIR:-target}/release"

say() {
    echo "==> $*"
}

die() {
    echo "$(basename "$0" .sh): $*" >&2
    exit 1
}

# is_taken HOST:PORT
is_taken() {
    (exec 3<>"/dev/tcp/${1%:*}/${1##*:}") 2>/dev/null
}

# take_folder DIR: an empty folder, its path absolute, for this run. What a run that was killed left there is stopped; a run that is still
# going keeps it. The lock is file descriptor 9, which no child may inherit.
take_folder() {
    mkdir -p "$1"
    exec 9>"$1.lock"
    if ! flock -n 9; then
        die "another run is using $1; end it first"
    fi
    stop_abandoned_servers "$1"
    scripts/engines.sh stop "$1" 9>&-
    rm -rf "$1"
    mkdir -p "$1"
}

# The servers of a run that was killed, where their process ids still belong to them: their command lines name the folder.
stop_abandoned_servers() {
    local file pid
    for file in "$1"/*.pid; do
        [ -e "$file" ] || continue
        pid=$(cat "$file")
        while tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "$1/"; do
            kill -TERM "$pid" 2>/dev/null || true
            sleep 0.1
        done
    done
}

# start_engines DIR [postgres|mysql]: and sets the variables of engines.env.
start_engines() {
    scripts/engines.sh start "$@" 9>&-
    set -a
    # shellcheck disable=SC1091 # written by engines.sh
    . "$1/engines.env"
    set +a
}

# postgres_admin DATABASE [ARGUMENT…]
postgres_admin() {
    "$POSTGRES_BIN/psql" -X -q -v ON_ERROR_STOP=1 -h "$POSTGRES_SOCKET" -p "$POSTGRES_PORT" -U "$POSTGRES_ADMIN" -d "$@"
}

# mysql_admin [ARGUMENT…]
mysql_admin() {
    mariadb --no-defaults --default-character-set=utf8mb4 --socket="$MYSQL_SOCKET" --user="$MYSQL_ADMIN" "$@"
}

# Both databases are named clinic.
load_clinic() {
    if [ -n "${POSTGRES_PORT:-}" ]; then
        postgres_admin postgres -c 'CREATE DATABASE clinic'
        postgres_admin clinic -f demo/postgres/clinic.sql
    fi
    if [ -n "${MYSQL_PORT:-}" ]; then
        mysql_admin -e 'CREATE DATABASE clinic CHARACTER SET utf8mb4'
        mysql_admin clinic <demo/mysql/clinic.sql
    fi
}

# start_server DIR HOST:PORT: sets SERVER_PID and returns when it answers. The sample databases are on this machine,
# which a customer's never are: loopback is opened for them.
start_server() {
    BINDERY_ALLOW_PRIVATE_HOSTS="127.0.0.0/8,::1/128" "$TARGET/bindery" serve --data-dir "$1/bindery" --listen "$2" \
        >>"$1/bindery.log" 2>&1 </dev/null 9>&- &
    SERVER_PID=$!
    echo "$SERVER_PID" >"$1/server.pid"
    local until=$((SECONDS + 30))
    until curl -sf --noproxy '*' -o /dev/null "http://$2/healthz"; do
        if ! kill -0 "$SERVER_PID" 2>/dev/null; then
            die "the server ended while it started. Its log, $1/bindery.log, ends with:"$'\n'"$(tail -n 20 "$1/bindery.log")"
        fi
        if [ "$SECONDS" -ge "$until" ]; then
            die "the server gives no answer at http://$2/healthz; its log is $1/bindery.log"
        fi
        sleep 0.01
    done
}

# A second signal in case the first came from the keyboard does no harm.
stop_server() {
    if [ -n "${SERVER_PID:-}" ]; then
        kill -TERM "$SERVER_PID" 2>/dev/null || true
        wait "$SERVER_PID" 2>/dev/null || true
        SERVER_PID=
    fi
}

# mint_key DIR ORGANIZATION: prints a key with all scopes.
mint_key() {
    local printed
    printed=$("$TARGET/bindery" keys mint --data-dir "$1/bindery" --name "$2" --organization "$2" --scopes all 9>&-) ||
        die "no key could be minted"
    grep -oE 'flowyte_sk_live_[0-9A-Za-z_]+' <<<"$printed" | head -n 1
}
