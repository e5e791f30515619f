#!/bin/sh
# Install Luna as a service on Debian or Raspberry Pi OS. `make install` calls this.
# Usage: install.sh BUILD_PYTHON CACHE STAGE
#   BUILD_PYTHON  an interpreter with the packages of requirements/build.txt and runtime.txt
#   CACHE         where llama.cpp's wheel is kept
#   STAGE         a folder in which everything is put together; kept for the next time
# Environment:
#   DESTDIR         install below this folder, and start nothing
#   SERVICE_PYTHON  the service's interpreter (/usr/bin/python3)
#   WITH_MODELS     `no` leaves the models to `luna models pull`
#
# Putting together needs no root, copying does. It may be repeated: the Python environment changes
# place with the old one in one step, and what the administrator wrote stays.
set -eu
umask 022

build_python=$1
cache=$2
stage=$3
root=${DESTDIR-}
case $root in "" | /*) ;; *) root=$PWD/$root ;; esac
python=${SERVICE_PYTHON:-/usr/bin/python3}
here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
cd "$project"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1

fail() { echo "$*" >&2; exit 1; }

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "Luna needs Python 3.11 or newer; $python is older. Set SERVICE_PYTHON=..."
case $(readlink -f "$python") in
/home/* | /root/*) fail "The service cannot look into home folders, where $python lies. Set SERVICE_PYTHON=..." ;;
esac
if [ -z "$root" ] && owner=$(dpkg-query -S /usr/bin/luna 2>/dev/null); then
    fail "Luna is installed as the package ${owner%%:*}; run \`apt-get remove ${owner%%:*}\` first."
fi
if [ "$(id -u)" = 0 ] || [ -n "$root" ]; then as_root=""; else as_root="sudo"; fi

# --- put together ---------------------------------------------------------------------------------

environment=$stage/opt/luna
llama=$(sh "$here/llama_wheel.sh" "$build_python" "$cache" wheel)
key=$( (cat requirements/runtime.txt "$llama"; "$python" --version; readlink -f "$python") | sha256sum)
if [ ! -f "$environment/.packages" ] || [ "$(cat "$environment/.packages")" != "$key" ]; then
    echo "Installing the Python packages ..."
    rm -rf "$environment"
    "$python" -m venv --without-pip "$environment"
    PIP_PYTHON=$environment/bin/python sh "$here/python_packages.sh" "$build_python" requirements/runtime.txt
    "$build_python" -m pip --python "$environment/bin/python" install --quiet --no-deps --no-index "$llama"
    # It will lie elsewhere: the interpreter finds its way, these know only where they are now.
    find "$environment/bin" -type f -delete
    find "$environment/bin" -type l ! -name 'python*' -delete
    sed -i '/^command/d' "$environment/pyvenv.cfg"
    echo "$key" >"$environment/.packages"
fi

rm -rf "$stage/usr" "$stage/wheel"
"$build_python" -m pip wheel --quiet --no-deps --no-index --no-build-isolation \
    --wheel-dir "$stage/wheel" .
"$build_python" -m pip --python "$environment/bin/python" install --quiet --no-deps --no-index \
    --force-reinstall "$stage"/wheel/*.whl
rm -f "$environment/bin/luna"
# The service may write nothing here, so what is not compiled now never is.
"$environment/bin/python" -m compileall -q -j 0 -s "$stage" -p / "$environment/lib" >/dev/null || true

mkdir -p "$stage/usr/bin"
cat >"$stage/usr/bin/luna" <<'END'
#!/bin/sh
exec /opt/luna/bin/python -P -m appliance.cli "$@"
END
chmod 755 "$stage/usr/bin/luna"
{
    echo /usr/bin/luna
    "$build_python" -m image_build.service_files "$stage"
} >"$environment/files"

# --- copy to its place ----------------------------------------------------------------------------

[ -z "$root" ] || mkdir -p "$root"
$as_root mkdir -p "$root/opt" "$root/etc/luna"
$as_root rm -rf "$root/opt/luna.new" "$root/opt/luna.old"
$as_root cp -R -P --preserve=mode,timestamps "$environment" "$root/opt/luna.new"
if [ -f "$root/opt/luna/files" ]; then
    # Files of the version before that this one has no more.
    { grep -vxFf "$environment/files" "$root/opt/luna/files" || true; } | while read -r old; do
        $as_root rm -f "$root$old"
    done
fi
[ ! -e "$root/opt/luna" ] || $as_root mv "$root/opt/luna" "$root/opt/luna.old"
$as_root mv "$root/opt/luna.new" "$root/opt/luna"
$as_root rm -rf "$root/opt/luna.old"
# Without the folders on the way, whose owner and mode are not ours to change.
sed 's,^/,,' "$environment/files" | tar -C "$stage" --owner=0 --group=0 -cf - -T - |
    $as_root tar -C "$root/" -xf -
[ -e "$root/etc/luna/luna.toml" ] ||
    $as_root install -m 644 "$here/luna.toml" "$root/etc/luna/luna.toml"

# --- what is its own: user, folders, models -------------------------------------------------------

not_done=""
if [ -n "$root" ]; then
    not_done="the user, the folders and the start: systemd-sysusers, systemd-tmpfiles, systemctl enable --now luna.service"
elif command -v systemd-sysusers >/dev/null; then
    $as_root systemd-sysusers luna.conf
    $as_root systemd-tmpfiles --create luna.conf
    $as_root install -d -m 750 -o luna -g luna /var/lib/luna /var/cache/luna /var/cache/luna/models
else
    not_done="the user luna and the start: there is no systemd"
fi

models=$root/var/cache/luna/models
if [ "${WITH_MODELS-yes}" != no ]; then
    $as_root mkdir -p "$models"
    # What `make run` brought need not come through the network again; it is verified all the same.
    for name in $("$environment/bin/python" -c \
        'from appliance.models.catalogue import load_catalogue; print(*load_catalogue().default_set())'); do
        had=${LUNA_MODELS_DIR:-/nowhere}/$name
        [ ! -d "$had" ] || [ -e "$models/$name" ] || $as_root cp -R "$had" "$models/$name"
    done
    echo "Installing the models into $models ..."
    $as_root "$root/opt/luna/bin/python" -m appliance.models.install --dir "$models"
fi
if [ -z "$root" ] && id luna >/dev/null 2>&1; then
    $as_root chown -R luna:luna /var/cache/luna
fi

# --- start ----------------------------------------------------------------------------------------

if [ -z "$not_done" ]; then
    $as_root systemctl enable --quiet luna.service luna-backup.timer
    if [ -d /run/systemd/system ]; then
        $as_root systemctl daemon-reload
        if [ -S /run/udev/control ]; then # a container has none
            $as_root udevadm control --reload && $as_root udevadm trigger
        fi
        $as_root systemctl restart luna.service
        $as_root systemctl start luna-backup.timer
        echo "Luna runs: systemctl status luna"
    else
        not_done="the start: systemd does not run here. At the next boot luna.service starts by itself"
    fi
fi
[ -z "$not_done" ] || echo "The files are in place. Not done: $not_done."
[ "${WITH_MODELS-yes}" != no ] || echo "Without models: sudo -u luna luna models pull"
