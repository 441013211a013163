#!/usr/bin/env bash
# The device side as an aarch64 machine runs it, emulated, against this x86_64 machine: builds the
# aarch64 wheel with the C coder, installs it beside onnxruntime in an aarch64 Python, and compares
# bundles, symbols and bytes both ways. Ends with a table; exit code 1 where the sides disagree.
#
#   tests/aarch64/run.sh [PYTHON]     PYTHON: of an environment with rdedge[train,export]
#   KEEP=FILE.csv MACHINE=NAME tests/aarch64/run.sh     keeps the table, with the machine's name
#
# Needs Debian or Ubuntu with apt (packages of arm64 are fetched into build/aarch64, nothing is
# installed from them), qemu-user-static, binutils and a network.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=$PWD/tests/aarch64
python=$(realpath -s "${1:-.venv/bin/python}")
base=$PWD/build/aarch64
# 1.23.2 is the newest onnxruntime for Python 3.10, and newer ones crash under qemu 7.2 on import.
onnxruntime=1.23.2
zig=ziglang==0.17.1
target=aarch64-linux-gnu.2.17
platform=manylinux_2_17_aarch64

say() { printf '\n--- %s s: %s\n' "$SECONDS" "$*"; }
fail() {
    printf 'aarch64: %s\n' "$*" >&2
    exit 1
}

[ "$(uname -m)" = x86_64 ] || fail "this is $(uname -m); the comparison needs an x86_64 machine"
[ -x "$python" ] || fail "no $python: run make test first, or name a Python"
for tool in qemu-aarch64-static apt-get dpkg readelf; do
    command -v $tool >/dev/null ||
        fail "$tool is missing: as root, apt-get install qemu-user-static binutils"
done
emulator=$(qemu-aarch64-static --version | sed -n '1s/.*version \([0-9.]*\).*/qemu-user \1/p')

