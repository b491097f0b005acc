#!/usr/bin/env python3
"""Writes what PyTorch and diffusers compute, for crates/tweedie/tests/golden.rs to compare with.

Usage: pip install torch==2.15.0 diffusers==0.42.1 safetensors==0.8.0 numpy==2.4.6
       scripts/golden-unet.py crates/tweedie/tests/golden

unet_a.safetensors and unet_b.safetensors each hold a small UNet2DModel: its weights under their
own names, input golden.x, times golden.t, output golden.y, and golden.grad.NAME, the gradient of
mean(y^2) with respect to parameter NAME: in a one of each kind, in b all of at most 128 values.
Their metadata holds the configuration. Weights, input and times are f32; the network runs in f64
(but for the sines of the noise embedding, which diffusers computes in f32), and its results are
rounded to f32.

adam.safetensors holds, in f64, three trajectories of torch.optim.Adam. Nothing is downloaded.
"""

import json
import sys
from pathlib import Path

import torch
from diffusers import UNet2DModel
from safetensors.torch import save_file

UNETS = {
    "a": {
        "shape": [1, 8, 8],
        "gradients": [
            "conv_in.weight",
            "time_embedding.linear_1.bias",
            "down_blocks.0.resnets.0.norm1.weight",
            "down_blocks.0.resnets.0.time_emb_proj.bias",
            "down_blocks.0.downsamplers.0.conv.bias",
            "mid_block.attentions.0.to_q.weight",
            "up_blocks.0.upsamplers.0.conv.bias",
            "up_blocks.1.resnets.0.conv_shortcut.bias",
        ],
        "config": {
            "block_out_channels": [8, 16],
            "layers_per_block": 1,
            "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
            "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
            "add_attention": True,
            "attention_head_dim": 8,
            "norm_num_groups": 4,
            "norm_eps": 1e-5,
            "downsample_padding": 1,
            "freq_shift": 0,
            "flip_sin_to_cos": True,
        },
    },
    "b": {
        "shape": [3, 8, 16],
        "gradients": None,
        "config": {
            "block_out_channels": [4, 6, 8],
            "layers_per_block": 2,
            "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D"],
            "up_block_types": ["UpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D"],
            "add_attention": False,
            "attention_head_dim": None,
            "norm_num_groups": 2,
            "norm_eps": 1e-6,
            "downsample_padding": 0,
            "freq_shift": 1,
            "flip_sin_to_cos": False,
        },
    },
}
TIMES = [-12.5, 37.25]
# Names, or None for all up to this size; the files stay below 200 KB.
LARGEST_GRADIENT = 128

BETAS = [(0.9, 0.999), (0.0, 0.9), (-0.5, 0.9)]
STEPS = 30


def unet(path: Path, shape: list[int], gradients: list[str] | None, config: dict) -> None:
    channels, *size = shape
    model = UNet2DModel(sample_size=size, in_channels=channels, out_channels=channels, **config)
    for name, parameter in model.named_parameters():
        with torch.no_grad():
            if "norm" in name and name.endswith("weight"):
                parameter.uniform_(0.5, 1.5)
            elif name.endswith("bias"):
                parameter.normal_(0.0, 0.3)
            elif "to_q" in name or "to_k" in name:
                # Otherwise attention is close to an average over all pixels.
                parameter.mul_(3.0)
    tensors = {name: value.clone() for name, value in model.state_dict().items()}
    x = torch.randn(2, *shape)
    t = torch.tensor(TIMES)

    model.double()
    y = model(x.double(), t).sample
    y.square().mean().backward()

    tensors |= {"golden.x": x, "golden.t": t, "golden.y": y.detach().float()}
    for name, parameter in model.named_parameters():
        wanted = name in gradients if gradients else parameter.numel() <= LARGEST_GRADIENT
        if wanted:
            tensors[f"golden.grad.{name}"] = parameter.grad.float()
    save(path, tensors, {"config": json.dumps(config)})


def adam(path: Path) -> None:
    """On f(w) = w^2 from w = 1, the weight before each step and after the last."""
    tensors = {}
    for i, betas in enumerate(BETAS):
        w = torch.ones(1, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.Adam([w], lr=0.1, betas=(0.0, betas[1]))
        # Its constructor refuses a negative beta1; its arithmetic does not.
        optimizer.param_groups[0]["betas"] = betas
        trajectory = [w.item()]
        for _ in range(STEPS):
            optimizer.zero_grad()
            w.square().sum().backward()
            optimizer.step()
            trajectory.append(w.item())
        tensors[f"{i}.betas"] = torch.tensor(betas, dtype=torch.float64)
        tensors[f"{i}.weights"] = torch.tensor(trajectory, dtype=torch.float64)
    save(path, tensors, {"lr": "0.1"})


def save(path: Path, tensors: dict, metadata: dict) -> None:
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(tensors, path, metadata)
    print(f"{path}: {path.stat().st_size} bytes")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    for seed, (name, case) in enumerate(UNETS.items()):
        torch.manual_seed(seed)
        unet(folder / f"unet_{name}.safetensors", **case)
    adam(folder / "adam.safetensors")


if __name__ == "__main__":
    main()
