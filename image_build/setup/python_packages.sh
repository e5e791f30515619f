#!/bin/sh
# Install a lock file's packages, but llama-cpp-python, which llama_wheel.sh builds with its own flags.
# Usage: python_packages.sh PYTHON LOCK_FILE
set -eu

lock=$(mktemp)
trap 'rm -f "$lock"' EXIT
awk '/^llama-cpp-python==/ { skip = 1 } !skip { print } skip && !/\\$/ { skip = 0 }' "$2" >"$lock"
"$1" -m pip install --disable-pip-version-check --quiet --progress-bar on --no-deps --require-hashes \
    --requirement "$lock"