say "an aarch64 Python, from this system's own packages for arm64"
root=$base/root
if [ ! -e "$base/.root" ]; then
    rm -rf "$base/apt" "$root"
    mkdir -p "$base"/apt/{lists,archives}/partial
    touch "$base/apt/status"
    # The whole of apt's memory is in our folder, so the machine's own is not touched.
    apt_arm() {
        apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 \
            -o Dir::State="$base/apt" -o Dir::State::Lists="$base/apt/lists" \
            -o Dir::State::status="$base/apt/status" -o Dir::Cache="$base/apt" \
            -o Dir::Cache::archives="$base/apt/archives" -o Debug::NoLocking=1 \
            -o APT::Sandbox::User=root -o APT::Get::AllowUnauthenticated=false "$@"
    }
    apt_arm update || fail "apt finds no packages for arm64 here"
    apt_arm install --yes --download-only --no-install-recommends \
        python3-minimal libpython3-stdlib libstdc++6 >/dev/null ||
        fail "apt cannot fetch an aarch64 Python"
    for package in "$base"/apt/archives/*.deb; do
        dpkg -x "$package" "$root"
    done
    rm -rf "$base/apt"
    touch "$base/.root"
fi
name=$(basename "$(realpath "$root/usr/bin/python3")")
cat >"$base/python" <<END
#!/bin/sh
exec qemu-aarch64-static -L '$root' -E PYTHONHOME='$root/usr' -E PYTHONNOUSERSITE=1 \\
    -E LD_LIBRARY_PATH='$root/usr/lib/aarch64-linux-gnu' -E PYTHONPATH='$base/site' \\
    '$root/usr/bin/$name' "\$@"
END
chmod +x "$base/python"

say "the aarch64 wheel, the C coder compiled by $zig for glibc 2.17"
tools=$base/tools/bin/python
if [ ! -e "$base/.tools" ]; then
    "$python" -m venv --clear "$base/tools"
    "$tools" -m pip install -qq build "$zig"
    touch "$base/.tools"
fi
rm -rf "$base/source" "$base/wheel" "$base/site"
mkdir -p "$base/source"
git ls-files -z --cached --others --exclude-standard -- setup.py pyproject.toml MANIFEST.in README.md LICENSE rdedge export devices |
    xargs -0 cp --parents -t "$base/source"
CC="$tools -m ziglang cc -target $target" "$tools" -m build --wheel --outdir "$base/wheel" \
    -C--build-option=--plat-name=$platform "$base/source" >"$base/build.log" 2>&1 ||
    { cat "$base/build.log" >&2; fail "the wheel cannot be built"; }
wheel=$(echo "$base"/wheel/*-py3-none-$platform.whl)
[ -f "$wheel" ] || fail "no wheel for $platform, but $(ls "$base/wheel")"
unzip -qo "$wheel" rdedge/_native.so -d "$base/wheel"
library=$base/wheel/rdedge/_native.so
readelf -h "$library" | grep -q 'Machine: *AArch64' || fail "the library is not for aarch64"
newest=$(readelf -V "$library" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -1)
[ "$(printf '%s\nGLIBC_2.17\n' "$newest" | sort -V | tail -1)" = GLIBC_2.17 ] ||
    fail "the library needs $newest; the wheel promises 2.17"
readelf -d "$library" | grep -E 'RPATH|RUNPATH' && fail "the library names folders of this machine"
echo "$(basename "$wheel"), $(stat -c %s "$wheel") bytes, needs ${newest:-no glibc symbol}"

say "what a device installs: the wheel, numpy, click, onnxruntime $onnxruntime"
"$tools" -m pip install -qq --target "$base/site" --only-binary=:all: \
    --python-version "${name#python}" --platform manylinux_2_28_aarch64 \
    --platform manylinux_2_27_aarch64 --platform $platform --platform manylinux2014_aarch64 \
    "${wheel}[runtime]" onnxruntime==$onnxruntime
cd /
"$base/python" -c '
import importlib.util, platform, sys
assert platform.machine() == "aarch64", platform.machine()
assert not [m for m in ("torch", "onnx", "sklearn", "PIL") if importlib.util.find_spec(m)]
from rdedge import native
assert native.describe().startswith("C ("), native.describe()
print(platform.python_version(), platform.machine(), native.describe())'

say "the golden vectors, there"
"$base/python" "$here/vectors.py" "$here/../golden/coding"

say "bundles and samples, made on the host"
work=$base/work
rm -rf "$work"
export OMP_NUM_THREADS=1
(cd "$here/../.." && "$python" -m tests.aarch64.prepare "$work")

# A SIDE'S PYTHON, SIDE and what to do: both scripts at a time, one on each core.
both() {
    "$1" "$here/bundles.py" "$work" "${@:2}" &
    local bundles=$!
    "$1" "$here/coder.py" "$work" "${@:2}" || { kill $bundles; return 1; }
    wait $bundles
}
say "made here"
both "$python" x86_64 --make
say "made there, and read there what was made here"
both "$base/python" aarch64 --make --read x86_64
say "read here what was made there"
both "$python" x86_64 --read aarch64

say "the commands: check there, compress on each side, decompress on the other"
cd "$work"
arm() {
    "$base/python" -m rdedge "$@" 2>>"$work/arm.log" || {
        tail -n 5 "$work/arm.log" >&2
        return 1
    }
}
x86() { "$python" -m rdedge "$@"; }
check_all() {
    for bundle in inputs/*.rdb; do
        echo "$bundle"
        arm check "$bundle" || return 1
    done
}
check_all >"$work/check.log" &
checking=$!
for one in digits.rdb:today.npy linear.rdb:log.csv digits.device:today.npy; do
    codec=inputs/${one%:*} file=inputs/${one#*:}
    # A part for the device has no decoder, and its packets are those of the whole.
    whole=${codec%.*}.rdb
    x86 compress -b "$whole" "$file" -o x86.rdz
    arm compress -b "$codec" "$file" -o arm.rdz
    x86 decompress -b "$whole" arm.rdz -o x86-read
    [ "$codec" != "$whole" ] || arm decompress -b "$whole" x86.rdz -o arm-read
    # Starting takes seconds: NumPy once, for the others bundles.py has compared it.
    if [ "$codec" = inputs/digits.rdb ]; then
        RDEDGE_NATIVE=0 arm compress -b "$codec" "$file" -o arm-numpy.rdz
        cmp arm.rdz arm-numpy.rdz
        RDEDGE_NATIVE=0 arm decompress -b "$whole" x86.rdz -o arm-numpy-read
        diff -r arm-read arm-numpy-read
    fi
    same=$(cmp -s x86.rdz arm.rdz && echo "the same" || echo "another")
    echo "${one%:*}, ${one#*:}: $same container, byte for byte"
    rm -r ./*.rdz ./*-read
done
wait $checking || fail "rdedge check failed: $(cat "$work/check.log")"
cat "$work/check.log"

say "side by side"
"$python" "$here/compare.py" "$work" "$base/parity.csv" --emulator "$emulator" \
    --machine "${MACHINE:-$(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1), $(nproc) cores}"
[ -z "${KEEP:-}" ] || cp "$base/parity.csv" "$KEEP"
