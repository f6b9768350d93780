"""What a graphics card makes of it all: pieces of at most eight minutes, each of which prints its figures as JSON.

    python benchmarks/gpu.py [PIECE ...] [--out DIR] [--seconds 400] [--device cuda:0]

tests        (a) ``pytest -m gpu``.
children     (b) Training images per second of ``figure7``, a separable network and ten random ones, plain PyTorch
             beside them.
workers      (c) Trainings per hour of a small network by 1, 2, 4 and 8 workers on the card and by plain PyTorch, and
             the share of the time in which the card was busy.
cells        (d) A recurrent layer at 200, 650 and 1,500 units, forward and backward, beside ``nn.LSTM`` and the plain
             loop; and how far its numbers are from the CPU's.
compiled     (d) The plain loop by ``torch.compile``, beside the layer; and how long compiling takes.
search       (e) ``netwright search cifar10`` at full image size.
figure7      (f) ``figure7`` trained on CIFAR-10 (paper: 5.50 % error).
nascell      (g) The paper's cell, medium size, on the Penn Treebank (Zaremba's recipe; paper: 64.0 perplexity).

Whatever is measured is kept in DIR at once and not measured again, and pieces (e) to (g) resume what they began: run a
piece again until it says ``"done": true``. Pieces (a) to (d) need no data: their pictures are noise. (e) to (g) read
CIFAR-10 and the Penn Treebank from ``NETWRIGHT_DATA``. No piece downloads anything. ``--list-needs`` prints what has to
be there. ``--device cpu --small`` has the CPU stand in, with few and small networks: that tests this file and measures
nothing.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from statistics import mean, median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from netwright.children.augment import crop_and_flip
from netwright.children.conv_net import ConvNet
from netwright.children.devices import cores, fast_half
from netwright.children.image_evaluator import ImageEvaluator, image_shape
from netwright.children.image_training import accuracy, enlarged
from netwright.children.recurrent_cell import NASCell
from netwright.children.replay import FIRST, Replay
from netwright.config import ImageTraining
from netwright.data.images import ImageData, ImageSplit
from netwright.runtime.process_pool import ProcessPool
from netwright.search.executor import Job
from netwright.spaces.architecture import Architecture, ConvArchitecture
from netwright.spaces.conv import ConvSpace
from netwright.spaces.grammar import uniform_tokens
from netwright.spaces.published import published
from netwright.spaces.references import reference
from netwright.trial import Evaluation

NEEDS = ("torch (built for CUDA)", "netwright", "netwright[dev] for the piece tests")
STEPS, SEQUENCES = 35, 20
NETWRIGHT = [sys.executable, "-c", "from netwright.cli.main import main; main()"]
EPOCHS = 3
"""Of each training that is counted."""

GRACE = 60
"""Seconds that a command has to stop at an epoch's end after an interrupt."""


@dataclass(frozen=True)
class Options:
    """What the pieces need to know."""

    out: Path
    seconds: float
    device: torch.device
    small: bool


class Figures:
    """The figures of a piece, in a file that is written after each.

    Args:
        piece: Its name.
        options: Where, and for how long.
    """

    def __init__(self, piece: str, options: Options) -> None:
        self.file = options.out / f"{piece}.json"
        self.values: dict[str, Any] = json.loads(self.file.read_text()) if self.file.exists() else {}
        self._end = time.monotonic() + options.seconds

    def measure(self, name: str, how: Callable[[], Any]) -> bool:
        """Measures a figure unless it is there; whether there is any time left to do so."""
        if name in self.values:
            return True
        if time.monotonic() > self._end:
            return False
        self.keep(name, how())
        return True

    def keep(self, name: str, value: object) -> None:
        """Writes the file again with one more figure, in one step."""
        self.values[name] = value
        part = self.file.with_suffix(".part")
        part.write_text(json.dumps(self.values, indent=1) + "\n")
        part.replace(self.file)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pieces", nargs="*", metavar="piece", help=", ".join(PIECES))
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"))
    parser.add_argument("--seconds", type=float, default=400, help="after which a piece begins nothing new")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--small", action="store_true", help="for tests: few and small networks")
    parser.add_argument("--list-needs", action="store_true", help="print what must be installed, and end")
    given = parser.parse_args(arguments)
    if given.list_needs:
        print("\n".join(NEEDS))
        return
    if unknown := set(given.pieces) - set(PIECES):
        parser.error(f"no piece {', '.join(sorted(unknown))}; there are {', '.join(PIECES)}")
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("no CUDA graphics card here; --device cpu --small has the CPU stand in, to try the file")
    given.out.mkdir(parents=True, exist_ok=True)
    options = Options(given.out, given.seconds, torch.device(given.device), given.small)
    for piece in given.pieces or PIECES:
        figures = Figures(piece, options)
        done = PIECES[piece](figures, options)
        print(json.dumps({"piece": piece, **machine(options.device), "done": done, **figures.values}), flush=True)


