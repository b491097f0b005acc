"""The library's networks in plain PyTorch, under the same parameter names.

The U-Net is diffusers' UNet2DModel with the block types of DDPM; the names of its settings and of
its parameters are those of diffusers, which is not needed here.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ResnetBlock(nn.Module):
    """shortcut(x) + conv2(silu(norm2(conv1(silu(norm1(x))) + proj(embedding))))."""

    def __init__(self, config: dict, inputs: int, outputs: int, embedding: int | None) -> None:
        super().__init__()
        groups, eps = config["norm_num_groups"], config["norm_eps"]
        self.norm1 = nn.GroupNorm(groups, inputs, eps)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time_emb_proj = nn.Linear(embedding, outputs) if embedding else None
        self.norm2 = nn.GroupNorm(groups, outputs, eps)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor, embedding: Tensor | None) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        if self.time_emb_proj is not None:
            h = h + self.time_emb_proj(embedding)[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (x if self.conv_shortcut is None else self.conv_shortcut(x))


class Attention(nn.Module):
    """GroupNorm, then softmax attention among the pixels, then the residual."""

    def __init__(self, config: dict, channels: int) -> None:
        super().__init__()
        head_dim = config["attention_head_dim"]
        self.heads = max(1, channels // head_dim) if head_dim else 1
        self.group_norm = nn.GroupNorm(config["norm_num_groups"], channels, config["norm_eps"])
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        tokens = self.group_norm(x).permute(0, 2, 3, 1).reshape(n, h * w, c)

        def heads(t: Tensor) -> Tensor:
            return t.view(n, h * w, self.heads, c // self.heads).transpose(1, 2)

        out = F.scaled_dot_product_attention(
            heads(self.to_q(tokens)), heads(self.to_k(tokens)), heads(self.to_v(tokens))
        )
        out = self.to_out[0](out.transpose(1, 2).reshape(n, h * w, c))
        return x + out.reshape(n, h, w, c).permute(0, 3, 1, 2)


class Downsample(nn.Module):
    """A 3x3 convolution of stride 2; padding 0 pads right and bottom only."""

    def __init__(self, channels: int, padding: int) -> None:
        super().__init__()
        self.padding = padding
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x if self.padding else F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Nearest-neighbour upsampling and a 3x3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class DownBlock(nn.Module):
    """Residual blocks at one resolution, then downsampling to the next."""

    def __init__(
        self,
        config: dict,
        inputs: int,
        outputs: int,
        embedding: int | None,
        attends: bool,
        is_last: bool,
    ) -> None:
        super().__init__()
        layers = config["layers_per_block"]
        self.resnets = nn.ModuleList(
            ResnetBlock(config, inputs if j == 0 else outputs, outputs, embedding)
            for j in range(layers)
        )
        self.attentions = nn.ModuleList(
            Attention(config, outputs) for _ in range(layers if attends else 0)
        )
        down = [] if is_last else [Downsample(outputs, config["downsample_padding"])]
        self.downsamplers = nn.ModuleList(down)

    def forward(self, h: Tensor, embedding: Tensor | None, skips: list[Tensor]) -> Tensor:
        for j, resnet in enumerate(self.resnets):
            h = resnet(h, embedding)
            if self.attentions:
                h = self.attentions[j](h)
            skips.append(h)
        for downsample in self.downsamplers:
            h = downsample(h)
            skips.append(h)
        return h


class MidBlock(nn.Module):
    """The coarsest resolution: residual block, attention, residual block."""

    def __init__(self, config: dict, channels: int, embedding: int | None) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(
            ResnetBlock(config, channels, channels, embedding) for _ in range(2)
        )
        attentions = [Attention(config, channels)] if config["add_attention"] else []
        self.attentions = nn.ModuleList(attentions)

    def forward(self, h: Tensor, embedding: Tensor | None) -> Tensor:
        h = self.resnets[0](h, embedding)
        for attention in self.attentions:
            h = attention(h)
        return self.resnets[1](h, embedding)


class UpBlock(nn.Module):
    """Residual blocks that take in the skip connections, then upsampling to the next resolution."""

    def __init__(
        self,
        config: dict,
        below: int,
        outputs: int,
        shallower: int,
        embedding: int | None,
        attends: bool,
        is_last: bool,
    ) -> None:
        super().__init__()
        layers = config["layers_per_block"] + 1
        self.resnets = nn.ModuleList()
        for j in range(layers):
            arriving = below if j == 0 else outputs
            skip = shallower if j == layers - 1 else outputs
            self.resnets.append(ResnetBlock(config, arriving + skip, outputs, embedding))
        self.attentions = nn.ModuleList(
            Attention(config, outputs) for _ in range(layers if attends else 0)
        )
        self.upsamplers = nn.ModuleList([] if is_last else [Upsample(outputs)])

    def forward(self, h: Tensor, embedding: Tensor | None, skips: list[Tensor]) -> Tensor:
        for j, resnet in enumerate(self.resnets):
            h = resnet(torch.cat([h, skips.pop()], 1), embedding)
            if self.attentions:
                h = self.attentions[j](h)
        for upsample in self.upsamplers:
            h = upsample(h)
        return h


class TimeEmbedding(nn.Module):
    """Two linear layers with SiLU between them."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(features, width)
        self.linear_2 = nn.Linear(width, width)

    def forward(self, features: Tensor) -> Tensor:
        return self.linear_2(F.silu(self.linear_1(features)))


