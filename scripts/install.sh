#!/usr/bin/env bash
# Looks for what building and running needs. Names the command for a missing build tool, and installs missing database
# servers and tools with apt-get; what is there already stays as it is.
#
#   install.sh [PACKAGE…]    further packages to install, for tests, for the benchmarks and for the emulators of AWS
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

say() {
    echo "==> $*"
}

die() {
    echo "install: $*" >&2
    exit 1
}

# What is to be typed before apt-get.
as_root() {
    [ "$(id -u)" -eq 0 ] || echo "sudo "
}

# is_at_least HAVE WANTED
is_at_least() {
    [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]
}

# The version that apt-get would install, or nothing.
candidate() {
    apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: \([^(]\)/\1/p'
}

need_tool() {
    command -v "$1" >/dev/null || die "$1 is missing. Install it with: $(as_root)apt-get install $2"
}

# How to get Rust $1: rustup where the distribution has it, else its own compiler when that is new enough.
how_to_install_rust() {
    local packaged
    packaged=$(candidate rustc | sed 's/[+~-].*//')
    if [ -n "$(candidate rustup)" ]; then
        echo "Install it with: $(as_root)apt-get install rustup && rustup default stable"
    elif [ -n "$packaged" ] && is_at_least "$packaged" "$1"; then
        echo "Install it with: $(as_root)apt-get install cargo"
    elif [ -z "$packaged" ]; then
        # A machine that has not fetched its lists of packages yet.
        echo "Install it with: $(as_root)apt-get update && $(as_root)apt-get install rustup && rustup default stable"
    else
        echo "This distribution packages Rust $packaged and no rustup: install rustup as www.rust-lang.org/tools/install says, then type: rustup default stable"
    fi
}

need_rust() {
    local wanted have
    wanted=$(sed -n 's/^rust-version = "\([0-9.]*\)".*/\1/p' Cargo.toml)
    command -v cargo >/dev/null || die "Rust $wanted or newer is missing. $(how_to_install_rust "$wanted")"
    have=$(cargo --version | cut -d ' ' -f 2) ||
        die "cargo does not run, see above. A missing toolchain is installed with: rustup toolchain install stable"
    is_at_least "$have" "$wanted" && return
    if command -v rustup >/dev/null; then
        die "Rust $wanted or newer is needed, this is $have. Update it with: rustup update stable"
    fi
    die "Rust $wanted or newer is needed, this is $have. $(how_to_install_rust "$wanted")"
}

# Packages whose names differ between releases: the first set of which apt-get knows all.
first_known() {
    local set name known
    for set in "$@"; do
        known=yes
        for name in $set; do [ -n "$(candidate "$name")" ] || known=; done
        if [ -n "$known" ]; then
            echo "$set"
            return
        fi
    done
    die "apt-get knows none of: $*"
}

# is_installed PACKAGE: most bring a program of their own name.
is_installed() {
    case "$1" in
    # Debian keeps the part of Python that makes virtual environments in a package of its own.
    python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

install_missing() {
    local missing=() packages=() known=() name run=()
    mapfile -t missing < <(scripts/engines.sh missing)
    for name in openssl curl "$@"; do
        is_installed "$name" || missing+=("$name")
    done
    if [ ${#missing[@]} -eq 0 ]; then
        return
    fi
    say "missing: ${missing[*]}"
    command -v apt-get >/dev/null || die "this is not Debian or Ubuntu: install ${missing[*]} yourself, then try again"
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "there is no sudo: run scripts/install.sh as root once, then try again"
        run=(sudo)
    fi
    run+=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120)
    say "${run[*]} update"
    "${run[@]}" update -q
    for name in "${missing[@]}"; do
        case "$name" in
        postgres)
            say "Debian's package of PostgreSQL also makes a cluster of its own; it is not used here"
            packages+=(postgresql)
            ;;
        pgbouncer)
            say "Debian's package of PgBouncer also starts one of its own; it is not used here"
            packages+=("$name")
            ;;
        # The core packages hold the programs and start no server of their own.
        mysql)
            name=$(first_known 'mariadb-server-core mariadb-client-core' mariadb-server)
            read -ra known <<<"$name"
            packages+=("${known[@]}")
            ;;
        *) packages+=("$name") ;;
        esac
    done
    say "installing: ${packages[*]}"
    # --no-remove: MariaDB's packages would push out an installed MySQL, which is somebody's.
    "${run[@]}" install -y -q --no-install-recommends --no-remove "${packages[@]}" ||
        die "apt-get could not install ${packages[*]}; nothing of yours was removed. Its messages are above"
    missing=()
    mapfile -t missing < <(scripts/engines.sh missing)
    [ ${#missing[@]} -eq 0 ] || die "still missing after the installation: ${missing[*]}"
}

need_tool git git
need_tool make make
need_tool cc build-essential
need_rust
install_missing "$@"
say "everything that is needed is installed"
