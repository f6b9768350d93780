"""What the paper's two searches cost: operations of their children, and the time of eight graphics cards.

    python benchmarks/paper_cost.py [--networks 8]

CIFAR-10: PyTorch's own counter (``torch.utils.flop_counter``) over a training step of random networks of every depth of
the schedule, on the meta device; 50 epochs of 45,000 images, and 5,000 more forward after each. Penn Treebank: two
operations for each recurrent and softmax weight and token, forward, and twice that backward; 35 epochs of 929,589
tokens. A multiplication with its addition counts as two.

The time on cards is these operations over an assumed rate, which nobody has measured here.
"""

from __future__ import annotations

import argparse
import statistics
from random import Random

import torch
from torch.utils.flop_counter import FlopCounterMode

from netwright.children.conv_net import ConvNet
from netwright.children.language_model import count_parameters, hidden_for_budget
from netwright.config import LanguageModelTraining
from netwright.recipes import find_recipe
from netwright.recipes.cifar10 import PAPER_DEPTH
from netwright.spaces.architecture import Architecture, ConvArchitecture
from netwright.spaces.conv import ConvSpace
from netwright.spaces.cost import Shape
from netwright.spaces.grammar import uniform_tokens
from netwright.spaces.published import published

IMAGE = Shape(3, 32, 32)
EPOCHS, IMAGES, HELD_OUT = 50, 45_000, 5_000
TOKENS, VOCABULARY, TEXT_EPOCHS = 929_589, 10_000, 35
CARDS = 8
RATES = (20e12, 100e12)
"""Operations per second that a card is assumed to sustain."""


def main() -> None:
    """Counts both searches and prints what they cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=8, help="of each depth")
    arguments = parser.parse_args()
    print(f"figure7: {child(published('figure7')):.2e} operations")
    report("cifar10", cifar10(arguments.networks))
    report("penn-treebank", penn_treebank())


def child(architecture: Architecture, batch: int = 2) -> float:
    """Operations of one child of the CIFAR-10 search."""
    assert isinstance(architecture, ConvArchitecture)
    with torch.device("meta"):
        network = ConvNet(architecture, IMAGE, 10)
        images = torch.empty(batch, *IMAGE)
        with FlopCounterMode(display=False) as forward:
            output = network(images)
        with FlopCounterMode(display=False) as backward:
            output.sum().backward()
    ahead, back = (int(counter.get_total_flops()) / batch for counter in (forward, backward))
    return EPOCHS * (IMAGES * (ahead + back) + HELD_OUT * ahead)


def cifar10(networks: int) -> float:
    """Operations of the whole search, from the mean of some networks of every depth of the schedule."""
    config = find_recipe("cifar10")
    space, random = config.space, Random(0)
    assert isinstance(space, ConvSpace)
    total = 0.0
    for first in range(0, config.search.trials, PAPER_DEPTH.interval):
        depth = min(PAPER_DEPTH.start + PAPER_DEPTH.step * (first // PAPER_DEPTH.interval), PAPER_DEPTH.cap)
        drawn = [space.decode(uniform_tokens(space.plan(depth), random)) for _ in range(networks)]
        costs = [child(architecture) for architecture in drawn]
        extremes = f"{min(costs):.1e} to {max(costs):.1e}"
        print(f"  depth {depth:2}: {statistics.fmean(costs):.2e} operations a child ({extremes})")
        total += statistics.fmean(costs) * PAPER_DEPTH.interval
    return total


def penn_treebank() -> float:
    """Operations of the whole search."""
    config = find_recipe("penn-treebank")
    assert isinstance(config.child, LanguageModelTraining)
    hidden = hidden_for_budget(config.child.parameters, VOCABULARY, config.child)
    looked_up = VOCABULARY * (hidden + 1)  # the embedding, and the softmax's biases
    multiplied = count_parameters(hidden, VOCABULARY, config.child) - looked_up
    one = 3 * 2 * multiplied * TOKENS * TEXT_EPOCHS
    print(f"  {hidden} units: {one:.2e} operations a child")
    return one * config.search.trials


def report(name: str, operations: float) -> None:
    """A line on a search."""
    days = ", ".join(f"{operations / (CARDS * rate) / 86400:.1f} days at {rate / 1e12:.0f} TFLOP/s" for rate in RATES)
    print(f"{name}: {operations:.2e} operations; {CARDS} cards need {days} each")


if __name__ == "__main__":
    main()
