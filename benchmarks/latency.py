"""Is latency worth measuring? Random networks, each measured twice, beside their multiply-adds.

python benchmarks/latency.py --networks 50

Networks are drawn from the space of ``cifar10-small`` without a budget, and all of them are measured once before any is
measured again, so that what drifts on the machine shows. Printed as JSON, for ONNX Runtime and for PyTorch:

- ``rank_correlation``: Spearman's, of latency with multiply-adds, and with parameters;
- ``disagreement``: of the two measurements of a network, over their mean: the median over networks, the largest, and
  how many networks are beyond 5 percent;
- ``reward_rank_correlation``: of the rewards that both measurements give networks of one accuracy, by MnasNet's soft
  exponents, and ``swapped_pairs``: how many pairs of networks they rank differently, of how many.

Run it on an idle machine: the load is printed, too.
"""

from __future__ import annotations

import argparse
import json
import os
from itertools import combinations
from random import Random

import numpy as np
import pandas as pd
import torch

from netwright.children.conv_net import ConvNet
from netwright.children.latency import image_latency
from netwright.config import AccuracyReward, CostTarget, LatencySettings
from netwright.search.reward import reward_of
from netwright.spaces.conv import ConvSpace
from netwright.spaces.cost import Shape, cost
from netwright.spaces.grammar import uniform_tokens
from netwright.trial import Evaluation

IMAGE, CLASSES = Shape(3, 16, 16), 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    random = Random(arguments.seed)
    space = ConvSpace(depth=6, filters=(16, 24, 32, 48, 64), pool_decided=True, skip_over_pool="pool")
    drawn = [space.decode(uniform_tokens(space.plan(), random)) for _ in range(arguments.networks)]
    prices = [cost(architecture, IMAGE, CLASSES) for architecture in drawn]
    networks = [ConvNet(architecture, IMAGE, CLASSES) for architecture in drawn]
    print(json.dumps({"load": os.getloadavg(), "networks": len(networks), "threads": arguments.threads}))
    for runtime in ("onnx", "torch"):
        settings = LatencySettings(runtime=runtime, threads=arguments.threads)
        first, second = ([image_latency(network, IMAGE, settings) for network in networks] for _ in range(2))
        a, b = (np.array([latency.milliseconds for latency in run]) for run in (first, second))
        target = CostTarget(latency_ms=float(np.median(a)), below=-0.07, above=-0.07)
        rewards = [_rewards(times, target) for times in (a, b)]
        pairs = list(combinations(range(len(networks)), 2))
        swapped = sum((rewards[0][i] < rewards[0][j]) != (rewards[1][i] < rewards[1][j]) for i, j in pairs)
        apart = 2 * np.abs(a - b) / (a + b)
        print(
            json.dumps(
                {
                    "runtime": runtime,
                    "milliseconds": {"least": a.min(), "median": float(np.median(a)), "most": a.max()},
                    "rank_correlation": {
                        "multiply_adds": _spearman(a, [price.multiply_adds for price in prices]),
                        "parameters": _spearman(a, [price.parameters for price in prices]),
                    },
                    "disagreement": {
                        "median": float(np.median(apart)),
                        "most": apart.max(),
                        "beyond_5_percent": int((apart > 0.05).sum()),
                    },
                    "claimed_error": float(np.median([f.standard_error / f.milliseconds for f in first])),
                    "reward_rank_correlation": _spearman(*rewards),
                    "swapped_pairs": [int(swapped), len(pairs)],
                },
                default=float,
            )
        )
    print(json.dumps({"load": os.getloadavg()}))


def _rewards(times: np.ndarray, target: CostTarget) -> list[float]:
    reward = AccuracyReward(target=target)
    found = (reward_of(Evaluation(valid=0.6, metrics={"latency_ms": float(time)}), reward) for time in times)
    return [value for value in found if value is not None]


def _spearman(a: object, b: object) -> float:
    return float(pd.Series(a).rank().corr(pd.Series(b).rank()))


if __name__ == "__main__":
    main()
