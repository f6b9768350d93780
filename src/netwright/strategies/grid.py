"""Grid search: every string of a space once, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from netwright.search.curriculum import full_size
from netwright.search.strategy import Curriculum
from netwright.spaces.base import SearchSpace
from netwright.spaces.grammar import Tokens, every_string
from netwright.trial import Proposal, Trial


class Grid:
    """Goes through all strings of one size in lexicographic order; after the last one it has nothing to propose.

    Args:
        space: What to go through; small enough for that.
        seed: Not used: nothing is left to chance.
        curriculum: The size, by its answer for trial 0.
    """

    def __init__(self, space: SearchSpace, *, seed: int = 0, curriculum: Curriculum = full_size) -> None:
        self._plan = space.plan(curriculum(0))
        self._next_id = 0
        self._strings: Iterator[Tokens] = every_string(self._plan)

    def ask(self, count: int) -> list[Proposal]:
        """See :meth:`Strategy.ask`."""
        proposals = [Proposal(id=i, tokens=s) for i, s in enumerate(islice(self._strings, count), self._next_id)]
        self._next_id += len(proposals)
        return proposals

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learns nothing."""

    def restore(self, told: Sequence[Trial], next_id: int) -> None:
        """See :meth:`Strategy.restore`."""
        self._next_id = next_id
        self._strings = islice(every_string(self._plan), next_id, None)
