"""The library's training step in PyTorch: examples, objective, fused Adam, moving average."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn


class Objective:
    """Denoising score matching: 1/2 || gain F(input) + offset ||^2, summed over dimensions."""

    def __init__(self, config: dict) -> None:
        self.form = config["network"]["preconditioning"]
        self.sigma_data = config["network"].get("sigma_data", 1.0)
        self.weighting = config["loss"]["weighting"]
        self.power = config["loss"]["power"]

    def coefficients(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """c_skip, c_out and c_in at noise levels `sigma`."""
        one, d = torch.ones_like(sigma), self.sigma_data
        if self.form == "score":
            return one, sigma**2, one
        if self.form == "scaled-score":
            return one, sigma, one
        total = torch.sqrt(sigma**2 + d**2)
        return (d / total) ** 2, sigma * d / total, 1.0 / total

    def example(self, x: Tensor, z: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The network's input, the gain and the offset."""
        if self.weighting == "sigma":
            root = sigma ** (self.power / 2 - 2)
        else:
            root = torch.sqrt(sigma**2 + self.sigma_data**2) / (sigma * self.sigma_data)
        c_skip, c_out, c_in = self.coefficients(sigma)

        def each(factor: Tensor) -> Tensor:
            return factor.view(-1, *[1] * (x.dim() - 1))

        noised = x + each(sigma) * z
        offset = each(root * (c_skip - 1.0)) * x + each(root * c_skip * sigma) * z
        return each(c_in) * noised, each(root * c_out), offset


def losses(net: Callable, objective: Objective, x: Tensor, z: Tensor, sigma: Tensor) -> Tensor:
    """Each example's loss, [N]."""
    given, gain, offset = objective.example(x, z, sigma)
    return 0.5 * (gain * net(given, sigma) + offset).square().flatten(1).sum(1)


class Trainer:
    """One update at a time on data in memory."""

    def __init__(self, net: nn.Module, config: dict, data: Tensor, compiled: bool) -> None:
        self.config, self.data = config["train"], data
        self.noise = noise_levels(config["noise"])
        self.parameters = list(net.parameters())
        # PyTorch's constructor refuses what only adversarial training asks for: a negative beta1.
        self.optimizer = torch.optim.Adam(
            self.parameters,
            lr=self.config["lr"],
            betas=tuple(self.config["betas"]),
            eps=self.config["adam_eps"],
            fused=True,
        )
        self.average = [p.detach().clone() for p in self.parameters]
        self.order = torch.empty(0, dtype=torch.int64)
        self.step = 0
        objective = Objective(config)

        def loss_of(x: Tensor, z: Tensor, sigma: Tensor) -> Tensor:
            return losses(net, objective, x, z, sigma).mean()

        self.loss_of = torch.compile(loss_of, dynamic=False) if compiled else loss_of

    def batch(self) -> Tensor:
        """The next examples of the endless sequence of shuffled epochs."""
        size = self.config["batch"]
        if size == len(self.data):
            # The order within a batch is of no consequence.
            return self.data
        while len(self.order) < size:
            self.order = torch.cat([self.order, torch.randperm(len(self.data))])
        chosen, self.order = self.order[:size], self.order[size:]
        return self.data[chosen]

    def rate(self) -> float:
        """The learning rate of this step."""
        peak, warmup = self.config["lr"], self.config["warmup"]
        if self.step < warmup:
            return peak * (self.step + 1) / warmup
        if self.config["schedule"] == "constant":
            return peak
        done = (self.step - warmup) / max(1, self.config["steps"] - warmup)
        return peak * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    def update(self) -> float:
        """Makes one update and returns the loss."""
        x = self.batch()
        loss = self.loss_of(x, torch.randn_like(x), self.noise(len(x)))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        self.optimizer.step()
        decay = min(self.config["ema"], (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.parameters, 1.0 - decay)
        self.step += 1
        return loss.item()


def noise_levels(noise: dict) -> Callable[[int], Tensor]:
    """Draws so many noise levels from the distribution of a configuration's [noise] table."""
    low, high = math.log(noise["sigma_min"]), math.log(noise["sigma_max"])
    if noise["distribution"] == "geometric":
        levels = torch.linspace(high, low, noise["levels"]).exp()
        return lambda n: levels[torch.randint(len(levels), (n,))]
    if noise["distribution"] == "log-uniform":
        return lambda n: (low + (high - low) * torch.rand(n)).exp()
    mean, std = noise["mean"], noise["std"]
    return lambda n: (mean + std * torch.randn(n)).exp()
