#!/usr/bin/env bash
# The figures of docs/results/tuning.md: MNIST's example tuned, and what its quality depends on, in the
# features of the example's classifier. Trains the example and its classifier where runs/ does not have
# them (scripts/measure-examples.sh trains the same). About an hour on two cores after that; what is
# measured is kept, and the same command resumes.
#
#   scripts/tuning-results.sh
set -euo pipefail
cd "$(dirname "$0")/.."

tweedie=${TWEEDIE:-target/release/tweedie}
[ -x "$tweedie" ] || cargo build --release
run=${RUN:-runs/mnist} classifier=${CLASSIFIER:-runs/mnist-classifier}

scripts/fetch-data.sh mnist
[ -d "$run" ] || "$tweedie" train examples/mnist.toml --out "$run"
[ -d "$classifier" ] ||
    "$tweedie" classifier train examples/mnist-classifier.toml --out "$classifier"
test=$(ls data/mnist/t10k-images-idx3-ubyte* | head -n 1)

# 32 principal components of the classifier's 128 features: a quarter of the samples.
measure=(--features "pca:32,classifier:$classifier" --against "$test")
"$tweedie" tune "$run" --calls 8,16 --time 25m "${measure[@]}"
"$tweedie" profile "$run" --calls 8,16,32,64,128,256 --samples 256 "${measure[@]}"
