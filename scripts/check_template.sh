#!/usr/bin/env bash
# Lets cfn-lint and the SAM command line judge template.yaml. Neither needs an account, and neither may tell anybody
# anything: telemetry is off, and what would leave this machine all the same meets a closed port.
set -euo pipefail
cd "$(dirname "$0")/.."
PROGRAMS=${BINDERY_TOOLS:-var/tools}/py/bin
export SAM_CLI_TELEMETRY=0 AWS_EC2_METADATA_DISABLED=true
export HTTPS_PROXY=http://127.0.0.1:9 HTTP_PROXY=http://127.0.0.1:9 NO_PROXY=

if [ ! -x "$PROGRAMS/sam" ]; then
    echo "check_template: $PROGRAMS/sam is missing: run scripts/aws_tools.sh" >&2
    exit 1
fi
"$PROGRAMS/cfn-lint" template.yaml
# samconfig.toml says that it lints, too.
"$PROGRAMS/sam" validate --config-env prod
