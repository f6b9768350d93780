"""Grid search: every string of a space once, in order, or some of them at random."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from netwright.search.curriculum import full_size
from netwright.search.strategy import Curriculum, Numbered
from netwright.seeding import derive_seed
from netwright.spaces.base import SearchSpace
from netwright.spaces.grammar import Tokens, count_strings
from netwright.trial import Trial

LARGEST_SAMPLED = 2**62
"""Strings of a space, at most, of which a sample without repetition is drawn."""


class Grid(Numbered):
    """Goes through all strings of one size in lexicographic order; after the last one it has nothing to propose.

    Args:
        space: What to go through; small enough for that.
        seed: Of the sample; without one, nothing is left to chance.
        curriculum: The size, by its answer for trial 0.
        sample: Go through so many different strings only, drawn at random.

    Attributes:
        supply: How many strings there are to go through; see :class:`~netwright.search.strategy.Finite`.

    Raises:
        ValueError: There are too many strings to draw a sample of.
    """

    def __init__(
        self, space: SearchSpace, *, seed: int = 0, curriculum: Curriculum = full_size, sample: int | None = None
    ) -> None:
        self._plan = space.plan(curriculum(0))
        self.supply = count = count_strings(self._plan)
        if sample is not None and count > LARGEST_SAMPLED:
            raise ValueError(f"sample: of at most {LARGEST_SAMPLED:,} strings; the strategy random takes any space")
        self._numbers: Sequence[int] = range(count)
        if sample is not None:
            self.supply = min(sample, count)
            self._numbers = Random(derive_seed(seed, "grid")).sample(self._numbers, self.supply)

    def propose(self, trial_id: int) -> Tokens | None:
        """The next string: the digits of its number are the tokens, the last one runs fastest."""
        try:
            number = self._numbers[trial_id]
        except IndexError:  # rather than by the length, which a range of very many does not have
            return None
        tokens: Tokens = ()
        for decision in reversed(self._plan):
            number, token = divmod(number, decision.cardinality)
            tokens = (token, *tokens)
        return tokens

    def learn(self, trial: Trial) -> None:
        """Learns nothing."""
