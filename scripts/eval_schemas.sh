#!/usr/bin/env bash
# Real schemas from connecting to live calls: what was discovered is compared with what the engine itself says, and a
# read is bound, published and called for every table that an index can serve.
#
#   eval_schemas.sh DIR         reads DIR/postgresql/*.sql and DIR/mysql/*.sql; each gets a database and an organization
set -euo pipefail
SCHEMAS=$(realpath -e "${1:?usage: make eval-schemas SCHEMAS=dir}")
cd "$(dirname "$0")/.."
scripts/install.sh
exec cargo run --release --locked --package tests --bin eval_schemas -- "$SCHEMAS"
