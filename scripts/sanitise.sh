#!/usr/bin/env bash
# Runs the tests that reach `unsafe` blocks under checkers of memory. Needs Linux and valgrind;
# takes three minutes where the tests are built.
#
# The kernels go under the address sanitiser, at every instruction set this machine has. The
# library's two places go under valgrind, which needs no second build of burn (and knows no
# AVX-512, so the kernels below them run as AVX2).
set -euo pipefail
cd "$(dirname "$0")/.."

command -v valgrind > /dev/null || {
    echo "error: valgrind is missing; install it (Debian: apt-get install valgrind)" >&2
    exit 1
}

# With no flags yet: the ordinary build.
tests=$(cargo test --release --workspace --lib --no-run 2>&1 | tee /dev/stderr |
    sed -n 's/.*Executable.*(\(.*\/tweedie-[0-9a-f]*\))$/\1/p')
valgrind -q --error-exitcode=9 "$tests" nn::ops::flex::memory memory::tests

host=$(rustc -vV | sed -n 's/^host: //p')
# The option is not stable yet, but the library it needs comes with every toolchain for Linux.
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address"
cargo test --release --target "$host" --target-dir target/sanitise -p tweedie-kernels --tests
