"""Local search: move to the first neighbour that is better, start again when there is none (White et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from netwright.search.curriculum import full_size
from netwright.search.strategy import Curriculum, Numbered
from netwright.seeding import derive_seed
from netwright.spaces.base import SearchSpace
from netwright.spaces.grammar import Plan, Tokens, uniform_tokens
from netwright.strategies.archive import Archive
from netwright.strategies.mutation import fit, neighbours
from netwright.trial import Trial

MAX_DRAWS = 100
"""Draws of a new starting point before one that is known already is accepted."""


class LocalSearch(Numbered):
    """Hill climbing that never evaluates a network twice.

    Where it stands, the *centre*, is a function of the told trials. Whatever is out with a worker is proposed to no
    other; when all neighbours are out, the remaining workers try starting points.

    Args:
        space: What to design.
        seed: Of every draw.
        curriculum: Size of the architecture by trial number. When it grows, the climb continues from the centre,
            continued at random.
    """

    def __init__(self, space: SearchSpace, *, seed: int = 0, curriculum: Curriculum = full_size) -> None:
        self.space = space
        self.seed = seed
        self.curriculum = curriculum
        self._known = Archive(space)
        self._centre: Tokens | None = None
        self._height = float("-inf")
        self._around: list[Tokens] = []

    def propose(self, trial_id: int) -> Tokens:
        """The first neighbour that is neither known nor out; or a starting point."""
        plan = self.space.plan(self.curriculum(trial_id))
        random = Random(derive_seed(self.seed, "local-search", trial_id))
        if self._centre is not None and len(self._centre) != len(plan):
            return fit(plan, self._centre, random)
        fresh = self._known.fresh(self.out.values())
        neighbour = next(filter(fresh, self._around), None)
        return self._start(plan, random, fresh) if neighbour is None else neighbour

    def _start(self, plan: Plan, random: Random, fresh: Callable[[Tokens], bool]) -> Tokens:
        for _ in range(MAX_DRAWS):
            tokens = uniform_tokens(plan, random)
            if fresh(tokens):
                break
        return tokens

    def learn(self, trial: Trial) -> None:
        """Moves to whatever is better than the centre, or larger."""
        self._known.add(trial)
        if trial.reward is None:
            return
        if (len(trial.tokens), trial.reward) > (len(self._centre or ()), self._height):
            self._climb(self.space.plan(self.curriculum(trial.id)), trial.tokens, trial.reward)
        if all(tokens in self._known for tokens in self._around):
            # A local optimum: the climb is over. The first trial told from now on is where the next one starts.
            self._centre, self._height = None, float("-inf")

    def _climb(self, plan: Plan, centre: Tokens, height: float) -> None:
        """Makes ``centre`` the centre, or where known neighbours lead up to from it."""
        around = list(neighbours(plan, centre))
        while (best := max(around, key=self._height_of, default=centre)) and self._height_of(best) > height:
            centre, height = best, self._height_of(best)
            around = list(neighbours(plan, centre))
        self._centre, self._height, self._around = centre, height, self._one_per_network(around)
        Random(derive_seed(self.seed, "local-search", "neighbours", *centre)).shuffle(self._around)

    def _height_of(self, tokens: Tokens) -> float:
        reward = self._known.reward(tokens)
        return float("-inf") if reward is None else reward

    def _one_per_network(self, strings: Sequence[Tokens]) -> list[Tokens]:
        return list({self._known.network(tokens): tokens for tokens in strings}.values())
