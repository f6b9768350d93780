"""Who should be trained again at the end of a search: networks of the best rewards, or those that are foretold best.

    NETWRIGHT_DATA=../shared/data python benchmarks/finalists.py OUT.jsonl RUN [RUN ...]
        [--finalists 8] [--seeds 3] [--workers 2] [--device cpu]

From each finished search for networks of images two lists are taken: those whose mean reward is the highest, and those
whose reward a Gaussian process over all networks of the search expects to be the highest
(:class:`netwright.strategies.foresight.Predictor`). Everybody of either list is trained from fresh seeds, the same for
both. Printed are the mean accuracies of the lists, on the validation and the test part, and the difference with its
standard error over the searches; and what all these accuracies vary by: the seeds of one network, and from network to
network. Every training is a line of the file, so the command can be stopped and given again.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from statistics import fmean, variance

import torch

from kept import completed
from netwright.answer import best_networks, references_in
from netwright.children.image_evaluator import ImageEvaluator
from netwright.search.estimates import Estimate
from netwright.search.finals import Entrant
from netwright.seeding import derive_seed
from netwright.spaces.architecture import Architecture
from netwright.strategies.foresight import Predictor
from netwright.trial import TEST, Phase
from rewards import opened, task_of

PARTS = ("valid", TEST)
Key = tuple[str, int, int]


def lists_of(run: str, count: int) -> dict[str, list[int]]:
    """The first trials of the networks that either way of choosing takes, the best one first."""
    found = best_networks(opened(run).folder.store.rows())
    expected = foretold(run)
    by_foresight = sorted(found, key=lambda entrant: -expected[_tokens(entrant)])
    ways = {"reward": found, "foretold": by_foresight}
    return {way: [_trial(entrant) for entrant in entrants[:count]] for way, entrants in ways.items()}


def foretold(run: str) -> Mapping[tuple[int, ...], float]:
    """What the trained networks of a search are expected to be worth by all of them."""
    folder = opened(run).folder
    space = folder.config.space
    assert space is not None
    rewards: dict[tuple[int, ...], list[float]] = {}
    written = {architecture.digest: tokens for architecture, tokens in references_in(folder.task()).values() if tokens}
    for row in folder.store.rows():
        tokens = written.get(row.digest) if row.phase is Phase.REFERENCE else row.tokens
        if row.phase is not Phase.FINAL and row.reward is not None and tokens is not None:
            rewards.setdefault(tokens, []).append(row.reward)
    features = [space.features(space.plan(), tokens) for tokens in rewards]
    predictor = Predictor(features, [fmean(earned) for earned in rewards.values()], [*map(len, rewards.values())])
    return dict(zip(rewards, predictor(features).tolist(), strict=True))


def _trial(entrant: Entrant) -> int:
    assert entrant.trial is not None
    return entrant.trial


def _tokens(entrant: Entrant) -> tuple[int, ...]:
    assert entrant.tokens is not None
    return entrant.tokens


@cache
def evaluator_of(run: str, device: str, changes: str) -> ImageEvaluator:
    return ImageEvaluator(*task_of(run, changes), device)


def trained(
    run: str, architecture: Architecture, seed: int, device: str, share: float, changes: str = "{}"
) -> dict[str, object]:
    """What a network comes to on both parts, trained on a share of a device as those of a search were.

    Args:
        run: The search.
        architecture: Of the network.
        seed: Of the training.
        device: Where.
        share: Of its memory.
        changes: What is set otherwise than in the search, by path, as JSON.
    """
    return measured(evaluator_of(run, device, changes), architecture, seed, share)


def measured(evaluator: ImageEvaluator, architecture: Architecture, seed: int, share: float) -> dict[str, object]:
    """What a network comes to on both parts, trained from a seed on a share of a device."""
    torch.set_num_threads(1)
    evaluator.device_share = share
    evaluation = evaluator.evaluate_and_test(architecture, seed)
    return {"valid": evaluation.valid, TEST: evaluation.metrics[TEST], "load": os.getloadavg()[0]}


def train(key: Key, device: str, share: float) -> dict[str, object]:
    """One training from a fresh seed, measured on both parts."""
    run, trial, number = key
    architecture, seed = opened(run).network(trial).architecture, derive_seed(number, "finalists", trial)
    return {"key": key, **trained(run, architecture, seed, device, share)}


def compared(of_run: Mapping[str, Mapping[str, Sequence[int]]], measured: Mapping[Key, Mapping[str, float]]) -> None:
    """Prints how the two lists of each search did.

    Args:
        of_run: By search and way the trials of a list.
        measured: What came of each training.
    """
    seeds = sorted({number for *_, number in measured})
    for part in PARTS:
        ahead = []
        for run, ways in of_run.items():
            mean = {
                way: fmean(measured[run, trial, number][part] for trial in trials for number in seeds)
                for way, trials in ways.items()
            }
            ahead.append(mean["foretold"] - mean["reward"])
            shared = len({*ways["foretold"]} & {*ways["reward"]})
            print(f"{run} {part}: by reward {mean['reward']:.4f}, foretold {mean['foretold']:.4f}, {shared} in both")
        if len(ahead) > 1:
            difference = Estimate.of(ahead)
            print(f"{part}: foretold minus reward {difference.mean:+.4f} ± {difference.standard_error:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--finalists", type=int, default=8, help="length of each list")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each network, at least two")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    of_run = {run: lists_of(run, options.finalists) for run in options.runs}
    networks = [(run, trial) for run, ways in of_run.items() for trial in sorted({*ways["reward"], *ways["foretold"]})]
    wanted: list[Key] = [(run, trial, number) for number in range(options.seeds) for run, trial in networks]
    one = partial(train, device=options.device, share=1 / options.workers)
    done = completed(options.out, one, wanted, options.workers)
    measured = {key: done[key] for key in wanted}
    compared(of_run, measured)
    for part in PARTS:
        of_one = [[measured[run, trial, number][part] for number in range(options.seeds)] for run, trial in networks]
        seeds = fmean(map(variance, of_one))
        between = variance(map(fmean, of_one)) - seeds / options.seeds
        print(
            f"{part}: {len(networks)} networks, standard deviation of one's seeds {seeds**0.5:.4f}, "
            f"between networks {max(between, 0.0) ** 0.5:.4f}"
        )


if __name__ == "__main__":
    main()
