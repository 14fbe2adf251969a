#!/usr/bin/env bash
# Installs what judges the MCP endpoint in the tests, at the versions of scripts/mcp/package-lock.json: the protocol's
# conformance suite and its Inspector, with the Node.js that they need. An npm must be there already, of any version.
#
#   BINDERY_TOOLS=DIR    instead of var/tools
set -euo pipefail
cd "$(dirname "$0")/.."
DIR=$(realpath -m "${BINDERY_TOOLS:-var/tools}")/mcp
LOCK=scripts/mcp/package-lock.json

if cmp -s "$LOCK" "$DIR/stamp"; then
    exit 0
fi
scripts/install.sh npm
echo "==> installing the judges of MCP"
rm -rf "$DIR"
mkdir -p "$DIR"
cp scripts/mcp/package.json "$LOCK" "$DIR/"
# No script of a package runs: none is needed.
(cd "$DIR" && npm ci --silent --no-audit --no-fund --ignore-scripts)
# Named alike on every machine.
ln -s "$(cd "$DIR" && echo node_modules/node-linux-*/bin/node)" "$DIR/node"
cp "$LOCK" "$DIR/stamp"
echo "==> the judges of MCP are installed"
