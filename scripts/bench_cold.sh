#!/usr/bin/env bash
# `make bench-cold`: what a function costs to start, to keep and to ship, for each way to build it: one program of all
# functions or one of its own, and three profiles. Under AWS's runtime interface emulator, with events of API Gateway,
# on emulators of DynamoDB, KMS and Secrets Manager and a real PostgreSQL. Prints the table of docs/deploy.md, and the
# seconds of each build.
#
#   PROFILES='lambda-plain lambda-thin lambda-small'    which of them
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
PROFILES=${PROFILES:-lambda-plain lambda-thin lambda-small}
FUNCTIONS=(agents-list skills-call)
FOLDER=${CARGO_TARGET_DIR:-target}

scripts/install.sh
scripts/aws_tools.sh
cargo build --release --locked --package tests --bin bench_cold
candidates=()
for profile in $PROFILES; do
    for program in lambda "${FUNCTIONS[@]}"; do
        started=$SECONDS
        cargo build --profile "$profile" --locked --package functions --bin "$program"
        say "$profile $program: built in $((SECONDS - started)) s"
    done
    for function in "${FUNCTIONS[@]}"; do
        candidates+=("all in one, $profile:$function=$FOLDER/$profile/lambda")
        candidates+=("one of its own, $profile:$function=$FOLDER/$profile/$function")
    done
    lambda="$FOLDER/$profile/lambda"
done
"$TARGET/bench_cold" "$lambda" "${candidates[@]}"
