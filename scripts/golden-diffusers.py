#!/usr/bin/env python3
"""Runs the schedulers that `tweedie tune` writes for diffusers, for the test of tweedie-tune.

    python -m venv /tmp/diffusers && /tmp/diffusers/bin/pip install torch diffusers==0.42.1
    TWEEDIE_UPDATE_DIFFUSERS=1 cargo test --release --workspace --test diffusers
    /tmp/diffusers/bin/python scripts/golden-diffusers.py

Loads every tests/diffusers/NAME.py, gives its scheduler a network that is the exact denoiser of
N(mean, diag(variance)) in the form that the scheduler expects, the start and the noise of
inputs.json, and writes what comes out to golden.json. The test then compares that with our samplers.
Timesteps are checked against the scheduler's own table of betas.
"""

import json
import runpy
import sys
from pathlib import Path

import diffusers
import numpy as np
import torch

FOLDER = Path(__file__).resolve().parent.parent / "crates/tweedie-tune/tests/diffusers"


def inject(scheduler, noise_of_step):
    """Has the scheduler's draws of noise be `noise_of_step()`."""

    def draw(shape, **_):
        noise = noise_of_step().float()
        assert noise.shape == shape
        return noise

    for kind in type(scheduler).__mro__:
        module = sys.modules.get(kind.__module__)
        if hasattr(module, "randn_tensor"):
            module.randn_tensor = draw
    # A step that the file adds draws by what the file imported.
    if "step" in vars(type(scheduler)):
        type(scheduler).step.__globals__["randn_tensor"] = draw


def sample(path, inputs):
    module = runpy.run_path(str(path))
    scheduler, sigmas, timesteps = module["scheduler"], module["SIGMAS"], module["TIMESTEPS"]
    config = scheduler.config
    mean = torch.tensor(inputs["mean"], dtype=torch.float64)
    variance = torch.tensor(inputs["variance"], dtype=torch.float64)
    noise = torch.tensor(inputs["noise"], dtype=torch.float64)
    step = 0
    inject(scheduler, lambda: noise[step + 1])
    variance_preserving = "sigma_data" not in config
    if variance_preserving:
        # The levels at these timesteps, by the table: linear in the logarithm.
        table = np.log(((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod).sqrt().numpy())
        found = np.exp(np.interp(timesteps, np.arange(len(table)), table))
        assert np.allclose(found, sigmas[:-1], rtol=1e-4), (path, found, sigmas)
    x = scheduler.init_noise_sigma * noise[0].float()
    for step, t in enumerate(scheduler.timesteps):
        sigma = sigmas[int(np.argmin(np.abs(np.array(timesteps) - t.item())))]
        model_input = scheduler.scale_model_input(x, t).double()
        # Back to x0 + sigma z.
        if variance_preserving:
            noisy = model_input * (1 + sigma**2) ** 0.5
        elif scheduler.precondition_inputs(torch.ones(1), torch.tensor(sigma)) == 1:
            noisy = model_input
        else:
            noisy = model_input * (sigma**2 + config.sigma_data**2) ** 0.5
        denoised = mean + variance / (variance + sigma**2) * (noisy - mean)
        epsilon = (noisy - denoised) / sigma
        if not variance_preserving:
            if noisy is model_input:
                output = denoised
            else:
                total = sigma**2 + config.sigma_data**2
                output = denoised - config.sigma_data**2 / total * noisy
                output = output * total**0.5 / (sigma * config.sigma_data)
        elif config.prediction_type == "epsilon":
            output = epsilon
        elif config.prediction_type == "sample":
            output = denoised
        else:
            # v = alpha z - sigma x0 in the variance-preserving process.
            output = (epsilon - sigma * denoised) / (1 + sigma**2) ** 0.5
        x = scheduler.step(output.float(), t, x).prev_sample
    return x.double().tolist()


def check_that_euler_takes_sigmas():
    """What the file of the Euler step says beside its class."""
    module = runpy.run_path(str(FOLDER / "euler-table.py"))
    scheduler = diffusers.EulerDiscreteScheduler.from_config(module["scheduler"].config)
    scheduler.set_timesteps(sigmas=module["SIGMAS"])
    assert np.allclose(scheduler.sigmas, module["SIGMAS"])
    assert np.allclose(scheduler.timesteps, module["TIMESTEPS"], atol=0.02), scheduler.timesteps


def main():
    check_that_euler_takes_sigmas()
    inputs = json.loads((FOLDER / "inputs.json").read_text())
    results = {path.stem: sample(path, inputs) for path in sorted(FOLDER.glob("*.py"))}
    golden = {"diffusers": diffusers.__version__, "results": results}
    (FOLDER / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")
    print(f"{len(results)} schedulers of diffusers {diffusers.__version__}")


main()
