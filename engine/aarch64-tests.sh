#!/bin/sh
# Builds the kernel crate for aarch64 and runs its contract suite under qemu, and the checksums of the packed file beside it, from
# nothing but a Debian machine:
#
#   engine/aarch64-tests.sh [CACHE_FOLDER]     default: $XDG_CACHE_HOME/neuronlab/aarch64, or ~/.cache/neuronlab/aarch64
#
# Compiler, standard library, linker, C library and emulator are Debian packages, unpacked into the folder and not installed
# (about 1 GB; later runs reuse them). Prints one line and exits 0 when these cannot be had here; exits 1 when a test fails.
set -eu

cache=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/neuronlab/aarch64}
engine=$(cd "$(dirname "$0")" && pwd)

skip() {
    echo "aarch64 kernels not tested: $1"
    exit 0
}

[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || skip "needs an x86-64 Linux machine to emulate on, this is $(uname -s) $(uname -m)"
for tool in apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || skip "needs $tool (Debian packages are unpacked)"
done
mkdir -p "$cache" || skip "cannot write to $cache"
cache=$(cd "$cache" && pwd)
root=$cache/root
# Nothing that a build environment sets must reach the other compiler.
unset RUSTC RUSTC_WRAPPER RUSTFLAGS CARGO_BUILD_TARGET CARGO_ENCODED_RUSTFLAGS 2>/dev/null || true

# apt with its own lists and cache, so that the system's stay as they are.
private_apt() {
    apt-get -qq -o APT::Architecture=amd64 -o APT::Architectures::=amd64 -o APT::Architectures::=arm64 \
        -o Dir::State="$cache/state" -o Dir::State::status="$cache/state/status" -o Dir::Cache="$cache/apt" \
        -o APT::Sandbox::User=root "$@"
}

fetch() {
    rm -rf "$cache/state" "$cache/apt" "$cache/packages" "$root.new"
    mkdir -p "$cache/state/lists/partial" "$cache/apt/archives/partial" "$cache/packages" "$root.new"
    : >"$cache/state/status"
    private_apt update || return 1
    # rustc and both standard libraries must be of one version: the newest that all three have.
    (cd "$cache/packages" && private_apt download \
        rustc-web libstd-rust-web-1.96 libstd-rust-web-dev:amd64 libstd-rust-web-dev:arm64 libllvm22 \
        gcc-12-aarch64-linux-gnu gcc-12-aarch64-linux-gnu-base cpp-12-aarch64-linux-gnu binutils-aarch64-linux-gnu \
        libgcc-12-dev-arm64-cross libgcc-s1-arm64-cross libc6-arm64-cross libc6-dev-arm64-cross linux-libc-dev-arm64-cross \
        libmpc3 libmpfr6 libgmp10 libisl23 libjansson4 \
        qemu-user-static) || return 1
    for package in "$cache"/packages/*.deb; do
        dpkg-deb -x "$package" "$root.new" || return 1
    done
    rm -rf "$cache/packages" "$cache/state" "$cache/apt" "$root"
    mv "$root.new" "$root"
}

if [ ! -x "$root/usr/bin/qemu-aarch64-static" ]; then
    fetch >"$cache/fetch.log" 2>&1 || skip "packages cannot be had ($(tail -n 1 "$cache/fetch.log"))"
fi

LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu
export LD_LIBRARY_PATH
rustc=$(find "$root/usr" -type f -name rustc -perm -u+x | head -n 1)
[ -n "$rustc" ] && "$rustc" --version >"$cache/version" 2>&1 || skip "the unpacked compiler does not run ($(tail -n 1 "$cache/version" 2>/dev/null))"
command -v cargo >/dev/null || skip "needs cargo"

# The C library's linker script names absolute paths: they are looked up under the private root.
linker=$cache/linker
cat >"$linker" <<EOF
#!/bin/sh
exec "$root/usr/bin/aarch64-linux-gnu-gcc-12" --sysroot="$root" -B"$root/usr/aarch64-linux-gnu/bin" \
    -B"$root/usr/aarch64-linux-gnu/lib" -L"$root/usr/aarch64-linux-gnu/lib" "\$@"
EOF
chmod +x "$linker"

# The workspace's other crates need not build here: only the kernels with the pool that their bench uses, and the packed file with the
# parser that it is made from.
work=$cache/workspace
rm -rf "$work"
mkdir -p "$work/crates"
cp "$engine/Cargo.toml" "$work/"
cp -R "$engine/crates/neuron" "$engine/crates/pool" "$engine/crates/flash" "$engine/crates/gguf" "$work/crates/"

RUSTC=$rustc
CARGO_TARGET_DIR=$cache/target
CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=$linker
export RUSTC CARGO_TARGET_DIR CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER
cd "$work"

# Once on a processor with every extension, once on one with the dot products only, once with neither.
for cpu in max cortex-a76 cortex-a72; do
    case $cpu in
    max) NEURONLAB_EXPECTED_BACKENDS="neon-i8mm neon-dotprod neon reference" ;;
    cortex-a76) NEURONLAB_EXPECTED_BACKENDS="neon-dotprod neon reference" ;;
    *) NEURONLAB_EXPECTED_BACKENDS="neon reference" ;;
    esac
    export NEURONLAB_EXPECTED_BACKENDS
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="$root/usr/bin/qemu-aarch64-static -cpu $cpu -L $root/usr/aarch64-linux-gnu"
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER
    cargo test --offline --quiet -p neuronlab-neuron -p neuronlab-flash --target aarch64-unknown-linux-gnu --lib --test contract >"$cache/tests.log" 2>&1 || {
        cat "$cache/tests.log"
        echo "aarch64 kernels failed on $cpu"
        exit 1
    }
    passed=$(sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p' "$cache/tests.log" | awk '{ sum += $1 } END { print sum + 0 }')
    [ "$passed" -gt 0 ] || { echo "aarch64 kernels failed on $cpu: no test ran"; exit 1; }
    echo "aarch64 kernels on $cpu ($NEURONLAB_EXPECTED_BACKENDS): $passed passed ($(cat "$cache/version"), under qemu)"
done
