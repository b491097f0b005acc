#!/usr/bin/env bash
# Runs the kernels' tests under the address sanitiser: every `unsafe` block of tweedie-kernels is
# reached by them, at every instruction set this machine has. Needs Linux; takes two minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
# The option is not stable yet, but the library it needs comes with every toolchain for Linux.
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address"
cargo test --release --target "$host" --target-dir target/sanitise -p tweedie-kernels --tests
