"""What a way of training is worth to networks of images: the same networks, trained in several ways.

    NETWRIGHT_DATA=../shared/data python benchmarks/training.py OUT.jsonl RUN
        --ways '{}' '{"child.optimizer": "sgd"}' '{"child.optimizer": "sgd", "child.epoch_limit": null}'
        [--networks 5] [--references separable vgg-skips] [--seeds 2] [--workers 2] [--device cpu]

Networks spread evenly over the better half of a finished search, its found one and the references named are trained
from the same seeds in each way, which is named by the settings that it changes. Printed is, for both parts, the mean,
how far it is ahead of the first way's with the standard error of the differences, what seeds and what networks vary by
(standard deviations), and processor seconds over those of the first way. A way is the more telling the more networks
differ beside seeds. Every training is a line of the file, so the command can be stopped and given again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import fmean, variance

from activations import FOUND, ahead, architecture_of
from finalists import PARTS, evaluator_of, trained
from kept import completed
from netwright.seeding import derive_seed
from rewards import chosen

Key = tuple[str, str, str, int]
Numbers = Sequence[Sequence[float]]
"""[networks, seeds]"""


def train(key: Key, device: str, share: float) -> dict[str, object]:
    """One training of a network in one way, measured on both parts."""
    run, name, changes, number = key
    architecture = architecture_of(run, name)
    evaluator_of(run, device, changes)  # reads the images once, which is no part of a training's time
    begun = time.process_time()
    measured = trained(run, architecture, derive_seed(number, "training", name), device, share, changes)
    return {"key": key, **measured, "seconds": time.process_time() - begun}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("run")
    parser.add_argument(
        "--ways", nargs="+", required=True, help="settings by path, as JSON; the first is compared with"
    )
    parser.add_argument("--networks", type=int, default=5, help="of the search, beside the found one")
    parser.add_argument("--references", nargs="*", default=["separable", "vgg-skips"])
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each network in each way, at least two")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    run, seeds = options.run, range(options.seeds)
    networks = [FOUND, *options.references, *map(str, chosen(run, options.networks))]
    wanted: list[Key] = [(run, name, way, number) for number in seeds for name in networks for way in options.ways]
    one = partial(train, device=options.device, share=1 / options.workers)
    done = completed(options.out, one, wanted, options.workers)

    def of_way(way: str, what: str) -> list[list[float]]:
        return [[done[run, name, way, number][what] for number in seeds] for name in networks]

    for part in PARTS:
        first = of_way(options.ways[0], part), of_way(options.ways[0], "seconds")
        for way in options.ways:
            print(f"{part}: {way}: {compared((of_way(way, part), of_way(way, 'seconds')), first)}")


def compared(way: tuple[Numbers, Numbers], first: tuple[Numbers, Numbers]) -> str:
    """A line about a way: accuracies and processor seconds of networks and seeds, beside those of the first way."""
    (accuracies, seconds), (theirs, their_seconds) = way, first
    of_seeds = fmean(map(variance, accuracies))
    of_networks = max(variance(map(fmean, accuracies)) - of_seeds / len(accuracies[0]), 0.0)
    return (
        f"{ahead([*chain(*accuracies)], [*chain(*theirs)])}, seeds {of_seeds**0.5:.4f}, "
        f"networks {of_networks**0.5:.4f}, time {fmean(chain(*seconds)) / fmean(chain(*their_seconds)):.2f}"
    )


if __name__ == "__main__":
    main()
