#!/bin/sh
# Install the Debian packages that are missing, and only those. Usage: debian_packages.sh NAME...
set -eu

if ! command -v dpkg-query >/dev/null; then
    echo "This is not Debian; Luna needs what Debian calls: $*"
    exit 0
fi
there=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true)
missing=""
for name in "$@"; do
    printf '%s\n' "$there" | grep -qxF "$name installed" || missing="$missing $name"
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
# A fresh machine has no package lists, and an old list names versions that are gone.
$as_root apt-get update --quiet || echo "The package lists could not be renewed; trying with the old ones." >&2
$as_root env DEBIAN_FRONTEND=noninteractive $install
