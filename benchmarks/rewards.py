"""Which number of a short training says most about a network of images: seeds move all of them.

    NETWRIGHT_DATA=../shared/data python benchmarks/rewards.py OUT.jsonl RUN [RUN ...] [--networks 16] [--seeds 3]

Networks of finished searches with one way of training, spread evenly over the better half of each search, are trained
anew from fresh seeds, and each training is measured in several ways on the validation part. Printed is, for each way,
how well one training's number goes along with what the network is worth: the correlation, over the networks, of the
number from one seed with the mean accuracy on the test part from all other seeds; its standard error is that of the
jackknife, by networks. Every training is a line of the file, so the command can be stopped and given again.

- ``accuracy``: on all validation images, what a search uses; ``half``: on half of them.
- ``mirrored``: from the mean of the logits of each image and of its mirror image.
- ``likelihood``: minus the mean cross-entropy.
- ``averaged``: accuracy of the weights and statistics averaged over the last steps of the training.
- ``epoch_6`` and so on: accuracy after so many epochs.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from kept import completed
from netwright import load_run
from netwright.children.image_evaluator import ImageEvaluator
from netwright.children.image_training import ImageTrainer, accuracy, logits_in_parts
from netwright.config import ImageTraining
from netwright.data.images import ImageData, ImageSplit
from netwright.experiment import load_data
from netwright.seeding import derive_seed
from netwright.settings_file import override
from netwright.tasks import kind_of
from netwright.trial import Phase

DECAY = 0.99
"""Of the averaged weights, per step: about the last hundred count."""

CPU = torch.device("cpu")
Key = tuple[str, int, int]


opened = cache(load_run)


def chosen(run: str, count: int) -> list[int]:
    """Trials of a search, spread evenly over the better half of its networks."""
    trials = opened(run).trials()
    searched = trials[(trials["phase"] == Phase.SEARCH.value) & trials["valid"].notna()]
    ranked = searched.sort_values("valid", ascending=False).index[: len(searched) // 2]
    return [int(ranked[round(place)]) for place in np.linspace(0, len(ranked) - 1, min(count, len(ranked)))]


@cache
def task_of(run: str, changes: str = "{}") -> tuple[ImageData, ImageTraining]:
    """What the networks of a search learn from and how, with settings changed by path, as JSON."""
    config = override(opened(run).config, json.loads(changes))
    data, settings = load_data(config, kind_of(config)), config.child
    assert isinstance(data, ImageData)
    assert isinstance(settings, ImageTraining)
    return data, settings


def train(key: Key) -> dict[str, object]:
    """One training, measured in all ways."""
    torch.set_num_threads(1)
    run, trial, seed = key
    data, settings = task_of(run)
    architecture = opened(run).network(trial).architecture
    child = ImageEvaluator(data, settings).begin(architecture, derive_seed(seed, "rewards", trial))
    network, trainer = child.network, child.trainer
    assert isinstance(trainer, ImageTrainer)
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(DECAY), use_buffers=True)
    step = trainer._optimizer.register_step_post_hook(lambda *_: averaged.update_parameters(network))
    started = time.process_time()
    measured: dict[str, float] = {}
    for epoch in range(1, settings.epochs + 1):
        trainer.run_epoch()
        if settings.epochs - 2 <= epoch < settings.epochs:
            measured[f"epoch_{epoch}"] = accuracy(network, data.validation, settings, device=CPU)
    step.remove()
    spent = time.process_time() - started
    seconds = {}

    def measure(name: str, by: Callable[[], float]) -> None:
        begun = time.process_time()
        measured[name] = by()
        seconds[name] = time.process_time() - begun

    half = data.validation.first(len(data.validation) // 2)
    measure("accuracy", lambda: accuracy(network, data.validation, settings, device=CPU))
    measure("half", lambda: accuracy(network, half, settings, device=CPU))
    measure("mirrored", lambda: mirrored_accuracy(network, data.validation, settings))
    measure("likelihood", lambda: likelihood(network, data.validation, settings))
    measure("averaged", lambda: accuracy(averaged.module, data.validation, settings, device=CPU))
    assert data.test is not None
    worth = accuracy(network, data.test, settings, device=CPU)
    return {
        "key": key,
        "measured": measured,
        "test": worth,
        "cpu_seconds": spent,
        "measuring": seconds,
        "load": os.getloadavg()[0],
    }


@torch.inference_mode()
def logits_of(network: torch.nn.Module, images: Tensor, settings: ImageTraining) -> Tensor:
    return torch.cat(list(logits_in_parts(network, images, settings, CPU))).float()


def mirrored_accuracy(network: torch.nn.Module, split: ImageSplit, settings: ImageTraining) -> float:
    both = logits_of(network, split.images, settings) + logits_of(network, split.images.flip(3), settings)
    return (both.argmax(1) == split.labels).float().mean().item()


def likelihood(network: torch.nn.Module, split: ImageSplit, settings: ImageTraining) -> float:
    return -F.cross_entropy(logits_of(network, split.images, settings), split.labels.long()).item()


def agreement(measured: Sequence[Sequence[float]], worth: Sequence[Sequence[float]]) -> tuple[float, float]:
    """How well a number goes along with worth from other seeds, [networks, seeds] each; and the standard error."""
    numbers, test = np.array(measured), np.array(worth)
    seeds = numbers.shape[1]
    others = (test.sum(1, keepdims=True) - test) / (seeds - 1)

    def correlation(kept: np.ndarray) -> float:
        return fmean(float(np.corrcoef(numbers[kept, seed], others[kept, seed])[0, 1]) for seed in range(seeds))

    everybody = np.arange(len(numbers))
    without = [correlation(np.delete(everybody, one)) for one in everybody]
    count = len(without)
    error = math.sqrt((count - 1) / count * sum((value - fmean(without)) ** 2 for value in without))
    return correlation(everybody), error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--networks", type=int, default=16, help="of each search")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each network, at least two")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    networks = [(run, trial) for run in options.runs for trial in chosen(run, options.networks)]
    wanted: list[Key] = [(run, trial, seed) for seed in range(options.seeds) for run, trial in networks]
    done = completed(options.out, train, wanted, options.workers)
    lines = [[done[run, trial, seed] for seed in range(options.seeds)] for run, trial in networks]
    worth = [[line["test"] for line in of_one] for of_one in lines]
    training = fmean(line["cpu_seconds"] for of_one in lines for line in of_one)
    print(f"{len(networks)} networks, {options.seeds} seeds each; a training takes {training:.1f} processor seconds")
    for name in lines[0][0]["measured"]:
        value, error = agreement([[line["measured"][name] for line in of_one] for of_one in lines], worth)
        spent = [line["measuring"][name] for of_one in lines for line in of_one if name in line["measuring"]]
        measuring = f", measuring {fmean(spent):.2f} s" if spent else ""
        print(f"{name:12} {value:.3f} ± {error:.3f}{measuring}")


if __name__ == "__main__":
    main()
