#!/usr/bin/env python3
"""Packs scikit-learn's copy of the UCI digits into src/data/assets/digits.bin.

Usage: pip download scikit-learn --no-deps -d wheel
       unzip -j wheel/scikit_learn-*.whl sklearn/datasets/data/digits.csv.gz
       scripts/pack-digits.py digits.csv.gz src/data/assets/digits.bin

The output is 1797 x 64 bytes, the pixels of each 8x8 image row by row, each 0 to 16,
then 1797 bytes, the label of each image, each 0 to 9.
"""

import csv
import gzip
import sys


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, target = sys.argv[1:]
    with gzip.open(source, "rt", newline="") as file:
        rows = [[int(float(field)) for field in row] for row in csv.reader(file)]
    if len(rows) != 1797 or any(len(row) != 65 for row in rows):
        sys.exit(f"{source}: expected 1797 rows of 64 pixels and a label")
    pixels = bytes(value for row in rows for value in row[:64])
    labels = bytes(row[64] for row in rows)
    if max(pixels) != 16 or sorted(set(labels)) != list(range(10)):
        sys.exit(f"{source}: expected pixels up to 16 and labels 0 to 9")
    with open(target, "wb") as file:
        file.write(pixels + labels)


if __name__ == "__main__":
    main()
