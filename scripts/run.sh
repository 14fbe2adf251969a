#!/usr/bin/env bash
# `make run`: installs what is missing, builds, starts a sample clinic on PostgreSQL and on MariaDB and a server beside
# them, walks the story by HTTP, and keeps serving until Ctrl-C. Everything lives in var/run and is new each time.
#
#   ONCE=1               ends after the story, with its exit code
#   LISTEN=HOST:PORT     instead of 127.0.0.1:8480
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
DIR="$PWD/var/run"
LISTEN=${LISTEN:-127.0.0.1:8480}
URL="http://$LISTEN"

stop_all() {
    stop_server
    scripts/engines.sh stop "$DIR" 9>&-
}

show_what_to_try() {
    local authorization="Authorization: Bearer $BINDERY_KEY" agent skill arguments
    agent=$(sed -n 's/^AGENT=//p' "$STORY_RESULT")
    skill=$(sed -n 's/^SKILL=//p' "$STORY_RESULT")
    arguments=$(sed -n 's/^ARGUMENTS=//p' "$STORY_RESULT")
    cat <<TEXT

Address  $URL
Key      $BINDERY_KEY

curl -s '$URL/api/v1/integrations/postgres/search?q=next+visit' -H '$authorization'
curl -s '$URL/api/v1/agents/$agent/prepublish-report' -H '$authorization'
curl -s '$URL/api/v1/agents/$agent/skills/$skill/call' -H '$authorization' -H 'Content-Type: application/json' -d '{"arguments": $arguments}'

TEXT
}

take_folder "$DIR"
! is_taken "$LISTEN" || die "something listens on $LISTEN already; choose another address: make run LISTEN=127.0.0.1:8481"
scripts/install.sh
say "building: several minutes the first time"
# Without the SDKs of AWS, which would double the build.
cargo build --release --locked --no-default-features --package functions --package tests --bin bindery --bin story
trap stop_all EXIT
trap 'exit 130' INT TERM HUP

say "starting PostgreSQL and MariaDB, over TLS with a private CA"
start_engines "$DIR"
say "loading the clinic into both"
load_clinic
say "starting the server on $LISTEN; its log is $DIR/bindery.log"
start_server "$DIR" "$LISTEN"
BINDERY_KEY=$(mint_key "$DIR" clinic)
export BINDERY_KEY BINDERY_URL="$URL" BINDERY_DATA_DIR="$DIR/bindery" STORY_RESULT="$DIR/story.env"

"$TARGET/story" 9>&-
show_what_to_try
if [ -n "${ONCE:-}" ]; then
    exit 0
fi
echo "Serving until Ctrl-C."
trap 'exit 0' INT TERM HUP
wait "$SERVER_PID" || die "the server ended; its log is $DIR/bindery.log"
