"""Where networks drawn by hand should pool: what a search is held against is only as good as that.

    NETWRIGHT_DATA=../shared/data python benchmarks/poolings.py OUT.jsonl
        [--networks separable vgg-pointwise] [--multiply-adds 100000] [--multiple 4] [--seeds 1] [--workers 2]
        [--device cpu]

Each network is filled to the budget with its poolings behind every set of two to four of its layers but the last, and
trained as the recipe ``cifar10-small`` trains. Printed are, the best first, the mean accuracies of each network and set
on the validation and the test part. Every training is a line of the file, so the command can be stopped and given
again.
"""

from __future__ import annotations

import argparse
import os
from functools import cache, partial
from itertools import combinations
from pathlib import Path
from statistics import fmean

import torch

from kept import completed
from netwright.children.image_evaluator import ImageEvaluator
from netwright.config import ExperimentConfig, ImageTraining
from netwright.data.images import ImageData
from netwright.experiment import load_data
from netwright.recipes import find_recipe
from netwright.seeding import derive_seed
from netwright.settings_file import override
from netwright.spaces.conv import ConvSpace
from netwright.spaces.cost import Shape
from netwright.spaces.fill import Budget, fill
from netwright.spaces.references import reference
from netwright.tasks import kind_of
from netwright.trial import TEST

FEWEST, MOST = 2, 4
"""Poolings that are tried."""

Places = tuple[int, ...]
Key = tuple[str, str, int]


def sets_of(layers: int) -> list[Places]:
    """The sets of layers that poolings may follow, of a network of so many."""
    return [places for count in range(FEWEST, MOST + 1) for places in combinations(range(layers - 1), count)]


def recipe(multiply_adds: int, multiple: int) -> ExperimentConfig:
    """The recipe with another budget."""
    changes = {"child.max_multiply_adds": multiply_adds, "space.width_multiple": multiple}
    return override(find_recipe("cifar10-small"), changes)


@cache
def evaluator_of(multiply_adds: int, multiple: int, device: str) -> tuple[ImageEvaluator, Budget, ConvSpace]:
    """What trains, what its networks may cost, and what they are made of."""
    config = recipe(multiply_adds, multiple)
    data, space = load_data(config, kind_of(config)), config.space
    assert isinstance(data, ImageData)
    assert isinstance(config.child, ImageTraining)
    assert isinstance(space, ConvSpace)
    image = Shape(data.channels, data.height, data.width)
    budget = Budget(multiply_adds=multiply_adds, image=image, classes=len(data.classes), width_multiple=multiple)
    return ImageEvaluator(data, config.child, device), budget, space


def train(key: Key, multiply_adds: int, multiple: int, device: str, share: float) -> dict[str, object]:
    """One training of a network with its poolings elsewhere, measured on both parts."""
    torch.set_num_threads(1)
    name, places, number = key
    evaluator, budget, space = evaluator_of(multiply_adds, multiple, device)
    evaluator.device_share = share
    changes = {
        "pool_after": tuple(map(int, places)),
        "activation": space.activation,
        "pooling": space.pooling,
    }
    network = fill(reference(name).model_copy(update=changes), budget)
    evaluation = evaluator.evaluate_and_test(network, derive_seed(number, "poolings"))
    measured = {"valid": evaluation.valid, TEST: evaluation.metrics[TEST]}
    return {"key": key, "widths": [layer.filters for layer in network.layers], **measured, "load": os.getloadavg()[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="one file for each budget")
    parser.add_argument("--networks", nargs="+", default=["separable", "vgg-pointwise"])
    parser.add_argument("--multiply-adds", type=int, default=100_000)
    parser.add_argument("--multiple", type=int, default=4, help="what numbers of filters are multiples of")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    networks = [
        (name, "".join(map(str, places)))
        for name in options.networks
        for places in sets_of(len(reference(name).layers))
    ]
    wanted: list[Key] = [(*network, number) for number in range(options.seeds) for network in networks]
    budget = {"multiply_adds": options.multiply_adds, "multiple": options.multiple}
    one = partial(train, **budget, device=options.device, share=1 / options.workers)
    done = completed(options.out, one, wanted, options.workers)

    def mean(network: tuple[str, str], part: str) -> float:
        return fmean(done[*network, number][part] for number in range(options.seeds))

    for network in sorted(networks, key=lambda network: -mean(network, "valid")):
        name, places = network
        print(f"{name}, pooled after {', '.join(places)}: {mean(network, 'valid'):.4f}, {mean(network, TEST):.4f}")


if __name__ == "__main__":
    main()
