"""Tables that cost nothing and whose best network is known: for tests and first steps."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from netwright.benchmarks.tabular import TabularEvaluator
from netwright.errors import ArchitectureError
from netwright.spaces.architecture import Architecture, ConvArchitecture
from netwright.spaces.choice import ChoiceSpace
from netwright.spaces.grammar import Choice, Tokens, every_string
from netwright.trial import Evaluation

BEST: Tokens = (2, 0, 3, 1, 2)
SPACE = ChoiceSpace(
    name="toy", decisions=tuple(Choice(f"step_{step}", ("a", "b", "c", "d")) for step in range(len(BEST)))
)


def toy_table() -> TabularEvaluator:
    """1,024 networks; ``BEST`` has accuracy 1, and every right choice, and every right pair in a row, adds to it."""
    runs = {}
    for tokens in every_string(SPACE.plan()):
        right = [token == best for token, best in zip(tokens, BEST, strict=True)]
        pairs = sum(one and other for one, other in pairwise(right))
        accuracy = 0.1 + 0.1 * sum(right) + 0.1 * pairs
        runs[SPACE.decode(tokens).choices] = (Evaluation(valid=accuracy, metrics={"test": accuracy}),)
    return TabularEvaluator("toy", SPACE, runs)


class ToyConvEvaluator:
    """Judges a convolutional network untrained: the best has 3x3 filters only, each layer fed by the last."""

    def evaluate(
        self, architecture: Architecture, seed: int, report: Callable[[int, float], None] | None = None
    ) -> Evaluation:
        """The fraction of layers and connections that are as in the best network, in [0, 1].

        Raises:
            ArchitectureError: Not a convolutional network.
        """
        if not isinstance(architecture, ConvArchitecture):
            raise ArchitectureError(f"expected a convolutional network, got kind {architecture.kind!r}")
        right = total = 0
        for index, layer in enumerate(architecture.layers):
            right += (layer.filter_height == 3) + (layer.filter_width == 3)
            right += sum((source in layer.inputs) == (source == index - 1) for source in range(index))
            total += 2 + index
        return Evaluation(valid=right / total)
