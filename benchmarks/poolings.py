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
from functools import cache, partial
from itertools import combinations
from pathlib import Path
from statistics import fmean

from finalists import measured
from kept import completed
from netwright.children.image_evaluator import ImageEvaluator
from netwright.experiment import describe, load_data, make_evaluator
from netwright.recipes import find_recipe
from netwright.seeding import derive_seed
from netwright.settings_file import override
from netwright.spaces.fill import FilledSpace, fill
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


@cache
def parts_of(multiply_adds: int, multiple: int, device: str) -> tuple[ImageEvaluator, FilledSpace]:
    """What trains as the recipe does, and the recipe's space at another budget."""
    changes = {"child.max_multiply_adds": multiply_adds, "space.width_multiple": multiple}
    config = override(find_recipe("cifar10-small"), changes)
    kind = kind_of(config)
    data = load_data(config, kind)
    assert config.space is not None
    space = kind.fit(config.space, config, describe(data, kind, config.child))
    evaluator = make_evaluator(config, kind, data, device)
    assert isinstance(evaluator, ImageEvaluator)
    assert isinstance(space, FilledSpace)
    return evaluator, space


def train(key: Key, multiply_adds: int, multiple: int, device: str, share: float) -> dict[str, object]:
    """One training of a network with its poolings elsewhere, measured on both parts."""
    name, places, number = key
    evaluator, space = parts_of(multiply_adds, multiple, device)
    changes = {
        "pool_after": tuple(map(int, places)),
        "activation": space.shapes.activation,
        "pooling": space.shapes.pooling,
    }
    network = fill(reference(name).model_copy(update=changes), space.budget)
    return {"key": key, **measured(evaluator, network, derive_seed(number, "poolings"), share)}


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
    one = partial(
        train,
        multiply_adds=options.multiply_adds,
        multiple=options.multiple,
        device=options.device,
        share=1 / options.workers,
    )
    done = completed(options.out, one, wanted, options.workers)

    def mean(network: tuple[str, str], part: str) -> float:
        return fmean(done[*network, number][part] for number in range(options.seeds))

    for network in sorted(networks, key=lambda network: -mean(network, "valid")):
        name, places = network
        print(f"{name}, pooled after {', '.join(places)}: {mean(network, 'valid'):.4f}, {mean(network, TEST):.4f}")


if __name__ == "__main__":
    main()