def machine(device: torch.device) -> dict[str, object]:
    """What every figure is told with."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU standing in: no measurement"
    return {"device": name, "torch": torch.__version__, "cores": cores(), "half": str(fast_half(device))}


# --- (a) --------------------------------------------------------------------------------------------------------------


def tests(figures: Figures, options: Options) -> bool:
    """Runs the tests that need a card."""
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-rs", "tests/gpu"]
    ran = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False, timeout=options.seconds + GRACE
    )
    figures.keep("exit_code", ran.returncode)
    figures.keep("last_lines", ran.stdout.splitlines()[-12:])
    return ran.returncode == 0


# --- (b) --------------------------------------------------------------------------------------------------------------


def children(figures: Figures, options: Options) -> bool:
    """Images per second, each network by both."""
    count = 64 if options.small else 10_000
    data = noise(count, side=8 if options.small else 32)
    settings = ImageTraining(epochs=1, batch_size=32 if options.small else 64)
    networks: dict[str, Architecture] = {"separable": reference("separable")}
    if not options.small:
        networks = {"figure7": published("figure7"), **networks}
    networks |= {f"random {seed}": random_network(seed, options) for seed in range(1 if options.small else 10)}

    def rates(architecture: Architecture) -> dict[str, float]:
        assert isinstance(architecture, ConvArchitecture)
        ours = ImageEvaluator(data, settings, str(options.device)).begin(architecture, 0)
        plain, _ = plain_epoch(architecture, data, settings, options.device)
        first, rate = _epoch_seconds(ours.trainer.run_epoch, options)
        return {
            "ours": count / rate,
            "ours, first epoch": count / first,
            "plain": count / _epoch_seconds(plain, options)[1],
        }

    return all(
        figures.measure(name, lambda architecture=architecture: rates(architecture))  # type: ignore[misc]
        for name, architecture in networks.items()
    )


def plain_epoch(
    architecture: ConvArchitecture, data: ImageData, settings: ImageTraining, device: torch.device
) -> tuple[Callable[[], object], ConvNet]:
    """An epoch as a tutorial has it: float32, a DataLoader, each batch sent to the device, each loss read."""
    network = ConvNet(architecture, image_shape(data), data.num_classes).to(device)
    optimizer = torch.optim.SGD(network.parameters(), settings.learning_rate, settings.momentum, nesterov=True)
    batches = DataLoader(TensorDataset(data.train.images, data.train.labels), settings.batch_size, shuffle=True)
    generator = torch.Generator().manual_seed(0)

    def epoch() -> float:
        total = 0.0
        network.train()  # a validation has ended that
        for images, labels in batches:
            inputs = enlarged(images.to(device), settings)
            inputs = crop_and_flip(inputs, data.height, data.width, flip=settings.flip, generator=generator)
            loss = F.cross_entropy(network(inputs), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        return total

    return epoch, network


def _epoch_seconds(epoch: Callable[[], object], options: Options) -> tuple[float, float]:
    """Of a first epoch, which allocates, chooses kernels and records steps, and the median of three more."""
    first, *more = _seconds(epoch, options.device, repeats=4)
    return first, median(more)


def _seconds(run: Callable[[], object], device: torch.device, repeats: int) -> list[float]:
    """The time of each run, until the device has done it."""
    times = []
    for _ in range(repeats):
        _wait_for(device)
        started = time.perf_counter()
        run()
        _wait_for(device)
        times.append(time.perf_counter() - started)
    return times


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


# --- (c) --------------------------------------------------------------------------------------------------------------


def workers(figures: Figures, options: Options) -> bool:
    """Trainings per hour of one small network, over and over on every worker."""
    data = noise(64 if options.small else 10_000, side=8 if options.small else 32).share_memory()
    settings = ImageTraining(epochs=EPOCHS, batch_size=32 if options.small else 64, reward_epochs=1)
    architecture = random_network(0, options)

    def plain() -> float:
        epoch, network = plain_epoch(architecture, data, settings, options.device)

        def train() -> None:
            for _ in range(EPOCHS):
                epoch()
                accuracy(network, data.validation, settings, device=options.device)

        return 3600 / min(_seconds(train, options.device, repeats=2))

    def per_hour(count: int) -> dict[str, float]:
        evaluators = [ImageEvaluator(data, settings, str(options.device)) for _ in range(count)]
        for evaluator in evaluators:
            evaluator.device_share = 1 / count
        with closing(ProcessPool(evaluators, threads=max(cores() // count, 1))) as pool:
            _train_all(pool, architecture, count)  # the workers have started and chosen their kernels by then
            each = 1 if options.small else 4
            started = time.perf_counter()
            with Busy(options.device) as busy:
                _train_all(pool, architecture, each * count)
            return {"trainings per hour": 3600 * each * count / (time.perf_counter() - started), "busy": busy.share}

    counts = (1,) if options.small else (1, 2, 4, 8)
    return figures.measure("plain", plain) and all(
        figures.measure(f"{count} workers", partial(per_hour, count)) for count in counts
    )


class Busy:
    """The share of a time in which a card ran something, as its driver tells it in percent a few times a second."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._over, self._samples = device, threading.Event(), [0]
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while self._device.type == "cuda" and not self._over.wait(0.2):
            self._samples.append(torch.cuda.utilization(self._device))

    def __enter__(self) -> Busy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def share(self) -> float:
        """In [0, 1]; 0 where there is no card."""
        return mean(self._samples[1:] or [0]) / 100


