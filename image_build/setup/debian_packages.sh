#!/bin/sh
# Install the Debian packages that are missing, and only those. Usage: debian_packages.sh NAME...
# A name with alternatives (a|b) is satisfied by any of them; the first is installed.
set -eu

missing=""
for wanted in "$@"; do
    found=no
    for name in $(echo "$wanted" | tr '|' ' '); do
        if dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed; then
            found=yes
        fi
    done
    [ "$found" = yes ] || missing="$missing ${wanted%%|*}"
done
[ -n "$missing" ] || exit 0

echo "These Debian packages are missing and will be installed:$missing"
install="apt-get install --yes --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    as_root="sudo"
else
    echo "Installing them needs root. Run this command as root, then try again:" >&2
    echo "    apt-get update && $install" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
# A fresh machine has no package lists, and an old list names versions that are gone.
$as_root apt-get update --quiet || echo "The package lists could not be renewed; trying with the old ones." >&2
$as_root env DEBIAN_FRONTEND=noninteractive $install
