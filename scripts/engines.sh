#!/usr/bin/env bash
# Starts one PostgreSQL and one MariaDB that belong to nobody else: data, sockets and certificates live in a new folder
# under /var/tmp, ports are free ones, and the clusters that the system runs are not touched.
#
#   engines.sh start DIR    starts both and writes DIR/engines.env
#   engines.sh stop DIR     ends exactly these two and removes their data
#   engines.sh status DIR   says whether they run
#   engines.sh missing      prints "postgres", "mysql": those whose programs are not installed
#   engines.sh hold         starts both, prints engines.env and READY, and stops them when its standard input closes;
#                           so a test process that dies in whatever way leaves nothing behind
#   engines.sh hold pooler  the same with a PgBouncer in transaction mode before the PostgreSQL at port POOLED_PORT,
#                           whose CA is POOLED_CA; users come in as they do there, by POOLED_ADMIN's look at them
#
# TLS is demanded over TCP, by a certificate for localhost from a private CA. The administrator comes in through a unix
# socket that only this user and root may open.
# ENGINES_PORTS="20000 20999" sets the range of ports, ENGINES_POSTGRES_BIN=dir another PostgreSQL than the newest that
# is installed; "postgres" or "mysql" as the last argument of start or hold starts only that one. MariaDB's plugins that
# scripts/mariadb_plugins.sh got are there.
set -euo pipefail
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
unset "${!PG@}" "${!MYSQL@}" # what the caller's shell says of other databases must not reach the clients here
umask 022

READY_SECONDS=60
STOP_SECONDS=20
read -r PORTS_FIRST PORTS_LAST <<<"${ENGINES_PORTS:-20000 29999}"

die() {
    echo "engines: $*" >&2
    exit 1
}

# Both engines refuse to run as root, or should. These users come with their packages.
user_for() {
    local user
    if [ "$(id -u)" -ne 0 ]; then
        id -un
        return
    fi
    for user in "$@" nobody; do
        if id -u "$user" >/dev/null 2>&1; then
            echo "$user"
            return
        fi
    done
    die "none of the users $* nobody exists; a database server must not run as root"
}

# as USER COMMAND…: becomes the command, so that the process id stays.
as() {
    local user=$1
    shift
    if [ "$(id -un)" = "$user" ]; then
        exec "$@"
    fi
    exec setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups -- "$@"
}

# folder USER PATH: a folder that only this user may enter.
folder() {
    mkdir -p "$2"
    chmod 700 "$2"
    chown "$1" "$2"
}

# The newest PostgreSQL of Debian's layout, else the one in PATH; fails when there is none.
postgres_bin() {
    local bin
    if [ -n "${ENGINES_POSTGRES_BIN:-}" ]; then
        echo "$ENGINES_POSTGRES_BIN"
        return
    fi
    while read -r bin; do
        if [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ]; then
            echo "$bin"
            return
        fi
    done < <(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -Vr)
    bin=$(command -v initdb) && dirname "$(readlink -f "$bin")"
}

has_mariadb() {
    command -v mariadbd >/dev/null && command -v mariadb-install-db >/dev/null && command -v mariadb >/dev/null
}

