#!/bin/sh
# Remove what install.sh installed. `make uninstall` calls this.
# Environment:
#   DESTDIR  where it was installed
#   PURGE=1  remove configuration, data, models and the user as well
set -eu

root=${DESTDIR-}
case $root in "" | /*) ;; *) root=$PWD/$root ;; esac
files=$root/opt/luna/files
if [ "$(id -u)" = 0 ] || [ -n "$root" ]; then as_root=""; else as_root="sudo"; fi

if [ -z "$root" ] && command -v systemctl >/dev/null && [ -f "$files" ]; then
    units="luna.service luna-backup.timer"
    [ ! -d /run/systemd/system ] || $as_root systemctl stop $units luna-backup.service || true
    $as_root systemctl disable --quiet $units || true
fi

if [ -f "$files" ]; then
    folders=$(sed 's,^/,,; s,/[^/]*$,,' "$files" | sort -u)
    while read -r file; do
        $as_root rm -f "$root$file"
    done <"$files"
    $as_root rm -rf "$root/opt/luna" "$root/opt/luna.new" "$root/opt/luna.old"
    # Folders on the way that are empty now.
    cd "$root/"
    for folder in $folders ${root:+opt}; do
        [ ! -d "$folder" ] || $as_root rmdir -p --ignore-fail-on-non-empty "$folder"
    done
else
    echo "There is no Luna in $root/opt/luna that \`make install\` installed."
fi

data="$root/etc/luna $root/var/lib/luna $root/var/cache/luna"
if [ "${PURGE-}" = 1 ]; then
    $as_root rm -rf $data
    if [ -z "$root" ] && id luna >/dev/null 2>&1; then
        $as_root userdel luna
    fi
    cd "$root/"
    for folder in etc var/lib var/cache; do
        [ -z "$root" ] || [ ! -d "$folder" ] || rmdir -p --ignore-fail-on-non-empty "$folder"
    done
else
    echo "Kept, where they exist: $data (PURGE=1 removes them)."
fi
[ -n "$root" ] || [ ! -d /run/systemd/system ] || $as_root systemctl daemon-reload
