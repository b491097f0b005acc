#!/usr/bin/env python3
"""Writes what pytorch-fid, torch-fidelity and prdc make of the same features, for
crates/tweedie/tests/measures_golden.rs to compare with.

Usage: pip install torch==2.15.0 torchvision pytorch-fid==0.3.0 torch-fidelity==0.4.0 prdc==0.2 \\
           scipy==1.16.3 numpy==2.4.6 safetensors==0.8.0
       scripts/golden-measures.py crates/tweedie/tests/golden

pytorch-fid 0.3.0 calls scipy.linalg.sqrtm with `disp`, which SciPy 1.18 no longer has: hence the
older SciPy. Everything is f64; nothing is downloaded.

measures.safetensors holds, for each case of the Frechet distance, features frechet.CASE.a and .b,
and frechet.CASE.distance. Other figures are of features a and b, samples and reference: kid (mean
and standard deviation over 10 subsets of 100 from RandomState(2020)), prc.K (precision and recall)
by torch-fidelity; prdc.K (precision, recall, density, coverage) by prdc; isc (mean and standard
deviation over 10 splits) of logits by torch-fidelity.

moments.npz holds mu and sigma of frechet.full.a as pytorch-fid's --save-stats writes them.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from prdc import compute_prdc
from pytorch_fid.fid_score import calculate_frechet_distance
from safetensors.numpy import save_file
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric


def frechet_cases(rng):
    """Pairs of samples: full rank, another mean, a singular covariance, fewer rows than features."""
    mix = rng.normal(size=(8, 8))
    a = rng.normal(size=(200, 8)) @ mix
    b = rng.normal(size=(150, 8)) * np.linspace(0.2, 2, 8) + 0.5
    yield "full", a, b
    yield "shifted", a, a + np.arange(8.0)
    # Two features are sums of others, one is constant in either set.
    planes = [rng.normal(size=(120, 5)) * (1 + side) for side in range(2)]
    planes = [
        np.concatenate([x, x[:, :2] + x[:, 2:4], np.full((120, 1), 3.0)], axis=1) for x in planes
    ]
    yield "singular", *planes
    yield "below", rng.normal(size=(12, 24)), 0.3 + 1.5 * rng.normal(size=(15, 24))


def main(folder):
    rng = np.random.default_rng(10)
    out = {}
    for name, a, b in frechet_cases(rng):
        moments = [(x.mean(axis=0), np.cov(x, rowvar=False)) for x in (a, b)]
        (mu_a, sigma_a), (mu_b, sigma_b) = moments
        distance = calculate_frechet_distance(mu_a, sigma_a, mu_b, sigma_b)
        print("frechet", name, distance)
        out |= {
            f"frechet.{name}.a": a,
            f"frechet.{name}.b": b,
            f"frechet.{name}.distance": np.array([distance]),
        }
        if name == "full":
            np.savez_compressed(folder / "moments.npz", mu=mu_a, sigma=sigma_a)

    a = rng.normal(size=(260, 6)) * 1.1 + 0.2
    b = np.concatenate([rng.normal(size=(200, 6)), 3 + 0.3 * rng.normal(size=(50, 6))])
    out |= {"a": a, "b": b}
    features = torch.from_numpy(a), torch.from_numpy(b)
    kid = kid_features_to_metric(
        *features, kid_subsets=10, kid_subset_size=100, rng_seed=2020, verbose=False
    )
    out["kid"] = np.array(list(kid.values()))
    for k in (3, 5):
        prc = prc_features_to_metric(*features, prc_neighborhood=k, verbose=False)
        out[f"prc.{k}"] = np.array(list(prc.values())[:2])
        prdc = compute_prdc(real_features=b, fake_features=a, nearest_k=k)
        out[f"prdc.{k}"] = np.array(list(prdc.values()))
    logits = 2 * rng.normal(size=(130, 7)) + np.linspace(0, 1, 7)
    isc = isc_features_to_metric(torch.from_numpy(logits), splits=10, shuffle=True, rng_seed=2020)
    out |= {"logits": logits, "isc": np.array(list(isc.values()))}
    for name in ("kid", "prc.3", "prc.5", "prdc.3", "prdc.5", "isc"):
        print(name, out[name])
    save_file({name: np.ascontiguousarray(x) for name, x in out.items()}, folder / "measures.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
