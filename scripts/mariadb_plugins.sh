#!/usr/bin/env bash
# Gets what a customer's MariaDB may ask of a client and Debian's core package of the server does not hold: the ed25519
# authentication. The package that has it starts a server of its own when it is installed, so only the file is taken out.
#
#   BINDERY_TOOLS=DIR    instead of var/tools
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C.UTF-8 PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
DIR=$(realpath -m "${BINDERY_TOOLS:-var/tools}")/mariadb
PLUGIN=auth_ed25519.so

die() {
    echo "mariadb_plugins: $*" >&2
    exit 1
}

system=$(mariadbd --no-defaults --verbose --help 2>/dev/null | sed -n 's/^plugin-dir  *//p')
[ ! -e "$system/$PLUGIN" ] || exit 0
version=$(dpkg-query --show --showformat '${Version}' mariadb-server-core 2>/dev/null) ||
    die "$system/$PLUGIN is missing, and this MariaDB is not Debian's: install its plugins as you installed the server"
[ "$(cat "$DIR/stamp" 2>/dev/null)" != "$version" ] || exit 0

echo "==> taking $PLUGIN out of the package mariadb-server $version"
rm -rf "$DIR"
mkdir -p "$DIR/package"
# The very version is gone from the archive once a newer one is there; within a release the plugin still fits.
(cd "$DIR/package" && { apt-get download -q "mariadb-server=$version" || apt-get download -q mariadb-server; }) ||
    die "apt-get could not download mariadb-server. Its messages are above; run 'apt-get update' as root once, then try again"
dpkg-deb --fsys-tarfile "$DIR"/package/*.deb | tar -x -C "$DIR" --strip-components=5 "./usr/lib/mysql/plugin/$PLUGIN"
rm -r "$DIR/package"
echo "$version" >"$DIR/stamp"
