#!/usr/bin/env python3
"""Writes the features that pytorch-fid's Inception gives a few images under weights made from a
formula, for crates/tweedie/tests/inception.rs to compare with.

Usage: pip install torch==2.15.0 torchvision==0.29.2 pytorch-fid==0.3.0 numpy==2.4.6 \\
           safetensors==0.8.0
       scripts/golden-inception.py crates/tweedie/tests/golden
       scripts/golden-inception.py --weights FILE     # the same weights as a .pth or .safetensors

Nothing is downloaded: the published weights are replaced by `value` below, which the test repeats.

inception.safetensors holds, for each (height, width, channels) of IMAGES, features.HxWxC [2, 2048]
of two images whose bytes are those of `image`, read as pytorch-fid reads image files.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from pytorch_fid import inception
from safetensors.torch import save_file
from torchvision.transforms.functional import to_tensor

# Smaller than the network's 299, as large, larger, and not square.
IMAGES = [(8, 8, 1), (32, 32, 3), (48, 64, 3), (299, 299, 3), (350, 310, 3)]


def hashed(seed, count):
    """SplitMix64's numbers `seed + 1` to `seed + count`, of 64 bits."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64)
        z *= np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def seed_of(name):
    """FNV-1a of a name."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return h


def value(name, shape):
    """A parameter by its name: numbers that neither die out nor grow from layer to layer."""
    count = int(np.prod(shape))
    u = (hashed(seed_of(name), count) >> np.uint64(40)).astype(np.float64) / 2**23 - 1.0
    if name.endswith("running_var"):
        u = 1.0 + 0.5 * u
    elif name.endswith("bn.weight"):
        u = 1.0 + 0.25 * u
    elif name.endswith(("bn.bias", "running_mean", "fc.bias")):
        u = 0.125 * u
    else:
        # The variance 2 / fan-in keeps that of a layer's output before its ReLU (He et al. 2015).
        u = np.sqrt(6.0 / np.prod(shape[1:])) * u
    return torch.from_numpy(u.astype(np.float32).reshape(shape))


def image(number, height, width, channels):
    """Bytes [H, W, C]: a gradient with noise on it."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    noise = (hashed(seed_of("image") + number, y.size) >> np.uint64(58)).reshape(y.shape)
    gradient = (number + 1) * (3 * x // 2 + 2 * y) + 70 * c
    # Up and down again, so that it has no jumps.
    gradient = np.abs(gradient % 382 - 191)
    return (gradient + noise.astype(np.int64)).astype(np.uint8)


def network():
    """pytorch-fid's network; what it would download comes from the formula."""

    def state(*_, **__):
        # The shapes are those of the network that is being built: ask a copy of it.
        shapes = blank.state_dict()
        return {
            name: torch.tensor(0) if name.endswith("num_batches_tracked") else value(name, p.shape)
            for name, p in shapes.items()
        }

    inception.load_state_dict_from_url = lambda *_, **__: {}
    strict = torch.nn.Module.load_state_dict
    torch.nn.Module.load_state_dict = lambda *_, **__: None
    blank = inception.fid_inception_v3()
    torch.nn.Module.load_state_dict = strict
    inception.load_state_dict_from_url = state
    return inception.InceptionV3().eval(), state()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--weights", type=Path)
    options = parser.parse_args()
    model, state = network()
    if options.weights:
        if options.weights.suffix == ".safetensors":
            save_file(state, options.weights)
        else:
            # As old as the published file.
            legacy = options.weights.name.endswith(".legacy.pth")
            torch.save(state, options.weights, _use_new_zipfile_serialization=not legacy)
    if not options.folder:
        return
    found = {}
    for height, width, channels in IMAGES:
        images = [image(n, height, width, channels) for n in range(2)]
        # ImagePathDataset converts to RGB: grey is repeated.
        x = torch.stack([to_tensor(i).expand(3, -1, -1) for i in images])
        with torch.no_grad():
            features = model(x)[0].squeeze(3).squeeze(2)
        found[f"features.{height}x{width}x{channels}"] = features.contiguous()
        print(height, width, channels, features.mean(), features.std(), features[:, :3])
    save_file(found, options.folder / "inception.safetensors")


if __name__ == "__main__":
    sys.exit(main())
