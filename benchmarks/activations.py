"""What activation and pooling are worth to networks of images: the same networks with each of them.

    NETWRIGHT_DATA=../shared/data python benchmarks/activations.py OUT.jsonl RUN [RUN ...]
        [--references separable] [--seeds 2] [--workers 2] [--device cpu]

The found network of each finished search and the references named, which are those of the first search, are trained
from the same seeds with ReLU and max pooling, with GELU, with average pooling and with both. Printed is, for both
parts, how far each pair is ahead of the first in the mean over networks and seeds, with the standard error of the
differences. Every training is a line of the file, so the command can be stopped and given again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import get_args

from finalists import PARTS, trained
from kept import completed
from netwright.answer import references_in
from netwright.search.estimates import Estimate
from netwright.seeding import derive_seed
from netwright.spaces.architecture import LAYER_ACTIVATIONS, Architecture, Pooling
from rewards import opened

FOUND = "found"
Key = tuple[str, str, str, str, int]


def architecture_of(run: str, name: str) -> Architecture:
    """The found network of a search, that of a trial by its number, or one of the references."""
    if name == FOUND:
        return opened(run).best.architecture
    if name.isdigit():
        return opened(run).network(int(name)).architecture
    return references_in(opened(run).folder.task())[name][0]


def train(key: Key, device: str, share: float) -> dict[str, object]:
    """One training of a network with an activation and a pooling, measured on both parts."""
    run, name, activation, pooling, number = key
    architecture = architecture_of(run, name).model_copy(update={"activation": activation, "pooling": pooling})
    return {"key": key, **trained(run, architecture, derive_seed(number, "activations", run, name), device, share)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--references", nargs="*", default=["separable"])
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each network with each pair")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    networks = [(run, FOUND) for run in options.runs] + [(options.runs[0], name) for name in options.references]
    ways = list(product(LAYER_ACTIVATIONS, get_args(Pooling)))
    wanted: list[Key] = [
        (*network, *way, number) for number in range(options.seeds) for way in ways for network in networks
    ]
    one = partial(train, device=options.device, share=1 / options.workers)
    done = completed(options.out, one, wanted, options.workers)
    for part in PARTS:
        for way in ways:
            ours, theirs = (
                [done[*network, *which, number][part] for network in networks for number in range(options.seeds)]
                for which in (way, ways[0])
            )
            print(f"{part}: {' and '.join(way)}: {ahead(ours, theirs)}")


def ahead(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """The mean of some numbers, and how far they are ahead of those that they are pairs with, with its error."""
    by = Estimate.of([one - other for one, other in zip(ours, theirs, strict=True)])
    return f"{fmean(ours):.4f}, {by.mean:+.4f} ± {by.standard_error:.4f}"


if __name__ == "__main__":
    main()
