#!/usr/bin/env bash
# Installs what stands in for AWS in the tests, and what checks the template, each at a pinned version: an emulator of
# DynamoDB, one of KMS, Secrets Manager and S3, and the SAM command line, which brings the Lambda runtime's emulator.
# The local server needs none of it.
#
#   BINDERY_TOOLS=DIR    instead of var/tools
set -euo pipefail
cd "$(dirname "$0")/.."
DIR=$(realpath -m "${BINDERY_TOOLS:-var/tools}")
DYNOXIDE=3.2.0
PYTHON_PACKAGES=('moto[server]==5.2.5' aws-sam-cli==1.170.0 cfn-lint==1.58.0)

say() {
    echo "==> $*"
}

# is_made STAMP TEXT: whether the last installation came to its end, and was this one.
is_made() {
    [ "$(cat "$1" 2>/dev/null)" = "$2" ]
}

install_dynoxide() {
    local stamp="$DIR/bin/dynoxide.stamp"
    ! is_made "$stamp" "$DYNOXIDE" || return 0
    say "building the emulator of DynamoDB: some minutes the first time"
    # Unoptimized it builds in less than half of the time, and its speed is not what the tests measure.
    CARGO_PROFILE_DEV_DEBUG=false cargo install dynoxide-rs --version "$DYNOXIDE" --locked --no-default-features \
        --features native-sqlite,http-server,cli --debug --force --root "$DIR"
    echo "$DYNOXIDE" >"$stamp"
}

install_python_packages() {
    local stamp="$DIR/py/stamp" wanted
    # A virtual environment knows its own path and its Python; elsewhere or with another one it is made anew.
    wanted="$DIR $(python3 --version 2>/dev/null || true) ${PYTHON_PACKAGES[*]}"
    ! is_made "$stamp" "$wanted" || return 0
    scripts/install.sh python3-venv
    wanted="$DIR $(python3 --version) ${PYTHON_PACKAGES[*]}"
    say "installing ${PYTHON_PACKAGES[*]}"
    rm -rf "$DIR/py"
    python3 -m venv "$DIR/py"
    "$DIR/py/bin/pip" install --quiet --disable-pip-version-check "${PYTHON_PACKAGES[@]}"
    echo "$wanted" >"$stamp"
}

mkdir -p "$DIR"
install_dynoxide
install_python_packages
say "what stands in for AWS is installed"
