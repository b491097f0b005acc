#!/usr/bin/env bash
# The figures beside the README's pictures. Trains each example and its classifier where runs/ does
# not have them (an hour in all on two cores), draws 2000 samples and measures them against data
# that were not trained on; the built-in digits have no such data, and are measured against
# themselves. Pages: runs/EXAMPLE/evaluation.
#
#   scripts/measure-examples.sh [EXAMPLE ...]     digits, fashion-mnist, mnist; all where none is named
set -euo pipefail
cd "$(dirname "$0")/.."

tweedie=${TWEEDIE:-target/release/tweedie}
[ -x "$tweedie" ] || cargo build --release

measure() {
    local example=$1 against=$2
    [ -d "runs/$example" ] || "$tweedie" train "examples/$example.toml" --out "runs/$example"
    [ -d "runs/$example-classifier" ] ||
        "$tweedie" classifier train "examples/$example-classifier.toml" --out "runs/$example-classifier"
    "$tweedie" evaluate "runs/$example" --seeds 0-1999 --against "$against" \
        --features "classifier:runs/$example-classifier"
}

[ $# -gt 0 ] || set -- digits fashion-mnist mnist
for example in "$@"; do
    case $example in
        digits) measure digits digits ;;
        fashion-mnist | mnist)
            scripts/fetch-data.sh "$example"
            test=$(ls "data/$example"/t10k-images-idx3-ubyte* | head -n 1)
            measure "$example" "$test"
            ;;
        *)
            echo "no example '$example' with figures; there are digits, fashion-mnist and mnist" >&2
            exit 1
            ;;
    esac
done
