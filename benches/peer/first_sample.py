"""From nothing to the first sample with PyTorch: what `tweedie sample --steps 10` does.

Usage: first_sample.py CASE.json WEIGHTS.safetensors OUT.png THREADS

CASE.json is what the Rust side's "open" answers for the run.
"""

import json
import math
import struct
import sys
import zlib

import torch
from safetensors.torch import load_file

import network
import training

STEPS = 10
EPS_C = 2.0


def main() -> None:
    case_file, weights, out, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    with open(case_file) as file:
        case = json.load(file)
    config, shape = case["config"], case["shape"]
    net = network.build(config["network"], shape).to(memory_format=torch.channels_last)
    net.load_state_dict(load_file(weights), strict=True)
    with torch.inference_mode():
        write_png(out, sample(net, config, shape)[0, 0])


def sample(net: torch.nn.Module, config: dict, shape: list[int]) -> torch.Tensor:
    """Consistent annealed sampling on geometric levels; the expected denoised sample."""
    objective = training.Objective(config)
    high, low = math.log(config["noise"]["sigma_max"]), math.log(config["noise"]["sigma_min"])
    sigmas = torch.linspace(high, low, STEPS).exp()
    x = sigmas[0] * torch.randn(1, *shape)
    denoised = x
    for i, sigma in enumerate(sigmas):
        c_skip, c_out, c_in = objective.coefficients(sigma)
        denoised = c_skip * x + c_out * net(c_in * x, sigma.view(1))
        if i + 1 < STEPS:
            gamma = (sigmas[i + 1] / sigma).item()
            eta = 1 - gamma**EPS_C
            beta = math.sqrt(1 - gamma ** (2 * (EPS_C - 1)))
            noise = beta * sigmas[i + 1] * torch.randn_like(x)
            x = (1 - eta) * x + eta * denoised + noise
    return denoised


def write_png(path: str, image: torch.Tensor) -> None:
    """Writes a grey image of values 0 to 1."""
    height, width = image.shape
    rows = image.mul(255).round().clamp(0, 255).to(torch.uint8).tolist()
    pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header))
        file.write(chunk(b"IDAT", pixels) + chunk(b"IEND", b""))


if __name__ == "__main__":
    main()
