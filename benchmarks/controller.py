"""How long the controller takes: a batch of 8 architectures of 15 layers with anchors, sampled and learnt from.

``python benchmarks/controller.py`` prints milliseconds of one thread, the median of many batches, by the clock of the
processor, which does not run while other processes have the core. The promise is 60.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from netwright.config import LearnerSettings
from netwright.controller.learner import Learner
from netwright.spaces.conv import ConvSpace


def main() -> None:
    """Times the paper's controller on the paper's first variant at 15 layers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=100)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    plan = ConvSpace(depth=15).plan()
    learner = Learner(plan, LearnerSettings(), seed=0)
    generator = torch.Generator().manual_seed(0)
    sampling, updating = [], []
    for _ in range(arguments.batches + 5):
        start = time.process_time()
        tokens = learner.policy.sample(plan, 8, generator).tokens.tolist()
        sampled = time.process_time()
        learner.update([(plan, tuple(row)) for row in tokens], [0.1 * k for k in range(8)])
        sampling.append(sampled - start)
        updating.append(time.process_time() - sampled)
    both = [one + other for one, other in zip(sampling, updating, strict=True)]
    for name, seconds in (("sample", sampling), ("update", updating), ("both", both)):
        steady = sorted(seconds[5:])  # the first ones warm up
        print(f"{name:6}  {1000 * statistics.median(steady):6.1f} ms median, {1000 * steady[0]:6.1f} ms at best")


if __name__ == "__main__":
    main()