# plugins DIR: copies what scripts/mariadb_plugins.sh got to where the server's user may read it, and prints the option.
plugins() {
    local from="${BINDERY_TOOLS:-$(dirname "$0")/../var/tools}/mariadb"
    [ -e "$from/stamp" ] || return 0
    mkdir "$1"
    cp "$from"/*.so "$1/"
    echo "plugin-dir = $1"
}

is_listening() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# next_port FIRST LAST: a port of the range that nothing listens on, beginning at a random one.
next_port() {
    local first=$1 size=$(($2 - $1 + 1)) at tried
    at=$((RANDOM % size))
    for ((tried = 0; tried < size; tried++)); do
        if ! is_listening $((first + at)); then
            echo $((first + at))
            return
        fi
        at=$(((at + 1) % size))
    done
    die "no free port between $1 and $2"
}

# A private CA and one certificate for localhost, each valid for ten years. The CA's key is not kept.
make_certificates() {
    local dir="$HOME_DIR/tls"
    mkdir -m 700 "$dir"
    cat >"$dir/openssl.cnf" <<'CNF'
[req]
prompt = no
distinguished_name = name
x509_extensions = authority
[name]
CN = Bindery sample CA
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1
CNF
    {
        openssl ecparam -name prime256v1 -genkey -noout -out "$dir/ca.key" &&
            openssl req -x509 -new -key "$dir/ca.key" -sha256 -days 3650 -config "$dir/openssl.cnf" -out "$HOME_DIR/ca.pem" &&
            openssl ecparam -name prime256v1 -genkey -noout -out "$dir/server.key" &&
            openssl req -new -key "$dir/server.key" -subj /CN=localhost -config "$dir/openssl.cnf" -out "$dir/server.csr" &&
            openssl x509 -req -in "$dir/server.csr" -CA "$HOME_DIR/ca.pem" -CAkey "$dir/ca.key" -set_serial 1 -sha256 \
                -days 3650 -extfile "$dir/openssl.cnf" -extensions server -out "$dir/server.pem"
    } >"$dir/openssl.log" 2>&1 || die "openssl could not make certificates: $(cat "$dir/openssl.log")"
    rm "$dir/ca.key"
}

# install_certificate USER DIR
install_certificate() {
    cp "$HOME_DIR/tls/server.pem" "$HOME_DIR/tls/server.key" "$2/"
    chmod 600 "$2/server.key"
    chown "$1" "$2/server.pem" "$2/server.key"
}

# await_ready NAME PID LOG CLIENT…: 0 when the client gets an answer, 1 when the port was taken meanwhile.
await_ready() {
    local name=$1 pid=$2 log=$3 until=$((SECONDS + READY_SECONDS))
    shift 3
    until "$@" >/dev/null 2>&1; do
        if ! kill -0 "$pid" 2>/dev/null; then
            if grep -q 'Address already in use' "$log"; then
                return 1
            fi
            die "$name ended while it started. Its log, $log, ends with:"$'\n'"$(tail -n 20 "$log")"
        fi
        if [ "$SECONDS" -ge "$until" ]; then
            kill -KILL "$pid"
            die "$name gave no answer for $READY_SECONDS s. Its log, $log, ends with:"$'\n'"$(tail -n 20 "$log")"
        fi
        sleep 0.05
    done
}

start_postgres() {
    local bin user dir="$HOME_DIR/postgres" port pid
    bin=$(postgres_bin) || die "PostgreSQL is not installed: run scripts/install.sh"
    user=$(user_for postgres)
    folder "$user" "$dir"
    folder "$user" "$dir/socket"
    (cd "$dir" && as "$user" "$bin/initdb" -D "$dir/data" -U postgres -E UTF8 --locale=C.UTF-8 --auth=trust --no-sync) \
        >"$dir/initdb.log" 2>&1 || die "initdb failed:"$'\n'"$(tail -n 20 "$dir/initdb.log")"
    install_certificate "$user" "$dir/data"
    cat >"$dir/data/pg_hba.conf" <<'HBA'
local   all all                trust
hostssl all all 127.0.0.1/32   scram-sha-256
HBA
    # The data lives no longer than the process, so nothing waits for the disk.
    cat >>"$dir/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = '$dir/socket'
ssl = on
ssl_cert_file = 'server.pem'
ssl_key_file = 'server.key'
password_encryption = 'scram-sha-256'
max_connections = 200
shared_buffers = 64MB
fsync = off
synchronous_commit = off
full_page_writes = off
timezone = 'UTC'
CONF
    while :; do
        port=$(next_port "$PORTS_FIRST" $(((PORTS_FIRST + PORTS_LAST) / 2)))
        (cd "$dir" && as "$user" setsid "$bin/postgres" -D "$dir/data" -p "$port") >"$dir/log" 2>&1 </dev/null &
        pid=$!
        echo "POSTGRES_PID=$pid" >"$HOME_DIR/postgres.env"
        await_ready PostgreSQL "$pid" "$dir/log" \
            "$bin/psql" -X -h "$dir/socket" -p "$port" -U postgres -c 'SELECT 1' postgres && break
    done
    cat >>"$HOME_DIR/postgres.env" <<ENV
POSTGRES_PORT=$port
POSTGRES_SOCKET=$dir/socket
POSTGRES_ADMIN=postgres
POSTGRES_BIN=$bin
POSTGRES_LOG=$dir/log
ENV
}

start_mysql() {
    local user admin dir="$HOME_DIR/mysql" port pid
    has_mariadb || die "MariaDB is not installed: run scripts/install.sh"
    user=$(user_for mysql postgres)
    admin=$(id -un)
    folder "$user" "$dir"
    folder "$user" "$dir/data"
    folder "$user" "$dir/socket"
    install_certificate "$user" "$dir"
    cat >"$dir/my.cnf" <<CNF
[mariadbd]
datadir = $dir/data
tmpdir = $dir
socket = $dir/socket/mysql.sock
pid-file = $dir/pid
bind-address = 127.0.0.1
skip-name-resolve
require-secure-transport = ON
ssl-ca = $HOME_DIR/ca.pem
ssl-cert = $dir/server.pem
ssl-key = $dir/server.key
character-set-server = utf8mb4
default-time-zone = +00:00
max-connections = 200
innodb-buffer-pool-size = 64M
innodb-log-file-size = 32M
# The data lives no longer than the process, so nothing waits for the disk.
innodb-flush-log-at-trx-commit = 0
innodb-doublewrite = OFF
innodb-flush-method = nosync
$(plugins "$dir/plugins")
CNF
    (cd "$dir" && as "$user" mariadb-install-db --defaults-file="$dir/my.cnf" --skip-test-db \
        --auth-root-authentication-method=socket --auth-root-socket-user="$admin") \
        >"$dir/install.log" 2>&1 || die "mariadb-install-db failed:"$'\n'"$(tail -n 20 "$dir/install.log")"
    while :; do
        port=$(next_port $(((PORTS_FIRST + PORTS_LAST) / 2 + 1)) "$PORTS_LAST")
        (cd "$dir" && as "$user" setsid mariadbd --defaults-file="$dir/my.cnf" --port="$port") >"$dir/log" 2>&1 </dev/null &
        pid=$!
        echo "MYSQL_PID=$pid" >"$HOME_DIR/mysql.env"
        await_ready MariaDB "$pid" "$dir/log" \
            mariadb --no-defaults --socket="$dir/socket/mysql.sock" --user="$admin" -e 'SELECT 1' && break
    done
    cat >>"$HOME_DIR/mysql.env" <<ENV
MYSQL_PORT=$port
MYSQL_SOCKET=$dir/socket/mysql.sock
MYSQL_ADMIN=$admin
MYSQL_LOG=$dir/log
ENV
}

# Two connections to the server for each user and database, so that clients have to share.
start_pooler() {
    local user dir="$HOME_DIR/pooler" port pid
    command -v pgbouncer >/dev/null || die "PgBouncer is not installed: run scripts/install.sh pgbouncer"
    user=$(user_for postgres)
    folder "$user" "$dir"
    install_certificate "$user" "$dir"
    cp "$POOLED_CA" "$dir/server_ca.pem"
    chmod 644 "$dir/server_ca.pem"
    echo "\"$POOLED_ADMIN\" \"$POOLED_PASSWORD\"" >"$dir/users.txt"
    chmod 644 "$dir/users.txt"
    while :; do
        port=$(next_port "$PORTS_FIRST" "$PORTS_LAST")
        cat >"$dir/pgbouncer.ini" <<INI
[databases]
* = host=127.0.0.1 port=$POOLED_PORT auth_user=$POOLED_ADMIN
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
pool_mode = transaction
default_pool_size = 2
max_client_conn = 200
auth_type = scram-sha-256
auth_file = $dir/users.txt
auth_query = SELECT usename, passwd FROM pg_catalog.pg_shadow WHERE usename = \$1
client_tls_sslmode = require
client_tls_cert_file = $dir/server.pem
client_tls_key_file = $dir/server.key
server_tls_sslmode = verify-full
server_tls_ca_file = $dir/server_ca.pem
INI
        (cd "$dir" && as "$user" setsid pgbouncer "$dir/pgbouncer.ini") >"$dir/log" 2>&1 </dev/null &
        pid=$!
        echo "POOLER_PID=$pid" >"$HOME_DIR/pooler.env"
        await_ready PgBouncer "$pid" "$dir/log" is_listening "$port" && break
    done
    echo "POOLER_PORT=$port" >>"$HOME_DIR/pooler.env"
}

# Whether this process is still the one that was started in HOME_DIR; a zombie has no command line.
is_ours() {
    tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" | grep -qF -- "$HOME_DIR/"
}

# end SIGNAL PID
end() {
    local until=$((SECONDS + STOP_SECONDS))
    is_ours "$2" || return 0
    kill -s "$1" "$2"
    while is_ours "$2"; do
        if [ "$SECONDS" -ge "$until" ]; then
            kill -s KILL "$2"
            until=$((SECONDS + STOP_SECONDS))
        fi
        sleep 0.05
    done
}

stop_engines() {
    local POSTGRES_PID='' MYSQL_PID='' POOLER_PID='' part
    for part in postgres mysql pooler; do
        # shellcheck disable=SC1090 # two lines that this script wrote
        [ ! -e "$HOME_DIR/$part.env" ] || . "$HOME_DIR/$part.env"
    done
    [ -z "$POSTGRES_PID" ] || end INT "$POSTGRES_PID" # its "fast" shutdown
    [ -z "$MYSQL_PID" ] || end TERM "$MYSQL_PID"
    [ -z "$POOLER_PID" ] || end TERM "$POOLER_PID" # at once
    case "$HOME_DIR" in
    /var/tmp/bindery-engines.*) rm -rf "$HOME_DIR" ;;
    esac
}

# start_engines [postgres|mysql|pooler]: sets HOME_DIR and writes HOME_DIR/engines.env; stops what it started when it fails.
start_engines() {
    local parts=(postgres mysql) part starts=() failed=
    [ -z "${1:-}" ] || parts=("$1")
    # Not in the checkout: the engines' users may not enter root's folders, and a socket's path is short.
    HOME_DIR=$(mktemp -d /var/tmp/bindery-engines.XXXXXX)
    chmod 711 "$HOME_DIR"
    trap stop_engines EXIT
    trap 'exit 130' INT TERM HUP
    make_certificates
    for part in "${parts[@]}"; do
        (
            trap - EXIT
            "start_$part"
        ) &
        starts+=($!)
    done
    for part in "${starts[@]}"; do
        wait "$part" || failed=yes
    done
    [ -z "$failed" ] || exit 1
    {
        echo "ENGINES_HOME=$HOME_DIR"
        echo "CA_PEM=$HOME_DIR/ca.pem"
        for part in "${parts[@]}"; do cat "$HOME_DIR/$part.env"; done
    } >"$HOME_DIR/engines.env"
}

# Sets HOME_DIR from DIR/engines.env.
load_home() {
    [ -e "$1/engines.env" ] || die "nothing was started in $1"
    HOME_DIR=$(sed -n 's/^ENGINES_HOME=//p' "$1/engines.env")
}

usage() {
    sed -n '2,/^set /s/^# \{0,1\}//p' "$0"
    exit 2
}

case "${1:-}" in
start)
    [ $# -ge 2 ] || usage
    [ ! -e "$2/engines.env" ] || die "$2/engines.env exists: run 'engines.sh stop $2' first"
    mkdir -p "$2"
    start_engines "${3:-}"
    cp "$HOME_DIR/engines.env" "$2/engines.env"
    trap - EXIT
    ;;
stop)
    [ $# -eq 2 ] || usage
    [ -e "$2/engines.env" ] || exit 0
    load_home "$2"
    stop_engines
    rm "$2/engines.env"
    ;;
status)
    [ $# -eq 2 ] || usage
    load_home "$2"
    while IFS='=' read -r name pid; do
        case "$name" in
        *_PID) is_ours "$pid" && echo "${name%_PID} runs as process $pid" || echo "${name%_PID} does not run" ;;
        esac
    done <"$2/engines.env"
    ;;
missing)
    postgres_bin >/dev/null || echo postgres
    has_mariadb || echo mysql
    ;;
hold)
    start_engines "${2:-}"
    cat "$HOME_DIR/engines.env"
    echo READY
    exec >/dev/null 2>&1
    while read -r _; do :; done
    ;;
*) usage ;;
esac
