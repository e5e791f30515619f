#!/bin/sh
# Install a lock file's packages, but llama-cpp-python, which llama_wheel.sh builds with its own flags.
# Usage: python_packages.sh PYTHON LOCK_FILE
set -eu

lock=$(mktemp)
trap 'rm -f "$lock"' EXIT
awk '/^llama-cpp-python==/ { skip = 1 } !skip { print } skip && !/\\$/ { skip = 0 }' "$2" >"$lock"
# A person at a terminal sees what is downloaded; a log stays short.
if [ -t 1 ]; then quiet=""; else quiet="--quiet"; fi
"$1" -m pip install --disable-pip-version-check $quiet --no-deps --require-hashes --requirement "$lock"
