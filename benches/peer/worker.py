"""PyTorch's side of the comparison: answers compare.py's requests, one JSON object a line.

The requests are those of src/main.rs, with three differences: "open" brings what the other side's
"open" answered, and a file of weights; "update" reads the examples that the other side's first
update saw, and writes what it computes for them; and "call", "update" and "time" may ask for
"channels_last", for "compile", and for calls in "bf16".
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import network
import training


def main() -> None:
    # Whatever PyTorch prints must not come between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    worker = Worker(threads=int(sys.argv[1]))
    for line in sys.stdin:
        try:
            answer = worker.answer(json.loads(line))
        except Exception as error:  # Returned to the client, which decides what it means.
            message = str(error).strip().splitlines() or [type(error).__name__]
            answer = {"error": message[0]}
        print(json.dumps(answer), file=answers, flush=True)


class Worker:
    """The case that is open, and what was built for it."""

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.config: dict = {}
        self.shape: list[int] = []
        self.data = torch.empty(0)
        self.weights: dict[str, Tensor] = {}
        # Networks and trainers by their settings: compiling one takes minutes.
        self.built: dict[tuple, Any] = {}
        # What samples are measured with.
        self.measure: Any = None

    def answer(self, request: dict) -> dict:
        match request["do"]:
            case "open":
                return self.open(request)
            case "call":
                return self.call(request)
            case "update":
                return self.update(request)
            case "time":
                run = self.work(request)
                return {"ms": measure(run, request["seconds"], request["least"], request["repeat"])}
            case "open-measure":
                # Only here: without pytorch-fid the other rows work all the same.
                from measure import Measure

                self.measure = Measure(request)
                return {}
            case "measure":
                return self.measure.answer()
            case "time-measure":
                channels_last, _, _ = settings(request)
                run = self.measure.work(request["what"], request["batch"], channels_last)
                return {"ms": measure(run, request["seconds"], request["least"], request["repeat"])}
            case "memory":
                return {"bytes": peak_memory()}
            case unknown:
                raise ValueError(f"do = {unknown}: no such request")

    def open(self, request: dict) -> dict:
        self.config, self.shape = request["config"], request["shape"]
        self.weights = load_file(request["weights"])
        data = torch.from_numpy(numpy.load(self.config["data"]["source"]))
        self.data = data.reshape(len(data), *self.shape)
        self.built.clear()
        return {}

    def network(self, channels_last: bool) -> torch.nn.Module:
        net = network.build(self.config["network"], self.shape)
        net.load_state_dict(self.weights, strict=True)
        return net.to(memory_format=torch.channels_last) if channels_last else net

    def once(self, key: tuple, build: Callable[[], Any]) -> Any:
        if key not in self.built:
            self.built[key] = build()
        return self.built[key]

    def caller(self, request: dict) -> Callable[[Tensor, Tensor], Tensor]:
        """The network for calls without gradients."""
        channels_last, compiled, bf16 = settings(request)

        def build() -> Callable[[Tensor, Tensor], Tensor]:
            net = self.network(channels_last).eval()
            if compiled:
                # Weights become constants of the compiled code, laid out as it likes best.
                from torch._inductor import config as inductor

                inductor.freezing = True
                net = torch.compile(net, dynamic=False)
            # A frozen network is not compiled under inference_mode.
            no_gradients = torch.no_grad if compiled else torch.inference_mode

            def call(x: Tensor, sigma: Tensor) -> Tensor:
                cast = torch.autocast("cpu", torch.bfloat16) if bf16 else contextlib.nullcontext()
                with no_gradients(), cast:
                    return net(x, sigma)

            return call

        return self.once(("call", channels_last, compiled, bf16), build)

    def trainer(self, request: dict) -> training.Trainer:
        channels_last, compiled, _ = settings(request)

        def build() -> training.Trainer:
            net = self.network(channels_last)
            data = laid_out(self.data, channels_last)
            return training.Trainer(net, self.config, data, compiled)

        return self.once(("update", channels_last, compiled), build)

    def call(self, request: dict) -> dict:
        inputs = load_file(request["inputs"])
        x = inputs["x"].reshape(-1, *self.shape)
        output = self.caller(request)(laid_out(x, settings(request)[0]), inputs["sigma"])
        save_file({"output": output.float().flatten(1).contiguous()}, request["outputs"])
        return {}

    def update(self, request: dict) -> dict:
        """Losses and gradients for the examples in the file "inputs"."""
        seen = load_file(request["inputs"])
        x, z = (seen[name].reshape(-1, *self.shape) for name in ("x", "z"))
        net = self.network(settings(request)[0])
        objective = training.Objective(self.config)
        each = training.losses(net, objective, x, z, seen["sigma"])
        each.mean().backward()
        found = {f"gradient.{name}": p.grad.contiguous() for name, p in net.named_parameters()}
        save_file({"loss": each.detach(), **found}, request["outputs"])
        return {}

    def work(self, request: dict) -> Callable[[], Any]:
        """What a request for a timing runs."""
        channels_last, compiled, _ = settings(request)
        match request["what"]:
            case "call":
                call, n = self.caller(request), request["batch"]
                x = laid_out(torch.randn(n, *self.shape), channels_last)
                sigma = torch.ones(n)
                return lambda: call(x, sigma)
            case "update":
                return self.trainer(request).update
            case "noise":
                return self.once(("noise", compiled), lambda: noise(compiled))
            case "sampler-update":
                return self.once(("sampler", compiled), lambda: sampler_update(compiled))
            case unknown:
                raise ValueError(f"what = {unknown}: no such work")


def settings(request: dict) -> tuple[bool, bool, bool]:
    """Whether a request asks for channels_last, compile, bf16."""
    return tuple(request.get(name, False) for name in ("channels_last", "compile", "bf16"))


def laid_out(x: Tensor, channels_last: bool) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if channels_last else x


def noise(compiled: bool) -> Callable[[], Any]:
    """512 x 3 x 32 x 32 standard normals."""
    if compiled:
        draw = torch.compile(lambda: torch.randn(512, 3, 32, 32), dynamic=False)
        return torch.no_grad()(draw)
    out = torch.empty(512, 3, 32, 32)
    return out.normal_


def sampler_update(compiled: bool) -> Callable[[], Any]:
    """x <- a x + b H + c z on 8 x 3 x 256 x 256 values, in place."""
    x, denoised = torch.randn(8, 3, 256, 256), torch.randn(8, 3, 256, 256)
    z = torch.empty_like(x)

    def add(x: Tensor, denoised: Tensor, z: Tensor) -> None:
        x.mul_(0.9).add_(denoised, alpha=0.1).add_(z, alpha=0.4)

    # Only the arithmetic: compiled code draws noise more slowly.
    fused = torch.compile(add, dynamic=False) if compiled else add
    return torch.no_grad()(lambda: fused(x, denoised, z.normal_()))


def measure(run: Callable[[], Any], seconds: float, least: int, repeat: int) -> list[float]:
    """Milliseconds for each `repeat` runs, as often as fit into `seconds`, `least` times."""
    began, times = time.perf_counter(), []
    while len(times) < least or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        for _ in range(repeat):
            run()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def peak_memory() -> int:
    """The most memory this process has held, in bytes.

    Not getrusage: its figure includes the parent's before exec.
    """
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
