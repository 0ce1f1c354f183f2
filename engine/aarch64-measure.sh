#!/bin/sh
# Builds neuronlab-measure for aarch64 Linux as one static file, and runs it under qemu for its form (its numbers are the emulator's):
#
#   engine/aarch64-measure.sh [CACHE_FOLDER]     the folder that engine/aarch64-tests.sh filled; the file is left in it
#
# Exits 0 with one line when compiler and emulator are not there; 1 when the build or the run fails.
set -eu

cache=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/neuronlab/aarch64}
engine=$(cd "$(dirname "$0")" && pwd)
root=$cache/root
qemu=$root/usr/bin/qemu-aarch64-static

skip() {
    echo "neuronlab-measure not built for aarch64: $1"
    exit 0
}

[ -x "$qemu" ] && [ -x "$cache/linker" ] || skip "run engine/aarch64-tests.sh first, which fetches compiler and emulator to $cache"
command -v cargo >/dev/null || skip "needs cargo"
cache=$(cd "$cache" && pwd)
root=$cache/root
unset RUSTC_WRAPPER CARGO_BUILD_TARGET CARGO_ENCODED_RUSTFLAGS 2>/dev/null || true
LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu
export LD_LIBRARY_PATH
RUSTC=$(find "$root/usr" -type f -name rustc -perm -u+x | head -n 1)
[ -n "$RUSTC" ] || skip "there is no compiler in $root"

# A copy, so that this compiler's lock and target folders stay apart from the workspace's own.
work=$cache/measure
rm -rf "$work"
mkdir -p "$work/crates"
cp "$engine/Cargo.toml" "$work/"
for crate in cache flash gguf measure neuron pool; do
    cp -R "$engine/crates/$crate" "$work/crates/"
done
CARGO_TARGET_DIR=$cache/target-measure
CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=$cache/linker
RUSTFLAGS="-C target-feature=+crt-static"
export RUSTC CARGO_TARGET_DIR CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER RUSTFLAGS
cd "$work"
cargo build --offline --quiet --release -p neuronlab-measure --bin neuronlab-measure --target aarch64-unknown-linux-gnu >"$cache/measure.log" 2>&1 || {
    cat "$cache/measure.log"
    echo "neuronlab-measure does not build for aarch64"
    exit 1
}
program=$cache/neuronlab-measure-aarch64
cp "$CARGO_TARGET_DIR/aarch64-unknown-linux-gnu/release/neuronlab-measure" "$program"
# A static program has no interpreter and names no libraries.
if "$root/usr/bin/aarch64-linux-gnu-readelf" -ld "$program" 2>/dev/null | grep -qE "INTERP|NEEDED"; then
    echo "$program is not static"
    exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$qemu" -cpu max "$program" --trial --dir "$folder" --name emulated >"$cache/emulated.json" 2>"$cache/measure.log" || {
    cat "$cache/measure.log"
    echo "neuronlab-measure fails on an emulated aarch64"
    exit 1
}
grep -q '"schema": "neuronlab/device@1"' "$cache/emulated.json" || {
    echo "neuronlab-measure gives no profile on an emulated aarch64: $cache/emulated.json"
    exit 1
}
[ -z "$(ls -A "$folder")" ] || {
    echo "neuronlab-measure leaves something behind in $folder"
    exit 1
}
echo "neuronlab-measure for aarch64: $program, $(wc -c <"$program") bytes, static; its profile under qemu: $cache/emulated.json"
