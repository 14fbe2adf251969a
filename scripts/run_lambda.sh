#!/usr/bin/env bash
# `make run-lambda`: the story of `make run`, told to the same endpoints as Lambda functions: processes of the program
# `lambda` behind a gateway on this machine, on emulators of DynamoDB, KMS, Secrets Manager and S3, against PostgreSQL
# and MariaDB. Everything is new each time. What the functions write is in var/run-lambda/functions.log.
#
#   ONCE=1               ends after the story, with its exit code
#   LISTEN=HOST:PORT     instead of 127.0.0.1:8490
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
DIR="$PWD/var/run-lambda"
export LISTEN=${LISTEN:-127.0.0.1:8490}

take_folder "$DIR"
! is_taken "$LISTEN" || die "something listens on $LISTEN already; choose another address: make run-lambda LISTEN=127.0.0.1:8491"
scripts/install.sh
scripts/aws_tools.sh
say "building: several minutes the first time"
# In one go: apart, the two would build the SDKs with other features, and so twice.
cargo build --release --locked --workspace --bin lambda --bin story_on_lambda
trap 'scripts/engines.sh stop "$DIR" 9>&-' EXIT
trap 'exit 130' INT TERM HUP

say "starting PostgreSQL and MariaDB, over TLS with a private CA"
start_engines "$DIR"
say "loading the clinic into both"
load_clinic
say "starting emulators and a gateway on $LISTEN; what functions write is in $DIR/functions.log"
if ! "$TARGET/story_on_lambda" 2>"$DIR/functions.log" 9>&-; then
    die "the story did not end well; $DIR/functions.log ends with:"$'\n'"$(tail -n 20 "$DIR/functions.log")"
fi
