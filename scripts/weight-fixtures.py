#!/usr/bin/env python3
"""Writes small files of weights in every format, good and bad, for the tests of
crates/tweedie/src/weights.

Usage: pip install torch==2.15.0 safetensors==0.8.0 numpy==2.4.6
       scripts/weight-fixtures.py crates/tweedie/tests/weights
"""

import argparse
import os
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file


class Code:
    """Runs a command wherever Python's own pickle reads it."""

    def __reduce__(self):
        return (os.system, ("echo this must never be seen",))


def numbers(count):
    return torch.arange(count) / 8 - 1


def same():
    """The content of the good files."""
    return OrderedDict(
        [
            ("conv.weight", numbers(12).reshape(2, 3, 1, 2)),
            ("conv.bias", numbers(2)),
            ("scalar", torch.tensor(0.5)),
            ("count", torch.tensor(7)),
            ("empty", torch.empty(0, 3)),
            ("half", numbers(6).reshape(2, 3).half()),
            ("short", numbers(6).bfloat16()),
            ("wide", numbers(6).reshape(3, 2).double()),
            ("words", torch.arange(6) - 2),
            ("transposed", numbers(12).reshape(4, 3).T),
        ]
    )


def nested():
    """A training state: a list that shares a storage, a parameter, and what is no tensor."""
    shared = torch.arange(1.0, 5.0)
    weight = torch.nn.Parameter(shared.clone())
    step = {"step": torch.tensor(3.0)}
    return {
        "ema": [shared[:2], shared[2:]],
        "model": OrderedDict([("module.weight", weight)]),
        "optimizer": {"state": {0: step}, "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.999)}]},
        "epoch": 7,
        "name": "naïve",
        "big": 2**80,
        "flag": True,
        "nothing": None,
        "size": shared.shape,
    }


def repack(source, target, compression, changes):
    """The archive `source` with members changed or added."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for info in old.infolist():
            new.writestr(info.filename, changes.get(Path(info.filename).name, old.read(info)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(exist_ok=True)
    for name, content in (("", same()), ("nested-", nested()), ("code-", {"w": Code()})):
        torch.save(content, folder / f"{name}zip.pth")
        torch.save(content, folder / f"{name}legacy.pth", _use_new_zipfile_serialization=False)
    content = {"w": torch.ones(2), "args": argparse.Namespace(lr=0.1)}
    torch.save(content, folder / "object.pth")
    save_file({name: t.contiguous() for name, t in same().items()}, folder / "plain.safetensors")
    good = folder / "zip.pth"
    repack(good, folder / "compressed.pth", zipfile.ZIP_DEFLATED, {})
    repack(good, folder / "big-endian.pth", zipfile.ZIP_STORED, {"byteorder": b"big"})


if __name__ == "__main__":
    sys.exit(main())
