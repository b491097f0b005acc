"""Compares this library with PyTorch on this machine. Run it through benches/peer/run.

Both sides build the same networks from the same weights. First their outputs and gradients are
compared; then both are timed in turns, so that a slow minute of the machine falls on both. Each
side is a process of its own that answers requests, one JSON object a line: src/main.rs says which.

PyTorch gets its best of several settings: glibc's allocator as it is or told to keep freed memory
(as this library tells it), channels_last, torch.compile. All are tried; those near the best are
then timed in full, and the best of these counts.
"""

import argparse
import dataclasses
import importlib.util
import json
import os
import platform
import select
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy
import torch
from safetensors.numpy import load_file, save_file

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent

OUTPUT_TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 1e-3
BF16_TOLERANCE = 5e-2

# Settings within this factor of the best trial are timed in full, the best few of them.
NEAR = 1.15
FINALISTS = 3

# A load above this is not ours.
IDLE = 0.5

# What the library's own `keep_freed_memory` sets.
KEEP_FREED_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(2**31 - 1),
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    "MALLOC_TOP_PAD_": str(256 << 20),
}


class Failure(Exception):
    """Something that ends the comparison, said in one line."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """A way to run PyTorch."""

    keep_memory: bool = False
    channels_last: bool = False
    compile: bool = False

    @property
    def name(self) -> str:
        parts = [
            "compile" if self.compile else "",
            "channels_last" if self.channels_last else "",
            "malloc" if self.keep_memory else "",
        ]
        return " + ".join(part for part in parts if part) or "default"


@dataclasses.dataclass(frozen=True)
class Work:
    """A row of the table that is timed through requests."""

    name: str
    title: str
    what: str
    goal: float
    batch: int = 0
    # Runs in one measurement, and the factor from there to the unit of the table.
    repeat: int = 1
    factor: float = 1.0
    images: bool = True
    bf16: bool = False
    # Of measuring samples: pytorch-fid's own way is not compiled.
    measure: bool = False

    def request(self, seconds: float, least: int) -> dict:
        return {
            "do": "time-measure" if self.measure else "time",
            "what": self.what,
            "batch": self.batch,
            "seconds": seconds,
            "least": least,
            "repeat": self.repeat,
        }


@dataclasses.dataclass(frozen=True)
class Group:
    """Works on one case: a configuration and its data. Without a case, no network is needed."""

    works: list[Work]
    config: Path | None = None
    data: str = ""


@dataclasses.dataclass
class Times:
    """Milliseconds (or bytes) of one side."""

    setting: str
    values: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclasses.dataclass
class Row:
    """A line of the table."""

    name: str
    title: str
    threads: int
    unit: str
    goal: float
    ours: Times | None = None
    # PyTorch's settings, best first.
    peers: list[Times] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def ratio(self) -> float | None:
        if self.ours is None or not self.peers:
            return None
        return self.ours.median / self.peers[0].median


def groups(bf16: bool, quick: bool) -> list[Group]:
    """Everything that is timed, with its goal: ours / PyTorch at most so much."""
    calls = [
        Work(f"unet-call-{n}", f"U-Net call, batch {n}", "call", goal, batch=n)
        for n, goal in ((1, 1.0), (16, 1 / 1.5), (64, 1 / 1.5))
    ]
    if bf16:
        calls += [
            dataclasses.replace(
                call, name=f"{call.name}-bf16", title=f"{call.title}, bf16", bf16=True
            )
            for call in calls
        ]
    step = Work("unet-step", "U-Net training step, batch 64", "update", 1 / 1.3)
    mnist = Work("mnist-step", "MNIST example's training step", "update", 1.0)
    # 1000 steps, measured in tenths of them.
    mlp = Work(
        "mlp-train",
        "tutorial MLP, 16384 points, 1000 steps",
        "update",
        1 / 8,
        repeat=20 if quick else 100,
        factor=50.0 if quick else 10.0,
        images=False,
    )
    noise = Work("noise", "1.57 M standard normals", "noise", 0.5, images=False)
    update = Work(
        "sampler-update", "x <- a x + b H + c z, 8x3x256x256", "sampler-update", 1.0, images=False
    )
    return [
        Group(calls, HERE / "unet.toml", "images-32.npy"),
        Group([step], HERE / "unet.toml", "images-32.npy"),
        Group([mnist], REPOSITORY / "examples" / "mnist.toml", "images-28.npy"),
        Group([mlp], HERE / "mlp.toml", "points.npy"),
        Group([noise, update]),
    ]


def measures(quick: bool) -> list[Work]:
    """Measuring samples, with pytorch-fid on the other side."""
    dim, half = MEASURED[quick]
    return [
        Work("measure-features", "Inception features, 16 images", "features", 1.0, 16, measure=True),
        Work(
            "measure-frechet",
            f"Frechet distance, {dim} features given",
            "frechet",
            1.0,
            images=False,
            measure=True,
        ),
        Work(
            "measure-fid", f"features and distance, twice {half} images", "fid", 1.0, measure=True
        ),
    ]


# Features that are given and images of each set: for a measurement, and for a quick check.
MEASURED = {False: (2048, 128), True: (128, 8)}

MEMORY = ("unet-memory", "peak memory of U-Net training, batch 64", 0.5)
START_UP = ("start-up", "start to first 28x28 sample, 10 steps", 0.05)


class Side:
    """A process that answers requests."""

    def __init__(self, name: str, command: list[str], env: dict[str, str], log: Path) -> None:
        self.name, self.log, self.is_open = name, log, False
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=os.environ | env,
                text=True,
            )

    def ask(self, request: dict, limit: float | None = None) -> dict:
        """The answer; `limit` is in seconds."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failure(self.death()) from None
        if not select.select([self.process.stdout], [], [], limit)[0]:
            raise TimeoutError(f"not done after {limit:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            raise Failure(self.death())
        answer = json.loads(line)
        if "error" in answer:
            raise Failure(f"{self.name}: {answer['error']}")
        return answer

    def open(self, case: dict) -> None:
        """Opens `case`, the one case of this process."""
        if not self.is_open:
            self.ask(case)
            self.is_open = True

    def death(self) -> str:
        code = self.process.wait()
        lines = self.log.read_text(errors="replace").strip().splitlines()
        last = [line.strip() for line in lines if not line.startswith("note:")][-4:]
        message = ", ".join(last) or "no message"
        return f"{self.name} ended with code {code}: {message} (all of it is in {self.log})"

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


class Comparison:
    """The run: its options, its processes, its rows."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.folder = options.target / "peer"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.sides: dict[str, Side] = {}
        self.rows: list[Row] = []
        # Why torch.compile is not tried, if so.
        self.no_compile = self.why_no_compile()

    def why_no_compile(self) -> str:
        if self.options.quick:
            return "not tried under --quick"
        if self.options.compile_limit <= 0:
            return "not tried: --compile-limit 0"
        if not any(shutil.which(compiler) for compiler in ("g++", "clang++", "c++")):
            return "did not work: there is no C++ compiler"
        return ""

    def wanted(self, name: str) -> bool:
        """Whether --only names this row: by its name, or by the beginning of it."""
        chosen = self.options.only
        return not chosen or name in chosen or any(name.startswith(f"{c}-") for c in chosen)

    # Processes

    def ours(self, threads: int) -> Side:
        binary = self.options.target / "release" / "tweedie-peer"
        if "ours" not in self.sides:
            env = {"RAYON_NUM_THREADS": str(threads), "RUST_BACKTRACE": "0"}
            log = self.folder / "ours.log"
            self.sides["ours"] = Side("tweedie-peer", [str(binary)], env, log)
        return self.sides["ours"]

    def peer(self, setting: Setting, threads: int) -> Side:
        """The process for a setting: one for each allocator, one for compiled code."""
        name = "peer-compile" if setting.compile else "peer"
        name += "-malloc" if setting.keep_memory else ""
        if name not in self.sides:
            env = self.peer_env(setting, threads)
            command = [sys.executable, str(HERE / "worker.py"), str(threads)]
            self.sides[name] = Side("PyTorch", command, env, self.folder / f"{name}.log")
        return self.sides[name]

    def peer_env(self, setting: Setting, threads: int) -> dict[str, str]:
        env = {
            "OMP_NUM_THREADS": str(threads),
            "TORCHINDUCTOR_CACHE_DIR": str(self.folder / "inductor"),
        }
        return env | (KEEP_FREED_MEMORY if setting.keep_memory else {})

    def close(self) -> None:
        for side in self.sides.values():
            side.close()
        self.sides.clear()

    def settings(self, work: Work) -> list[Setting]:
        layouts = (True, False) if work.images else (False,)
        # A quick run has time for what usually is the best.
        allocators = (True,) if self.options.quick else (True, False)
        found = [Setting(keep, last) for keep in allocators for last in layouts]
        if not (self.no_compile or work.measure):
            found += [Setting(True, last, compile=True) for last in layouts]
        return found

    # Cases

    def open_ours(self, group: Group, threads: int, precision: str = "f32") -> dict:
        """Opens a group's case in this library and leaves its weights in a file."""
        data = self.folder / group.data
        opened = self.ours(threads).ask(
            {
                "do": "open",
                "config": str(group.config),
                "set": [f"data.source={json.dumps(str(data))}"],
                "precision": precision,
            }
        )
        weights = str(self.folder / "weights.safetensors")
        if precision == "f32":
            self.ours(threads).ask({"do": "weights", "file": weights})
        return opened | {"do": "open", "weights": weights}

    def check(self, group: Group, opened: dict, threads: int) -> None:
        """Outputs and gradients must agree before times mean anything."""
        ours, peer = self.ours(threads), self.peer(Setting(keep_memory=True), threads)
        peer.open(opened)
        worst = self.difference_of_calls(ours, peer, opened["shape"], bf16=False)
        self.agree("the outputs", group, worst, OUTPUT_TOLERANCE)
        if any(work.what == "update" for work in group.works):
            mine = self.folder / "update.safetensors"
            theirs = self.folder / "update-peer.safetensors"
            ours.ask({"do": "update", "outputs": str(mine)})
            peer.ask({"do": "update", "inputs": str(mine), "outputs": str(theirs)})
            found, expected = load_file(mine), load_file(theirs)
            loss = relative_difference(found["loss"], expected["loss"])
            self.agree("the losses", group, loss, OUTPUT_TOLERANCE)
            worst, name = worst_gradient(found, expected)
            self.agree(f"the gradients (worst: {name})", group, worst, GRADIENT_TOLERANCE)

    def difference_of_calls(self, ours: Side, peer: Side, shape: list[int], bf16: bool) -> float:
        rng = numpy.random.default_rng(0)
        x = rng.standard_normal((4, *shape), dtype=numpy.float32)
        sigma = numpy.array([0.02, 0.3, 4.0, 40.0], dtype=numpy.float32)
        inputs = self.folder / "inputs.safetensors"
        save_file({"x": x, "sigma": sigma}, inputs)
        outputs = []
        for side in (ours, peer):
            file = self.folder / "outputs.safetensors"
            request = {"do": "call", "inputs": str(inputs), "outputs": str(file), "bf16": bf16}
            side.ask(request)
            outputs.append(load_file(file)["output"])
        return relative_difference(*outputs)

    def agree(self, what: str, group: Group, difference: float, tolerance: float) -> None:
        config = group.config.name if group.config else ""
        say(f"  {config}: {what} differ by {difference:.1e} (at most {tolerance:.0e} is right)")
        # Written so that NaN fails.
        if not difference <= tolerance:
            raise Failure(
                f"{config}: {what} of the two sides differ by {difference:.1e}, more than "
                f"{tolerance:.0e}; their times would mean nothing. Find out which side is wrong, "
                "for instance with `cargo test --release --workspace --test golden`"
            )

    # Rows

    def run_group(self, group: Group, threads: int) -> None:
        works = [work for work in group.works if self.wanted(work.name)]
        if not works:
            return
        plain = [work for work in works if not work.bf16]
        opened = None
        if group.config:
            opened = self.open_ours(group, threads)
            self.check(dataclasses.replace(group, works=plain or works), opened, threads)
        for work in plain:
            self.time(work, opened, threads)
        halves = [work for work in works if work.bf16]
        if halves and opened:
            self.run_bf16(group, halves, opened, threads)
        self.close()

    def run_bf16(self, group: Group, works: list[Work], opened: dict, threads: int) -> None:
        peer = self.peer(Setting(keep_memory=True), threads)
        try:
            self.open_ours(group, threads, precision="bf16")
            worst = self.difference_of_calls(self.ours(threads), peer, opened["shape"], bf16=True)
        except Failure as failure:
            for work in works:
                row = Row(work.name, work.title, threads, "ms", work.goal)
                row.notes.append(f"did not work: {failure}")
                self.add(row)
            return
        self.agree("the outputs in bf16", group, worst, BF16_TOLERANCE)
        for work in works:
            self.time(work, opened, threads)

    def time(self, work: Work, opened: dict | None, threads: int) -> None:
        """Tries PyTorch's settings, then times the best of them in turns with this library."""
        say(f"{work.title}, {threads_of(threads)}")
        row = Row(work.name, work.title, threads, "ms", work.goal)
        if self.no_compile and not work.measure:
            row.notes.append(f"torch.compile {self.no_compile}")
        trials: list[tuple[float, Setting]] = []
        for setting in self.settings(work):
            try:
                best = self.trial(work, setting, opened, threads)
            except (Failure, TimeoutError) as reason:
                if not setting.compile:
                    raise
                row.notes.append(f"{setting.name} did not work: {reason}")
                self.sides.pop("peer-compile-malloc").close()
                continue
            trials.append((best, setting))
            say(f"  tried {setting.name}: {best * work.factor:.2f} ms")
        trials.sort(key=lambda trial: trial[0])
        finalists = [s for t, s in trials if t <= NEAR * trials[0][0]][:FINALISTS]

        ours = self.ours(threads)
        ours.ask(work.request(0.0, 1))
        mine: list[float] = []
        theirs: dict[Setting, list[float]] = {setting: [] for setting in finalists}
        for _ in range(self.options.periods):
            request = work.request(self.options.seconds, 1)
            mine += ours.ask(request)["ms"]
            for setting in finalists:
                side = self.peer(setting, threads)
                theirs[setting] += side.ask(request | peer_request(work, setting))["ms"]
        row.ours = Times("ours", [t * work.factor for t in mine])
        row.peers = sorted(
            (Times(s.name, [t * work.factor for t in times]) for s, times in theirs.items()),
            key=lambda times: times.median,
        )
        self.add(row)

    def trial(self, work: Work, setting: Setting, opened: dict | None, threads: int) -> float:
        """The best time of a short trial, after a first run that compiles and touches memory."""
        side = self.peer(setting, threads)
        limit = self.options.compile_limit if setting.compile else None
        if opened:
            side.open(opened)
        options = peer_request(work, setting)
        first = side.ask(work.request(0.0, 1) | options, limit)["ms"][0]
        if len(self.settings(work)) == 1 or (self.options.quick and first > 1000):
            return first
        return min(side.ask(work.request(self.options.seconds / 2, 1) | options)["ms"])

    def memory(self, threads: int) -> None:
        """The peak of processes that do nothing but train, each started anew."""
        name, title, goal = MEMORY
        if not self.wanted(name):
            return
        say(f"{title}, {threads_of(threads)}")
        row = Row(name, title, threads, "MiB", goal)
        steps = 1 if self.options.quick else 3
        work = Work(name, title, "update", goal)
        group = Group([work], HERE / "unet.toml", "images-32.npy")

        opened = self.open_ours(group, threads)
        row.ours = Times("ours", [self.peak(self.ours(threads), work, {}, steps)])
        self.close()
        for keep in (True, False):
            for channels_last in (True, False):
                if self.options.quick and not channels_last:
                    continue
                setting = Setting(keep, channels_last)
                side = self.peer(setting, threads)
                side.open(opened)
                peak = self.peak(side, work, peer_request(work, setting), steps)
                row.peers.append(Times(setting.name, [peak]))
                self.close()
        row.peers.sort(key=lambda times: times.median)
        self.add(row)

    def measures(self, threads: int) -> None:
        """Features and distances, in time and memory."""
        works = measures(self.options.quick)
        memory = {f"{w.name}-memory": w for w in works if w.name != "measure-features"}
        wanted = [work for work in works if self.wanted(work.name)]
        if not (wanted or any(map(self.wanted, memory))):
            return
        if importlib.util.find_spec("pytorch_fid") is None:
            say("the rows of measuring are left out: this Python has no pytorch-fid")
            return
        opened = self.write_measured()
        ours, peer = self.ours(threads), self.peer(Setting(keep_memory=True), threads)
        answers = []
        for side in (ours, peer):
            side.open(opened)
            answers.append(side.ask({"do": "measure"}))
        group = Group(works)
        for name, tolerance in (("features", OUTPUT_TOLERANCE), ("distance", 1e-6)):
            found, expected = (numpy.array(answer[name]) for answer in answers)
            worst = relative_difference(found, expected)
            self.agree(f"Inception's {name}", group, worst, tolerance)
        for work in wanted:
            self.time(work, opened, threads)
        self.close()
        for name, work in memory.items():
            if self.wanted(name):
                self.memory_of_measure(name, work, opened, threads)

    def memory_of_measure(self, name: str, work: Work, opened: dict, threads: int) -> None:
        """The peak of processes that measure once, each started anew."""
        row = Row(name, f"peak memory of {work.title}", threads, "MiB", 1.0)
        say(f"{row.title}, {threads_of(threads)}")
        ours = self.ours(threads)
        ours.open(opened)
        row.ours = Times("ours", [self.peak(ours, work, {}, 1)])
        self.close()
        for setting in (Setting(True, work.images), Setting(False, work.images)):
            side = self.peer(setting, threads)
            side.open(opened)
            peak = self.peak(side, work, peer_request(work, setting), 1)
            row.peers.append(Times(setting.name, [peak]))
            self.close()
        row.peers.sort(key=lambda times: times.median)
        self.add(row)

    def write_measured(self) -> dict:
        """Weights that keep activations in bounds, pictures, and features."""
        dim, half = MEASURED[self.options.quick]
        rng = numpy.random.default_rng(0)
        weights = self.folder / "inception.safetensors"
        save_file(inception_weights(rng), weights)
        pictures = self.folder / "pictures.npy"
        numpy.save(pictures, rng.integers(0, 256, (2 * half, 32, 32, 3), dtype=numpy.uint8))
        # As Inception's: not negative, correlated, of very different variances.
        scale = numpy.geomspace(1, 0.01, dim)
        mixed = [rng.standard_normal((dim + dim // 2, dim)) for _ in range(2)]
        rows = {
            name: numpy.abs(x * scale + 0.5 * x[:, ::-1] * scale + shift).astype(numpy.float32)
            for name, x, shift in zip("ab", mixed, (0, 0.05))
        }
        features = self.folder / "features.safetensors"
        save_file({name: numpy.ascontiguousarray(x) for name, x in rows.items()}, features)
        return {
            "do": "open-measure",
            "weights": str(weights),
            "pictures": str(pictures),
            "features": str(features),
            "dim": dim,
        }

    def peak(self, side: Side, work: Work, options: dict, steps: int) -> float:
        side.ask(work.request(0.0, steps) | options)
        return side.ask({"do": "memory"})["bytes"] / 2**20

    def start_up(self, threads: int) -> None:
        """From the start of a process to a sample on disk."""
        name, title, goal = START_UP
        if not self.wanted(name):
            return
        say(f"{title}, {threads_of(threads)}")
        program = str(self.options.target / "release" / "tweedie")
        run, out = self.folder / "run", self.folder / "first-sample"
        for folder in (run, out):
            shutil.rmtree(folder, ignore_errors=True)
        out.mkdir()
        source = json.dumps(str(self.folder / "images-28.npy"))
        train = [program, "train", str(REPOSITORY / "examples" / "mnist.toml"), "--out", str(run)]
        for change in (f"data.source={source}", "train.steps=1", "train.samples_every=0"):
            train += ["--set", change]
        finish(train, {})
        # The case of the run, as the library resolved it.
        opened = self.ours(threads).ask({"do": "open", "config": str(run / "config.toml")})
        self.close()
        case = out / "case.json"
        case.write_text(json.dumps(opened))
        weights = run / "checkpoints" / "000000001" / "ema.safetensors"

        mine = [program, "sample", str(run), "--steps", "10", "--seeds", "0-0", "--out", str(out)]
        theirs = [sys.executable, str(HERE / "first_sample.py"), str(case), str(weights)]
        theirs += [str(out / "peer.png"), str(threads)]
        settings = [Setting(), Setting(keep_memory=True)]
        sides = [("ours", mine, {"RAYON_NUM_THREADS": str(threads)})] + [
            (setting.name, theirs, self.peer_env(setting, threads)) for setting in settings
        ]
        times: dict[str, list[float]] = {name: [] for name, _, _ in sides}
        for turn in range(1 + (3 if self.options.quick else 10)):
            for name, command, env in sides:
                taken = finish(command, env)
                # The first turn brings files into memory.
                if turn:
                    times[name].append(taken)
        row = Row(*START_UP[:2], threads, "ms", goal)
        row.ours = Times("ours", times.pop("ours"))
        row.peers = sorted((Times(*item) for item in times.items()), key=lambda t: t.median)
        self.add(row)

    def add(self, row: Row) -> None:
        self.rows.append(row)
        if row.ours and row.peers:
            best = row.peers[0]
            say(
                f"  PyTorch {best.median:.2f} {row.unit} ({best.setting}), ours "
                f"{row.ours.median:.2f} {row.unit}, ratio {row.ratio:.2f}"
            )
        for note in row.notes:
            say(f"  {note}")


def peer_request(work: Work, setting: Setting) -> dict:
    """The settings of PyTorch's side besides the work."""
    return {
        "channels_last": setting.channels_last,
        "compile": setting.compile,
        "bf16": work.bf16,
    }


def relative_difference(found: numpy.ndarray, expected: numpy.ndarray) -> float:
    """The largest difference over the largest value."""
    difference = numpy.abs(found.ravel() - expected.ravel()).max()
    return float(difference / numpy.abs(expected).max())


def inception_weights(rng: numpy.random.Generator) -> dict[str, numpy.ndarray]:
    """Parameters of FID's Inception at random: the published ones need not be at hand."""
    from pytorch_fid import inception

    # Only names and shapes are wanted: nothing is fetched, nothing loaded.
    inception.load_state_dict_from_url = lambda *_, **__: {}
    load = torch.nn.Module.load_state_dict
    torch.nn.Module.load_state_dict = lambda *_, **__: None
    shapes = inception.fid_inception_v3().state_dict()
    torch.nn.Module.load_state_dict = load

    def value(name: str, shape: tuple[int, ...]) -> numpy.ndarray:
        u = rng.uniform(-1, 1, shape)
        if name.endswith("num_batches_tracked"):
            return numpy.zeros(shape, dtype=numpy.int64)
        if name.endswith(("bn.weight", "running_var")):
            return (1 + u / 4).astype(numpy.float32)
        if len(shape) == 1:
            return (u / 8).astype(numpy.float32)
        return (u * numpy.sqrt(6 / numpy.prod(shape[1:]))).astype(numpy.float32)

    return {name: value(name, tuple(tensor.shape)) for name, tensor in shapes.items()}


def worst_gradient(found: dict, expected: dict) -> tuple[float, str]:
    """The largest relative difference over all parameters, and the parameter's name.

    A parameter whose gradient is nothing but rounding, as that of an attention's keys' bias, is
    measured against the largest gradient of all.
    """
    names = [name for name in expected if name.startswith("gradient.")]
    floor = 1e-3 * max(float(numpy.abs(expected[name]).max()) for name in names)

    def difference(name: str) -> float:
        largest = max(float(numpy.abs(expected[name]).max()), floor)
        off = numpy.abs(found[name].ravel() - expected[name].ravel()).max()
        return float(off) / largest

    return max((difference(name), name.removeprefix("gradient.")) for name in names)


def finish(command: list[str], env: dict[str, str]) -> float:
    """Runs a command and returns its wall time in milliseconds."""
    began = time.perf_counter()
    done = subprocess.run(command, env=os.environ | env, capture_output=True, text=True)
    taken = (time.perf_counter() - began) * 1e3
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise Failure(f"{Path(command[0]).name} failed: {lines[-1]}")
    return taken


def write_data(folder: Path) -> None:
    """Random images, and the tutorial's mixture."""
    rng = numpy.random.default_rng(0)
    for side in (28, 32):
        images = rng.random((256, side, side), dtype=numpy.float32)
        numpy.save(folder / f"images-{side}.npy", images)
    centres = numpy.where(rng.random((16384, 1)) < 0.1, -3.0, 3.0)
    points = centres + rng.standard_normal((16384, 1))
    numpy.save(folder / "points.npy", points.astype(numpy.float32))


def machine() -> dict[str, str]:
    """What the numbers are of."""
    cpu = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if "model name" in line), cpu)
    git = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.strip()
    return {
        "cpu": cpu,
        "cores": str(os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.1f}",
        "system": f"{platform.system()} {platform.release()}",
        "tweedie": commit or "unknown",
        "rust": rustc or "unknown",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "date": time.strftime("%Y-%m-%d"),
    }


def threads_of(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def number(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def cell(times: Times | None, unit: str) -> str:
    """The median, and the minimum where there is more than one value."""
    if times is None:
        return "-"
    text = f"{number(times.median)} {unit}"
    return text if len(times.values) == 1 else f"{text} (min {number(min(times.values))})"


def table(rows: list[Row]) -> list[list[str]]:
    lines = [["work", "threads", "PyTorch's best", "its setting", "ours", "ratio", "goal", ""]]
    for row in rows:
        best = row.peers[0] if row.peers else None
        ratio = row.ratio
        lines.append(
            [
                row.title,
                str(row.threads),
                cell(best, row.unit),
                best.setting if best else "-",
                cell(row.ours, row.unit),
                "-" if ratio is None else f"{ratio:.2f}",
                f"<= {row.goal:.2f}",
                "" if ratio is None else ("met" if ratio <= row.goal else "missed"),
            ]
        )
    return lines


def plain_table(lines: list[list[str]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*lines)]
    padded = ("  ".join(cell.ljust(w) for cell, w in zip(line, widths)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)


def markdown(rows: list[Row], about: dict[str, str], how: str) -> str:
    head, *lines = table(rows)
    text = ["# This library against PyTorch", ""]
    text += [f"- {key}: {value}" for key, value in about.items()]
    text += [f"- {how}", ""]
    text += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    text += ["| " + " | ".join(line) + " |" for line in lines]
    text += ["", "Medians; ratio = ours / PyTorch's best, below 1 is faster or smaller.", ""]
    for row in rows:
        others = [f"{t.setting} {number(t.median)} {row.unit}" for t in row.peers[1:]]
        notes = row.notes + (["also timed: " + ", ".join(others)] if others else [])
        if notes:
            text.append(f"- {row.title}, {threads_of(row.threads)}: {'; '.join(notes)}")
    return "\n".join(text) + "\n"


def as_json(rows: list[Row], about: dict[str, str], how: str) -> str:
    def times(of: Times) -> dict:
        return {"setting": of.setting, "median": of.median, "min": min(of.values), "all": of.values}

    found = [
        {
            "name": row.name,
            "title": row.title,
            "threads": row.threads,
            "unit": row.unit,
            "torch": [times(peer) for peer in row.peers],
            "ours": times(row.ours) if row.ours else None,
            "ratio": row.ratio,
            "goal": row.goal,
            "notes": row.notes,
        }
        for row in rows
    ]
    return json.dumps({"machine": about, "how": how, "rows": found}, indent=1) + "\n"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benches/peer/run", description=__doc__.split("\n")[0])
    add: Callable = parser.add_argument
    add("--quick", action="store_true", help="a check that all works, in under two minutes")
    add(
        "--only",
        action="append",
        metavar="NAME",
        help="only this row (unet-call-1, unet-call-16, unet-call-64, unet-step, unet-memory, "
        "mnist-step, mlp-train, noise, sampler-update, measure-features, measure-frechet, "
        "measure-fid, measure-frechet-memory, measure-fid-memory, start-up), or all that begin so (unet, "
        "unet-call); may be repeated",
    )
    add("--threads", type=int, nargs="+", help="thread counts [default: 1 2; quick: 2]")
    add("--periods", type=int, help="turns of each side [default: 7; quick: 2]")
    add("--seconds", type=float, help="length of a turn, one run at least [default: 3; quick: 0.3]")
    add(
        "--compile-limit",
        type=float,
        default=900.0,
        metavar="SECONDS",
        help="how long torch.compile may take for one row; 0 leaves it out [default: 900]",
    )
    add(
        "--precision",
        choices=["f32", "bf16"],
        default="f32",
        help="bf16 adds U-Net calls in bf16 (PyTorch: autocast)",
    )
    add("--out", type=Path, metavar="FILE", help="write FILE.md and FILE.json")
    add("--target", type=Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    quick = options.quick
    options.threads = options.threads or ([2] if quick else [1, 2])
    options.periods = options.periods or (2 if quick else 7)
    options.seconds = (0.3 if quick else 3.0) if options.seconds is None else options.seconds
    return options


def main() -> None:
    options = parse()
    comparison = Comparison(options)
    about = machine()
    say(f"{about['cpu']}, {about['cores']} cores, torch {about['torch']}")
    if os.getloadavg()[0] > IDLE:
        say(
            f"warning: the load of this machine is {about['load']}; on a machine that does other "
            "work PyTorch's threads wait for each other, and times with several mean little"
        )
    write_data(comparison.folder)
    began = time.monotonic()
    try:
        for threads in options.threads:
            for group in groups(options.precision == "bf16", options.quick):
                comparison.run_group(group, threads)
            comparison.measures(threads)
            comparison.memory(threads)
            comparison.start_up(threads)
    except (Failure, TimeoutError) as failure:
        sys.exit(f"error: {failure}")
    except KeyboardInterrupt:
        sys.exit("error: stopped")
    finally:
        comparison.close()
    if not comparison.rows:
        sys.exit("error: --only names no row; see --help for the names")

    minutes = (time.monotonic() - began) / 60
    how = f"{options.periods} turns of {options.seconds:g} s each, {minutes:.0f} min in all"
    if options.quick:
        how += "; --quick: a check that it works, not a measurement"
    print(plain_table(table(comparison.rows)))
    print(how)
    if options.out:
        base = options.out
        if base.suffix in (".md", ".json"):
            base = base.with_suffix("")
        base.parent.mkdir(parents=True, exist_ok=True)
        Path(f"{base}.md").write_text(markdown(comparison.rows, about, how))
        Path(f"{base}.json").write_text(as_json(comparison.rows, about, how))
        say(f"{base}.md\n{base}.json")


if __name__ == "__main__":
    main()