def _train_all(pool: ProcessPool, architecture: ConvArchitecture, count: int) -> None:
    for number in range(count):
        pool.submit(Job(id=number, architecture=architecture, seed=0))
    while pool.busy:
        for outcome in pool.wait():
            if not isinstance(outcome.result, Evaluation):
                raise SystemExit(f"a child failed: {outcome.result.message}")


# --- (d) --------------------------------------------------------------------------------------------------------------


def cells(figures: Figures, options: Options) -> bool:
    """Milliseconds of a pass."""
    sizes = (8,) if options.small else (200, 650, 1500)
    return all(
        figures.measure(f"hidden {hidden}", lambda hidden=hidden: passes(hidden, options))  # type: ignore[misc]
        for hidden in sizes
    )


def passes(hidden: int, options: Options) -> dict[str, float]:
    """A layer of the paper's cell and its rivals: milliseconds, and the largest difference from the CPU's outputs."""
    layer = Pass(hidden, options)
    lstm = nn.LSTM(hidden, hidden, bias=False).to(options.device)
    merged = NASCell(hidden, hidden, "lstm", merge_sums=True).to(options.device)  # with four products, as nn.LSTM has
    rivals: dict[str, Callable[[Tensor], Tensor]] = {
        "ours": lambda x: layer.cell.run(x)[0],
        "ours bfloat16": lambda x: layer.cell.run(x, bfloat16=True)[0],
        "our lstm": lambda x: merged.run(x)[0],
        "our lstm bfloat16": lambda x: merged.run(x, bfloat16=True)[0],
        "plain": lambda x: layer.cell.run(x, plain=True)[0],
        "nn.LSTM": lambda x: lstm(x)[0],
    }
    times = {
        f"{name}, recorded" if recorded else name: layer.milliseconds(run, recorded=recorded)
        for name, run in rivals.items()
        for recorded in (False, True)
    }
    return {**times, "largest difference from the CPU": layer.difference(rivals["ours"])}


def compiled(figures: Figures, options: Options) -> bool:
    """Milliseconds of a pass, the size of the goal first."""
    sizes = (8,) if options.small else (650, 200, 1500)
    return all(figures.measure(f"hidden {hidden}", partial(compiled_passes, hidden, options)) for hidden in sizes)


def compiled_passes(hidden: int, options: Options) -> dict[str, float]:
    """The paper's cell step by step, compiled as a whole, and the layer: milliseconds, and seconds of compiling."""
    layer = Pass(hidden, options, steps=3 if options.small else STEPS)
    loop = torch.compile(lambda x: layer.cell.run(x, plain=True)[0])
    (first,) = _seconds(lambda: loop(layer.x).backward(layer.upstream), options.device, repeats=1)
    return {
        "seconds of compiling": first,
        "compiled": layer.milliseconds(loop, recorded=False),
        "compiled, recorded": layer.milliseconds(loop, recorded=True),
        "ours, recorded": layer.milliseconds(lambda x: layer.cell.run(x)[0], recorded=True),
        "largest difference from the CPU": layer.difference(loop),
    }


