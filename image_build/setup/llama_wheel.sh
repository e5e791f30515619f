#!/bin/sh
# Build llama-cpp-python once for this kind of processor and install it from the cache.
# Usage: llama_wheel.sh PYTHON CACHE_FOLDER [wheel|portable [MACHINE]]
# With `wheel` its path is printed instead of it being installed; with `portable` it is moreover for
# any machine of this kind, because it goes into an image or a package. MACHINE (x86_64, aarch64) is
# another kind than this one: Debian's cross compiler makes it (crossbuild-essential-arm64).
#
# With its default flags llama.cpp compiles for exactly this machine, which died with SIGILL where
# a virtual machine announced AMX. So every instruction set is named, and only those in general use.
# pip's own cache does not know the flags: the wheel is kept in a folder named after them. Neither
# times nor folder names get into it, so that the same source is the same wheel.
set -eu

python=$1
cache=$2
print=${3-}
if [ "$print" = portable ]; then portable=yes; else portable=""; fi
machine=${4-$(uname -m)}
if [ "$machine" = "$(uname -m)" ]; then cross=""; else cross=yes; fi
here=$(cd "$(dirname "$0")/../.." && pwd)
requirement=$(awk '/^llama-cpp-python==/ { on = 1 } on { print } on && !/\\$/ { exit }' \
    "$here/requirements/runtime.txt")
version=$(echo "$requirement" | sed -n '1s/^llama-cpp-python==\([^ ;]*\).*/\1/p')

has() {  # has FLAG...: whether this machine's /proc/cpuinfo names all of them
    flags=$(grep -m1 -E '^(flags|Features)' /proc/cpuinfo)
    for flag in "$@"; do
        case " $flags " in *" $flag "*) ;; *) return 1 ;; esac
    done
}

case $machine in
x86_64)
    options="-DGGML_NATIVE=OFF"
    if [ -n "$portable" ] || has avx2 fma f16c bmi2; then
        options="$options -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON"
    else
        options="$options -DGGML_AVX2=OFF -DGGML_FMA=OFF -DGGML_F16C=OFF -DGGML_BMI2=OFF"
    fi
    if [ -z "$portable" ] && has avx512f avx512cd avx512bw avx512dq avx512vl; then
        options="$options -DGGML_AVX512=ON"
        if has avx512vbmi; then options="$options -DGGML_AVX512_VBMI=ON"; fi
        if has avx512_vnni; then options="$options -DGGML_AVX512_VNNI=ON"; fi
        if has avx512_bf16; then options="$options -DGGML_AVX512_BF16=ON"; fi
    fi
    ;;
aarch64)
    # A Raspberry Pi 5 (Cortex-A76) has both; a Pi 4 has neither, and makes its wheel without.
    arch=armv8-a
    if [ -n "$cross" ] || has asimddp asimdhp; then arch=armv8.2-a+dotprod+fp16; fi
    options="-DGGML_NATIVE=OFF -DGGML_CPU_ARM_ARCH=$arch"
    ;;
*)
    options="-DGGML_NATIVE=OFF"
    ;;
esac

tag=$("$python" -c 'import sys; print(f"cp{sys.version_info[0]}{sys.version_info[1]}")')
key=$(echo "$version $tag $machine $options" | sha256sum | cut -c1-16)
folder=$cache/llama-cpp-python-$version-$key
installed=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/llama_cpp/.luna-build
[ -z "$print" ] && [ -f "$installed" ] && [ "$(cat "$installed")" = "$key" ] && exit 0

follow() {  # follow LOG: show ninja's own count now and then, for as long as this script runs
    while sleep 2 && kill -0 $$ 2>/dev/null; do
        step=$(grep -aoE '\[[0-9]+/[0-9]+\]' "$1" 2>/dev/null | tail -n 1) || true
        tenth=$(echo "$step" | tr -d '[]' | awk -F/ 'NF == 2 { print int(10 * $1 / $2) }')
        [ -z "$step" ] || [ "$tenth" = "${shown-}" ] || echo "  llama.cpp $step" >&2
        shown=$tenth
    done
}

if ! (cd "$folder" 2>/dev/null && sha256sum --status --check wheel.sha256 2>/dev/null); then
    echo "Building llama.cpp (5 to 8 minutes on two cores) ..." >&2
    work=$folder.building.$$
    trap 'kill "${follower-}" 2>/dev/null || true; rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM
    rm -rf "$folder"
    mkdir -p "$work"
    echo "$requirement" >"$work/requirement.txt"
    # One compiler for each GB: small boards have more cores than memory for them.
    jobs=$(awk -v cores="$(nproc)" '/^MemTotal/ { n = int($2 / 1000000); if (n < 1) n = 1
        print (n < cores) ? n : cores }' /proc/meminfo)
    if [ -n "$cross" ]; then
        tools=$machine-linux-gnu
        # By this, Python names the wheel after the machine that it is for.
        export _PYTHON_HOST_PLATFORM="linux-$machine"
        options="$options -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=$machine"
        options="$options -DCMAKE_C_COMPILER=$tools-gcc -DCMAKE_CXX_COMPILER=$tools-g++"
        options="$options -DCMAKE_FIND_ROOT_PATH=/usr/$tools -DCMAKE_FIND_ROOT_PATH_MODE_PROGRAM=NEVER"
        for kind in LIBRARY INCLUDE PACKAGE; do
            options="$options -DCMAKE_FIND_ROOT_PATH_MODE_$kind=ONLY"
        done
    fi
    export PATH="$(dirname "$python"):$PATH" SOURCE_DATE_EPOCH=315532800  # what a zip file starts at
    export CMAKE_ARGS="$options" CMAKE_BUILD_PARALLEL_LEVEL="$jobs"
    export CFLAGS="-ffile-prefix-map=$work/source=." CXXFLAGS="-ffile-prefix-map=$work/source=."
    pip="$python -m pip --disable-pip-version-check"
    follow "$work/log" &
    follower=$!
    if ! {
        $pip download --require-hashes --no-deps --no-build-isolation --no-binary :all: \
            --dest "$work" --requirement "$work/requirement.txt" &&
            mkdir "$work/source" &&
            tar -xzf "$work"/llama_cpp_python-*.tar.gz --strip-components=1 -C "$work/source" &&
            $pip wheel --verbose --no-deps --no-build-isolation --no-cache-dir \
                --config-settings=build-dir="$work/source/build" --wheel-dir "$work" "$work/source"
    } >"$work/log" 2>&1; then
        tail -n 30 "$work/log" >&2
        echo "llama.cpp could not be built; see above." >&2
        exit 1
    fi
    (cd "$work" && rm -rf requirement.txt log source ./*.tar.gz &&
        sha256sum -- *.whl >wheel.sha256 && sync -f .)
    mv "$work" "$folder"
fi
if [ -n "$print" ]; then
    ls "$folder"/*.whl
    exit
fi
"$python" -m pip install --disable-pip-version-check --quiet --no-deps --no-index --force-reinstall \
    "$folder"/*.whl
echo "$key" >"$installed"
