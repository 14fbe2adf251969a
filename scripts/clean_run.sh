#!/usr/bin/env bash
# Ends what a killed run left behind and removes its data. A run that is still going is not touched.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
for name in run run-lambda bench eval; do
    [ ! -e "var/$name" ] || take_folder "$PWD/var/$name"
    rm -rf "var/$name" "var/$name.lock"
done