class Pass:
    """A layer of the paper's cell, what goes in and what comes back.

    Args:
        hidden: Its units U, and inputs.
        options: Whose device it is on.
        steps: T.

    Attributes:
        cell: The layer.
        x: [T, SEQUENCES, U].
        upstream: The gradient of its outputs, of the same shape.
    """

    def __init__(self, hidden: int, options: Options, steps: int = STEPS) -> None:
        torch.manual_seed(0)
        cell = NASCell(hidden, hidden)
        x, upstream = (torch.randn(steps, SEQUENCES, hidden) for _ in range(2))
        with torch.no_grad():
            self._on_cpu, _ = copy.deepcopy(cell).run(x)
        self._options = options
        self.cell, self.x, self.upstream = cell.to(options.device), x.to(options.device), upstream.to(options.device)

    def milliseconds(self, run: Callable[[Tensor], Tensor], *, recorded: bool) -> float:
        """Of a run forward and backward, the median."""

        def both_ways(x: Tensor, upstream: Tensor) -> tuple[Tensor]:
            output = run(x)
            output.backward(upstream)
            return (output.detach(),)

        device = self._options.device
        step = partial(Replay(device), both_ways) if recorded else both_ways
        repeats = FIRST + (2 if self._options.small else 22)
        return 1e3 * median(_seconds(lambda: step(self.x, self.upstream), device, repeats)[FIRST + 1 :])

    def difference(self, run: Callable[[Tensor], Tensor]) -> float:
        """The largest between what it computes and the layer on the CPU."""
        return (run(self.x).detach().cpu() - self._on_cpu).abs().max().item()  # without gradients it compiles again


# --- (e) to (g) -------------------------------------------------------------------------------------------------------


def search(figures: Figures, options: Options) -> bool:
    """As much of the paper's search as there is time for."""
    begin = ["search", "digits" if options.small else "cifar10", "--quiet"]
    return _for_a_while(figures, options, "search", begin + (["--trials", "2"] if options.small else []))


def figure7(figures: Figures, options: Options) -> bool:
    """The paper's network without strides and pooling."""
    what = ["train", "figure7", "--recipe", "cifar10", "--json"]
    return _for_a_while(figures, options, "figure7", what)


def nascell(figures: Figures, options: Options) -> bool:
    """The paper's cell on words."""
    return _for_a_while(
        figures, options, "nascell", ["train", "nascell", "--data", "ptb", "--size", "medium", "--json"]
    )


def _for_a_while(figures: Figures, options: Options, name: str, begin: list[str]) -> bool:
    """Begins a command or resumes it, and interrupts it when the time is over; whether it came to its end."""
    folder, log = options.out / name, options.out / f"{name}.log"
    there = (folder / "config.toml").exists()
    command = [begin[0], "--resume", str(folder)] if there else [*begin, "--out", str(folder)]
    if not there:
        command += ["--device", str(options.device)]
    with log.open("a") as output:
        process = subprocess.Popen(
            [*NETWRIGHT, *command], stdout=output, stderr=subprocess.STDOUT, env=os.environ, start_new_session=True
        )
        try:
            code = process.wait(options.seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            try:
                code = process.wait(GRACE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # what is on the disk by now is resumed next time
                code = process.wait()
            figures.keep("interrupted", figures.values.get("interrupted", 0) + 1)
    figures.keep("exit_code", code)
    figures.keep("last_lines", log.read_text().splitlines()[-5:])
    return code == 0


# --- Common -----------------------------------------------------------------------------------------------------------


def noise(count: int, side: int) -> ImageData:
    """Pictures of noise in ten classes, a tenth as many to validate with."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count + count // 10, 3, side, side), dtype=torch.uint8, generator=generator)
    labels = torch.arange(len(images)) % 10
    return ImageData(
        name="noise",
        classes=tuple("0123456789"),
        train=ImageSplit(images[:count], labels[:count]),
        validation=ImageSplit(images[count:], labels[count:]),
        test=None,
    )


def random_network(seed: int, options: Options) -> ConvArchitecture:
    """As the untrained controller of the paper's search would draw it, six layers deep."""
    space = ConvSpace(depth=2, filters=(4, 8)) if options.small else ConvSpace(depth=6)
    architecture = space.decode(uniform_tokens(space.plan(), Random(seed)))
    assert isinstance(architecture, ConvArchitecture)
    return architecture


PIECES: dict[str, Callable[[Figures, Options], bool]] = {
    "tests": tests,
    "children": children,
    "workers": workers,
    "cells": cells,
    "compiled": compiled,
    "search": search,
    "figure7": figure7,
    "nascell": nascell,
}

if __name__ == "__main__":
    main()
