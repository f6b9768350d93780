"""Grid search: every string of a space once, in order."""

from __future__ import annotations

from netwright.search.curriculum import full_size
from netwright.search.strategy import Curriculum, Numbered
from netwright.spaces.base import SearchSpace
from netwright.spaces.grammar import Tokens
from netwright.trial import Trial


class Grid(Numbered):
    """Goes through all strings of one size in lexicographic order; after the last one it has nothing to propose.

    Args:
        space: What to go through; small enough for that.
        seed: Not used: nothing is left to chance.
        curriculum: The size, by its answer for trial 0.
    """

    def __init__(self, space: SearchSpace, *, seed: int = 0, curriculum: Curriculum = full_size) -> None:
        self._plan = space.plan(curriculum(0))

    def propose(self, trial_id: int) -> Tokens | None:
        """The string with this number: its tokens are the digits, the last one runs fastest."""
        tokens: Tokens = ()
        for decision in reversed(self._plan):
            trial_id, token = divmod(trial_id, decision.cardinality)
            tokens = (token, *tokens)
        return None if trial_id else tokens

    def learn(self, trial: Trial) -> None:
        """Learns nothing."""