class UNet(nn.Module):
    """Images [N, C, H, W] and noise levels [N] to images."""

    def __init__(self, config: dict, channels: int, conditional: bool) -> None:
        super().__init__()
        widths = config["block_out_channels"]
        levels = len(widths)
        first, last = widths[0], widths[-1]
        embedding = 4 * first if conditional else None
        # Without block types, the coarsest resolution attends.
        down = config["down_block_types"] or ["DownBlock2D"] * (levels - 1) + ["AttnDownBlock2D"]
        up = config["up_block_types"] or ["AttnUpBlock2D"] + ["UpBlock2D"] * (levels - 1)

        self.conv_in = nn.Conv2d(channels, first, 3, padding=1)
        self.time_embedding = TimeEmbedding(first, embedding) if conditional else None
        self.down_blocks = nn.ModuleList()
        for level, outputs in enumerate(widths):
            inputs = widths[max(level - 1, 0)]
            attends, is_last = down[level].startswith("Attn"), level == levels - 1
            block = DownBlock(config, inputs, outputs, embedding, attends, is_last)
            self.down_blocks.append(block)
        self.mid_block = MidBlock(config, last, embedding)
        self.up_blocks = nn.ModuleList()
        below = last
        for i, level in enumerate(reversed(range(levels))):
            shallower = widths[max(level - 1, 0)]
            attends, is_last = up[i].startswith("Attn"), level == 0
            block = UpBlock(config, below, widths[level], shallower, embedding, attends, is_last)
            self.up_blocks.append(block)
            below = widths[level]
        self.conv_norm_out = nn.GroupNorm(config["norm_num_groups"], first, config["norm_eps"])
        self.conv_out = nn.Conv2d(first, channels, 3, padding=1)

        half = first // 2
        steps = torch.arange(half, dtype=torch.float64) / (half - config["freq_shift"])
        self.register_buffer("frequencies", torch.exp(-math.log(1e4) * steps), persistent=False)
        self.cosines_first = config["flip_sin_to_cos"]

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        embedding = None
        if self.time_embedding is not None:
            # In f64, as the library does it: an angle of 1000 has four digits less in f32.
            angles = (250.0 * sigma.double().log())[:, None] * self.frequencies
            waves = [angles.sin(), angles.cos()]
            if self.cosines_first:
                waves.reverse()
            embedding = F.silu(self.time_embedding(torch.cat(waves, 1).float()))
        h = self.conv_in(x)
        skips = [h]
        for block in self.down_blocks:
            h = block(h, embedding, skips)
        h = self.mid_block(h, embedding)
        for block in self.up_blocks:
            h = block(h, embedding, skips)
        return self.conv_out(F.silu(self.conv_norm_out(h)))


ACTIVATIONS = {
    "none": lambda x: x,
    "relu": F.relu,
    "leaky-relu": F.leaky_relu,
    "silu": F.silu,
}


class Mlp(nn.Module):
    """Vectors [N, D] and noise levels [N] to vectors."""

    def __init__(self, config: dict, dim: int, conditional: bool) -> None:
        super().__init__()
        widths = [dim + int(conditional), *config["hidden"], dim]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))
        self.activation = ACTIVATIONS[config["activation"]]
        self.sees_log = config["sigma_input"] == "log"
        self.conditional = conditional

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        if self.conditional:
            seen = sigma.log() if self.sees_log else sigma
            x = torch.cat([x, seen[:, None]], 1)
        *hidden, last = self.layers
        for layer in hidden:
            x = self.activation(layer(x))
        return last(x)


def build(network: dict, shape: list[int]) -> nn.Module:
    """The network of a configuration's [network] table, for samples of `shape`."""
    if "unet" in network:
        return UNet(network["unet"], shape[0], network["conditional"])
    return Mlp(network["mlp"], shape[0], network["conditional"])
