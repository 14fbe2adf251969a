#!/usr/bin/env bash
# What a long history costs: verifying it, and telling what was true at any point of it. Two logs of 100,000 events, on
# SQLite: in one every commit holds one event, in the other they are mixed.
#   EVENTS=100000               events of each
#   LISTEN=HOST:PORT            instead of 127.0.0.1:8480
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
DIR="$PWD/var/bench"
LISTEN=${LISTEN:-127.0.0.1:8480}
EVENTS=${EVENTS:-100000}

# replay ORGANIZATION POINT: milliseconds of a process of its own.
replay() {
    local began=$EPOCHREALTIME
    "$TARGET/bindery" audit replay --data-dir "$DIR/bindery" --organization "$1" --at "$2" >/dev/null
    awk -v began="$began" -v ended="$EPOCHREALTIME" 'BEGIN {printf "%.0f", (ended - began) * 1000}'
}

cargo build --release --locked --no-default-features --package functions --bin bindery --package tests --bin bench_history
take_folder "$DIR"
! is_taken "$LISTEN" || die "something listens on $LISTEN already; choose another address by LISTEN="
trap stop_server EXIT
trap 'exit 130' INT TERM HUP

# The key file is made with the folder's first key.
mint_key "$DIR" bench >/dev/null
say "writing two logs of $EVENTS events: some minutes"
"$TARGET/bench_history" fill "$DIR/bindery" "$EVENTS"
say "verifying"
"$TARGET/bench_history" verify "$DIR/bindery"
say "keeping states of the past"
"$TARGET/bench_history" states "$DIR/bindery"
for organization in ones mixed; do
    say "$organization: a process of its own, bindery audit replay"
    echo "  the last event, nothing kept that it believes: $(replay "$organization" "$EVENTS") ms"
    for point in "$EVENTS" $((EVENTS / 2 + 777)) $((EVENTS - 1777)) 1; do
        echo "  event $point: $(replay "$organization" "$point") ms"
    done
    key=$(mint_key "$DIR" "$organization")
    start_server "$DIR" "$LISTEN"
    say "$organization: a server that has just started"
    "$TARGET/bench_history" ask "http://$LISTEN" "$key"
    awk '$1 == "VmHWM:" {printf "  peak memory of the server: %.0f MiB\n", $2 / 1024}' "/proc/$SERVER_PID/status"
    stop_server
done
